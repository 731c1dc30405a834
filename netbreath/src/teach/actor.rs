//! A process of a lesson: it takes orders, a line each, from standard input and answers on
//! standard output. netbreath starts itself again for it, so that it is a process with a pid
//! and a name of its own, and ends with us, however we end.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::event::Errno;

/// The hidden command that makes netbreath an actor.
pub const COMMAND: &str = "actor";

/// No order takes longer: what does not happen in this time is an error.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the process {name}: {source}")]
    Start { name: String, source: io::Error },
    #[error("the process {name} does not answer to {order:?}: {source}")]
    Talk { name: String, order: String, source: io::Error },
    #[error("the process {name} could not {order:?}: {answer}")]
    Refused { name: String, order: String, answer: String },
}

/// Our end of such a process. Dropped, it ends.
#[derive(Debug)]
pub struct Actor {
    name: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts a process with this name.
    pub fn start(name: &str) -> Result<Actor, Error> {
        let failed = |source| Error::Start { name: name.to_owned(), source };
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).args([COMMAND, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let parent = std::process::id();
        // SAFETY: between fork and exec this makes system calls only.
        unsafe {
            command.pre_exec(move || {
                // Ctrl-C at the terminal is for us, who then end it.
                libc::setpgid(0, 0);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // The parent may have ended before that.
                if libc::getppid().unsigned_abs() != parent {
                    return Err(io::Error::other("its parent is gone"));
                }
                Ok(())
            });
        }
        let mut child = command.spawn().map_err(failed)?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let mut actor =
            Actor { name: name.to_owned(), child, orders, answers: BufReader::new(answers) };
        actor.order("ready")?;
        Ok(actor)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order; what came of it: a value, or the name of an error.
    pub fn ask(&mut self, order: &str) -> Result<Result<String, String>, Error> {
        let failed =
            |source| Error::Talk { name: self.name.clone(), order: order.to_owned(), source };
        writeln!(self.orders, "{order}").and_then(|()| self.orders.flush()).map_err(failed)?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer).map_err(failed)?;
        let answer = answer.trim_end();
        match answer.split_once(' ') {
            Some(("ok", value)) => Ok(Ok(value.to_owned())),
            Some((_, error)) => Ok(Err(error.to_owned())),
            None if read == 0 => Err(failed(io::ErrorKind::UnexpectedEof.into())),
            None => Ok(Ok(String::new())),
        }
    }

    /// Gives an order that must succeed.
    pub fn order(&mut self, order: &str) -> Result<String, Error> {
        let (name, typed) = (self.name.clone(), order.to_owned());
        self.ask(order)?.map_err(|answer| Error::Refused { name, order: typed, answer })
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Why ignored: a child that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays the actor until nobody gives orders any more.
pub fn play(name: &str) -> io::Result<()> {
    let comm = crate::event::Comm::from_name(name);
    let mut bytes = comm.bytes().to_vec();
    bytes.push(0);
    // SAFETY: a string with its end.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
    let mut cast = HashMap::new();
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let answer = match obey(&line?, &mut cast) {
            Ok(value) => format!("ok {value}"),
            Err(error) => format!("err {}", named(&error)),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// The name of an error of a socket call, or what else it says.
fn named(error: &io::Error) -> String {
    match error.raw_os_error().map(i32::unsigned_abs).and_then(Errno::new) {
        Some(errno) if errno.name() != "EUNKNOWN" => errno.name().to_owned(),
        _ if error.raw_os_error() == Some(libc::EINPROGRESS) => "EINPROGRESS".to_owned(),
        _ if error.raw_os_error() == Some(libc::ENOTCONN) => "ENOTCONN".to_owned(),
        _ if error.raw_os_error() == Some(libc::EISCONN) => "EISCONN".to_owned(),
        _ => error.to_string(),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!("{what} makes no sense"))
}

/// `VERB SOCKET ARGUMENT`: sockets have names, chosen by who gives the orders.
fn obey(line: &str, sockets: &mut HashMap<String, Socket>) -> io::Result<String> {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (verb, name, argument) = (word(), word().to_owned(), word());
    let number = || argument.parse::<usize>().map_err(|_| wrong(line));
    let address = || argument.parse::<SocketAddr>().map_err(|_| wrong(line));
    match verb {
        "ready" => return Ok(String::new()),
        "open" => {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            sockets.insert(name, socket);
            return Ok(String::new());
        }
        // For good: the server has it now.
        "serve" => {
            super::server::start(sockets.remove(&name).ok_or_else(|| wrong(line))?);
            return Ok(String::new());
        }
        "close" => {
            sockets.remove(&name).ok_or_else(|| wrong(line))?;
            return Ok(String::new());
        }
        "bare" => {
            super::server::bare(address()?)?;
            return Ok(String::new());
        }
        _ => {}
    }
    let socket = sockets.get(&name).ok_or_else(|| wrong(line))?;
    match verb {
        "bind" => socket.bind(&SockAddr::from(address()?))?,
        "listen" => {
            let backlog = i32::try_from(number()?).map_err(|_| wrong(line))?;
            socket.listen(backlog)?;
            return local(socket);
        }
        "connect" => {
            socket.connect(&SockAddr::from(address()?))?;
            return local(socket);
        }
        // Returns at once; `connected` tells what came of it.
        "begin" => {
            socket.set_nonblocking(true)?;
            let begun = socket.connect(&SockAddr::from(address()?));
            socket.set_nonblocking(false)?;
            match begun {
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
                begun => begun?,
            }
            return local(socket);
        }
        "connected" => {
            wait(socket, libc::POLLOUT)?;
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
        }
        "accept" => {
            let (accepted, peer) = socket.accept()?;
            accepted.set_read_timeout(Some(PATIENCE))?;
            accepted.set_write_timeout(Some(PATIENCE))?;
            sockets.insert(argument.to_owned(), accepted);
            return Ok(peer.as_socket().map(|peer| peer.to_string()).unwrap_or_default());
        }
        "write" => {
            let bytes = vec![b'.'; number()?];
            return Ok(socket.send_with_flags(&bytes, libc::MSG_NOSIGNAL)?.to_string());
        }
        "get" => {
            let request = format!("GET / HTTP/1.1\r\nHost: {argument}\r\n\r\n");
            return Ok(socket.send_with_flags(request.as_bytes(), libc::MSG_NOSIGNAL)?.to_string());
        }
        // Until the kernel takes no more.
        "fill" => {
            let bytes = [b'.'; 16384];
            let mut all = 0;
            loop {
                match socket.send_with_flags(&bytes, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
                    Ok(sent) => all += sent,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            return Ok(all.to_string());
        }
        "urgent" => {
            socket.send_out_of_band(b"!")?;
        }
        "read" => {
            let mut bytes = vec![0; if argument.is_empty() { 65536 } else { number()? }];
            return Ok((&*socket).read(&mut bytes)?.to_string());
        }
        "shutdown" => socket.shutdown(Shutdown::Write)?,
        "deaf" => match argument {
            // "Keep 0 bytes" is how a filter says: drop the packet.
            "on" => {
                let drop = socket2::SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
                socket.attach_filter(&[drop])?;
            }
            _ => socket.detach_filter()?,
        },
        "linger" => socket.set_linger(Some(Duration::ZERO))?,
        "reuse" => socket.set_reuse_address(true)?,
        "receive-buffer" => socket.set_recv_buffer_size(number()?)?,
        "send-buffer" => socket.set_send_buffer_size(number()?)?,
        "user-timeout" => {
            socket.set_tcp_user_timeout(Some(Duration::from_millis(number()? as u64)))?;
        }
        "keepalive" => {
            let second = Duration::from_secs(1);
            let often = socket2::TcpKeepalive::new()
                .with_time(second)
                .with_interval(second)
                .with_retries(2);
            socket.set_tcp_keepalive(&often)?;
        }
        // So many SYNs more than the first.
        "syns" => set(socket, libc::TCP_SYNCNT, i32::try_from(number()?).unwrap_or(1))?,
        "linger2" => set(socket, libc::TCP_LINGER2, i32::try_from(number()?).unwrap_or(1))?,
        "local" => return local(socket),
        _ => return Err(wrong(line)),
    }
    Ok(String::new())
}

fn local(socket: &Socket) -> io::Result<String> {
    Ok(socket.local_addr()?.as_socket().map(|address| address.to_string()).unwrap_or_default())
}

fn set(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the value has its length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn wait(socket: &Socket, events: libc::c_short) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: one pollfd.
    match unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as libc::c_int) } {
        1 => Ok(()),
        0 => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
        _ => Err(io::Error::last_os_error()),
    }
}
