//! `netbreath tour`, live: what it says of its processes and sockets is looked up while they
//! are there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::netns::{self, Netns};
use crate::{socket, tracer};

/// More than any step of the tour takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tour in a namespace of its own. Dropped, it is killed.
struct Tour {
    netns: Netns,
    child: Child,
    lines: Vec<String>,
}

impl Drop for Tour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tour {
    /// Starts it, and reads on until a line has this in it: the sockets are still there.
    fn until(netns: Netns, language: &str, end: &str) -> Result<Tour> {
        let fd = netns.fd();
        let mut command = Command::new(tracer::binary()?);
        command.args(["tour", "--auto", "--lang", language]).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(fd)
            });
        }
        let mut child = command.spawn().context("start the tour")?;
        let out = child.stdout.take().context("the tour has no output")?;
        let mut tour = Tour { netns, child, lines: Vec::new() };
        for line in BufReader::new(out).lines() {
            let line = line.context("read the tour")?;
            let found = line.contains(end);
            tour.lines.push(line);
            if found {
                return Ok(tour);
            }
        }
        bail!("the tour ended without {end:?}:\n{}", tour.lines.join("\n"))
    }

    /// The text, with its paragraphs as one line.
    fn text(&self) -> String {
        self.lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The numbers that stand behind each of these words.
    fn numbers_after(&self, word: &str) -> Vec<u32> {
        let text = self.text();
        let numbers = text.match_indices(word).filter_map(|(at, _)| {
            let rest = text[at + word.len()..].trim_start();
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        numbers.collect()
    }

    /// What `/proc/net/tcp` of the namespace has: local port, remote port, state, inode.
    fn sockets(&self) -> Result<Vec<(u16, u16, u8, u64)>> {
        let table = self.netns.inside(|| {
            fs::read_to_string("/proc/thread-self/net/tcp").context("read the table of sockets")
        })?;
        let port = |end: &str| {
            let port = end.rsplit(':').next().context("an end without a port")?;
            u16::from_str_radix(port, 16).context("a port")
        };
        let rows = table.lines().skip(1).map(|row| {
            let words: Vec<&str> = row.split_whitespace().collect();
            let word = |place: usize| words.get(place).copied().context("a short row");
            let state = u8::from_str_radix(word(3)?, 16)?;
            Ok((port(word(1)?)?, port(word(2)?)?, state, word(9)?.parse()?))
        });
        rows.collect()
    }

    /// Its server's pid and port, and the client's, as it tells them; each looked up.
    fn judge(&self, words: [&str; 3]) -> Result<()> {
        const LISTEN: u8 = 10;
        const TIME_WAIT: u8 = 6;
        let [server, client, port] = words.map(|word| self.numbers_after(word));
        let text = self.text();
        let server = *server.first().with_context(|| format!("no server's pid in {text}"))?;
        let client = *client.first().with_context(|| format!("no client's pid in {text}"))?;
        let client_port =
            u16::try_from(*port.first().with_context(|| format!("no client's port in {text}"))?)?;
        for (pid, name) in [(server, "tour-server"), (client, "tour-client")] {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm"))
                .with_context(|| format!("process {pid}, which the tour names"))?;
            ensure!(comm.trim() == name, "process {pid} is {comm:?}, not {name}");
        }
        let sockets = self.sockets()?;
        let listener = sockets.iter().find(|row| row.2 == LISTEN).context("nobody listens")?;
        let holds = fs::read_dir(format!("/proc/{server}/fd"))?.flatten().any(|fd| {
            fs::read_link(fd.path())
                .is_ok_and(|to| to.to_string_lossy() == format!("socket:[{}]", listener.3))
        });
        ensure!(holds, "process {server} does not hold the listener {}", listener.3);
        let waits = sockets.iter().find(|row| row.2 == TIME_WAIT).context("no TIME_WAIT")?;
        ensure!(
            (waits.0, waits.1) == (client_port, listener.0),
            "the tour says port {client_port}, in TIME_WAIT is {}",
            waits.0
        );
        // The screens of the views.
        let port = listener.0;
        let has = |words: &[&str]| {
            self.lines.iter().any(|line| {
                let line: Vec<&str> = line.split_whitespace().collect();
                words.iter().all(|word| line.contains(word))
            })
        };
        let own = format!("127.0.0.1:{port}");
        let its = format!("127.0.0.1:{client_port}");
        let (program, other) = (format!("{server}/tour-server"), format!("{client}/tour-client"));
        let (pid, device) = (server.to_string(), listener.3.to_string());
        for words in [
            &[own.as_str(), "0.0.0.0:*", "LISTEN", &program][..],
            &["tour-serv", &pid, &device, "IPv4", &own, "(LISTEN)"],
            &[&its, &own, "ESTABLISHED", &other],
            &[&own, &its, "ESTABLISHED", &program],
            &[&its, &own, "TIME_WAIT", "-"],
            &["inet", "127.0.0.1", "255.0.0.0"],
        ] {
            ensure!(has(words), "no line with {words:?} in\n{}", self.lines.join("\n"));
        }
        for flags in ["[S]", "[S.]", "[P.]", "[F.]", "[.]"] {
            ensure!(text.contains(flags), "no segment with {flags} in\n{text}");
        }
        for state in ["SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK"] {
            ensure!(text.contains(state), "no {state} in\n{text}");
        }
        Ok(())
    }
}

pub fn english() -> Result<()> {
    Tour::until(Netns::create()?, "en", "seconds left")?.judge([
        "has just started: process ",
        "A client (process ",
        "connected from its port ",
    ])
}

pub fn japanese() -> Result<()> {
    let words = ["起動しました。プロセス ", "クライアント (プロセス ", ") がポート "];
    Tour::until(Netns::create()?, "ja", "残りおよそ")?.judge(words)
}

/// Somebody else has the port.
pub fn taken() -> Result<()> {
    let netns = Netns::create()?;
    let other = netns.inside(|| Ok(std::net::TcpListener::bind("127.0.0.1:8080")?))?;
    let tour = Tour::until(netns, "en", "== 2/7")?;
    drop(other);
    let text = tour.text();
    ensure!(text.contains("The port 8080 is taken by somebody else"), "{text}");
    let ports = tour.numbers_after("so that the server has port ");
    let bound = tour.numbers_after("bind() to 127.0.0.1:");
    ensure!(ports.first() != Some(&8080) && ports.first() == bound.first(), "{text}");
    Ok(())
}

/// Without privileges, and live to the end without the wait: both end well.
pub fn recorded() -> Result<()> {
    for (user, said) in [(0, "This happens now"), (65_534, "This is a recording")] {
        let netns = Netns::create()?;
        let fd = netns.fd();
        let mut command = Command::new(tracer::binary()?);
        command.args(["tour", "--auto", "--no-wait", "--lang", "en"]).stdin(Stdio::null());
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(fd)?;
                match user {
                    0 => Ok(()),
                    user => socket::become_user(user)
                        .map_err(|failed| std::io::Error::from_raw_os_error(failed.errno)),
                }
            });
        }
        let output = command.output().context("run the tour")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(0), "{:?}: {talk}\n{text}", output.status);
        ensure!(text.contains(said), "user {user}: {text}");
        ensure!(text.contains("== 7/7") && text.contains("That was it"), "user {user}: {text}");
    }
    Ok(())
}

/// Its processes end with it, however it ends.
pub fn killed() -> Result<()> {
    let mut tour = Tour::until(Netns::create()?, "en", "seconds left")?;
    let server = tour.numbers_after("has just started: process ");
    let server = *server.first().context("no server's pid")?;
    ensure!(fs::exists(format!("/proc/{server}"))?, "no process {server}");
    tour.child.kill().context("kill the tour")?;
    tour.child.wait().context("wait for the tour")?;
    let deadline = Instant::now() + PATIENCE;
    while fs::exists(format!("/proc/{server}"))? {
        ensure!(Instant::now() < deadline, "process {server} outlives the tour");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
