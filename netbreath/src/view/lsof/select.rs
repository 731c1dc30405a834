//! What `lsof` is asked for: its selections, and how they go together (man 8 lsof). Each
//! kind of selection is one condition; usually one of them is enough, with -a all are
//! demanded. What is left out with `^` is left out in any case.

use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use crate::event::{Endpoint, Family};
use crate::table::file::{At, File};
use crate::table::socket::{Process, Proto, Socket};
use crate::view::state::lsof_state;

/// All of what was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// Internet sockets: one of these.
    pub internet: Vec<Internet>,
    pub unix: bool,
    pub pids: List<u32>,
    pub groups: List<u32>,
    /// By number: names are looked up before.
    pub users: List<u32>,
    /// Beginnings of names.
    pub commands: List<Vec<u8>>,
    pub descriptors: List<Descriptor>,
    /// Of these protocols only in these states.
    pub states: Vec<States>,
    /// Files, by device and inode number.
    pub files: Vec<(u64, u64)>,
    /// All have to hold.
    pub and: bool,
}

/// What is wanted, and what is not.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T> {
    pub wanted: Vec<T>,
    pub unwanted: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List { wanted: Vec::new(), unwanted: Vec::new() }
    }
}

/// `[46][protocol][@host][:port]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Internet {
    pub family: Option<Family>,
    pub proto: Option<Proto>,
    /// One of these addresses at either end; none is any.
    pub addrs: Vec<IpAddr>,
    /// One of these ports, first to last, at either end; none is any.
    pub ports: Vec<(u16, u16)>,
    /// As it was typed, to be named if nothing is found.
    pub typed: String,
}

/// `cwd`, `3`, `0-2`.
#[derive(Clone, Debug, PartialEq)]
pub enum Descriptor {
    Word(String),
    Range(u32, u32),
}

/// `TCP:LISTEN,^CLOSE_WAIT`.
#[derive(Clone, Debug, PartialEq)]
pub struct States {
    pub proto: Proto,
    pub states: List<TcpState>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("-i {typed}: {why}; the form is [46][protocol][@host][:port]")]
    Internet { typed: String, why: &'static str },
    #[error("-s {typed}: the form is protocol:state, as in TCP:LISTEN or TCP:^CLOSE_WAIT")]
    States { typed: String },
    #[error("{typed:?} is no state of {proto}")]
    State { typed: String, proto: &'static str },
    #[error("{option} takes numbers, not {typed:?}")]
    Number { option: &'static str, typed: String },
    #[error("there is no user {typed:?}")]
    User { typed: String },
    #[error("-d {typed}: give numbers, ranges such as 0-2, or words such as cwd, txt, mem")]
    Descriptor { typed: String },
}

/// Looks up names.
pub trait Lookup {
    /// The addresses of a host.
    fn host(&self, name: &str) -> Vec<IpAddr>;
    /// The port of a service.
    fn service(&self, name: &str) -> Option<u16>;
}

impl Internet {
    pub fn parse(typed: &str, lookup: &dyn Lookup) -> Result<Internet, Error> {
        let wrong = |why| Error::Internet { typed: typed.to_owned(), why };
        let mut internet = Internet { typed: typed.to_owned(), ..Internet::default() };
        let mut rest = typed;
        for (digit, family) in [("4", Family::V4), ("6", Family::V6)] {
            if let Some(after) = rest.strip_prefix(digit)
                && internet.family.is_none()
            {
                internet.family = Some(family);
                rest = after;
            }
        }
        let end = rest.find(['@', ':']).unwrap_or(rest.len());
        let (proto, after) = rest.split_at(end);
        internet.proto = match proto.to_ascii_uppercase().as_str() {
            "" => None,
            "TCP" => Some(Proto::Tcp),
            "UDP" => Some(Proto::Udp),
            "UDPLITE" => Some(Proto::UdpLite),
            _ => return Err(wrong("unknown protocol")),
        };
        rest = after;
        if let Some(after) = rest.strip_prefix('@') {
            let host;
            (host, rest) = match after.strip_prefix('[') {
                Some(after) => after.split_once(']').ok_or_else(|| wrong("a bracket is open"))?,
                None => after.split_at(after.find(':').unwrap_or(after.len())),
            };
            internet.addrs = match host.parse() {
                Ok(addr) => vec![addr],
                Err(_) => lookup.host(host),
            };
            if internet.addrs.is_empty() {
                return Err(wrong("unknown host"));
            }
        }
        if let Some(ports) = rest.strip_prefix(':') {
            for port in ports.split(',') {
                let number = |text: &str| match text.parse::<u16>() {
                    Ok(port) => Ok(port),
                    Err(_) => lookup.service(text).ok_or_else(|| wrong("unknown port")),
                };
                let (first, last) = match port.split_once('-') {
                    // A name can have a dash in it.
                    Some((first, last)) if first.parse::<u16>().is_ok() => {
                        (number(first)?, number(last)?)
                    }
                    _ => (number(port)?, number(port)?),
                };
                if first > last {
                    return Err(wrong("the first port is behind the last"));
                }
                internet.ports.push((first, last));
            }
        } else if !rest.is_empty() {
            return Err(wrong("something is left over"));
        }
        Ok(internet)
    }

    pub fn takes(&self, socket: &Socket) -> bool {
        let Some((local, remote)) = socket.inet() else { return false };
        if !matches!(socket.proto, Proto::Tcp | Proto::Udp | Proto::UdpLite) {
            return false;
        }
        let any = |fits: &dyn Fn(Endpoint) -> bool| fits(local) || fits(remote);
        self.family.is_none_or(|family| socket.family() == Some(family))
            && self.proto.is_none_or(|proto| socket.proto == proto)
            && (self.addrs.is_empty() && self.ports.is_empty()
                || any(&|end: Endpoint| {
                    let addr = end.addr.to_canonical();
                    (self.addrs.is_empty() || self.addrs.contains(&addr))
                        && (self.ports.is_empty()
                            || self
                                .ports
                                .iter()
                                .any(|(first, last)| (*first..=*last).contains(&end.port)))
                }))
    }
}

impl States {
    pub fn parse(typed: &str) -> Result<States, Error> {
        let wrong = || Error::States { typed: typed.to_owned() };
        let (proto, states) = typed.split_once(':').ok_or_else(wrong)?;
        let (proto, name) = match proto.to_ascii_uppercase().as_str() {
            "TCP" => (Proto::Tcp, "TCP"),
            "UDP" => (Proto::Udp, "UDP"),
            _ => return Err(wrong()),
        };
        let mut list = List::default();
        for typed in states.split(',') {
            let (unwanted, word) = match typed.strip_prefix('^') {
                Some(word) => (true, word),
                None => (false, typed),
            };
            let state = match (proto, word.to_ascii_uppercase().as_str()) {
                (Proto::Udp, "IDLE" | "UNBOUND") => Some(TcpState::Close),
                _ => lsof_state(word),
            };
            let state =
                state.ok_or_else(|| Error::State { typed: word.to_owned(), proto: name })?;
            if unwanted { &mut list.unwanted } else { &mut list.wanted }.push(state);
        }
        Ok(States { proto, states: list })
    }
}

impl<T> List<T> {
    /// Reads words, those with `^` as unwanted.
    pub fn parse<E>(
        words: &[String],
        mut read: impl FnMut(&str) -> Result<T, E>,
    ) -> Result<List<T>, E> {
        let mut list = List::default();
        for word in words.iter().filter(|word| !word.is_empty()) {
            match word.strip_prefix('^') {
                Some(word) => list.unwanted.push(read(word)?),
                None => list.wanted.push(read(word)?),
            }
        }
        Ok(list)
    }
}

impl Descriptor {
    pub fn parse(typed: &str) -> Result<Descriptor, Error> {
        let wrong = || Error::Descriptor { typed: typed.to_owned() };
        if typed.starts_with(|c: char| c.is_ascii_digit()) {
            let (first, last) = typed.split_once('-').unwrap_or((typed, typed));
            let number = |text: &str| text.parse().map_err(|_| wrong());
            return Ok(Descriptor::Range(number(first)?, number(last)?));
        }
        match typed {
            "cwd" | "rtd" | "txt" | "mem" | "DEL" | "NOFD" | "fd" => {
                Ok(Descriptor::Word(typed.to_owned()))
            }
            _ => Err(wrong()),
        }
    }

    fn takes(&self, at: At) -> bool {
        match (self, at) {
            (Descriptor::Range(first, last), At::Fd(fd)) => (*first..=*last).contains(&fd),
            (Descriptor::Word(word), At::Fd(_)) => word == "fd",
            (Descriptor::Word(word), at) => at.word() == Some(word),
            (Descriptor::Range(..), _) => false,
        }
    }
}

impl Select {
    /// Whether nothing is asked for but everything.
    pub fn is_everything(&self) -> bool {
        !self.by_process()
            && !self.by_socket()
            && self.files.is_empty()
            && self.descriptors.wanted.is_empty()
    }

    /// Whether processes are asked for: then all that they have open.
    pub fn by_process(&self) -> bool {
        !self.pids.wanted.is_empty()
            || !self.groups.wanted.is_empty()
            || !self.users.wanted.is_empty()
            || !self.commands.wanted.is_empty()
    }

    pub fn by_socket(&self) -> bool {
        self.unix || !self.internet.is_empty()
    }

    /// Whether only sockets can be chosen: then nothing else has to be looked at.
    pub fn only_sockets(&self) -> bool {
        self.by_socket()
            && (self.and
                || !self.by_process()
                    && self.files.is_empty()
                    && self.descriptors.wanted.is_empty())
    }

    /// Whether a process is left out in any case.
    pub fn excludes(&self, process: &Process) -> bool {
        let begins = |beginning: &Vec<u8>| process.comm.starts_with(beginning);
        self.pids.unwanted.contains(&process.pid)
            || process.group.is_some_and(|group| self.groups.unwanted.contains(&group))
            || process.uid.is_some_and(|uid| self.users.unwanted.contains(&uid))
            || self.commands.unwanted.iter().any(begins)
    }

    /// Which selections of processes there are, and whether each holds.
    fn of_process(&self, process: &Process) -> impl Iterator<Item = bool> {
        let begins = |beginning: &Vec<u8>| process.comm.starts_with(beginning);
        [
            (!self.pids.wanted.is_empty()).then(|| self.pids.wanted.contains(&process.pid)),
            (!self.groups.wanted.is_empty())
                .then(|| process.group.is_some_and(|group| self.groups.wanted.contains(&group))),
            (!self.users.wanted.is_empty())
                .then(|| process.uid.is_some_and(|uid| self.users.wanted.contains(&uid))),
            (!self.commands.wanted.is_empty()).then(|| self.commands.wanted.iter().any(begins)),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether anything of a process can be chosen: what cannot has not to be looked at.
    pub fn reaches(&self, process: &Process) -> bool {
        if self.excludes(process) {
            return false;
        }
        let mut of = self.of_process(process);
        if self.and { of.all(|holds| holds) } else { true }
    }

    /// Whether a file of a process is chosen.
    pub fn takes(&self, process: &Process, file: &File, socket: Option<&Socket>) -> bool {
        if self.excludes(process)
            || self.descriptors.unwanted.iter().any(|descriptor| descriptor.takes(file.at))
            || socket.is_some_and(|socket| !self.state_fits(socket))
        {
            return false;
        }
        if self.is_everything() {
            return true;
        }
        let of_file = [
            (!self.internet.is_empty()).then(|| {
                socket.is_some_and(|socket| self.internet.iter().any(|i| i.takes(socket)))
            }),
            self.unix.then(|| socket.is_some_and(|socket| socket.proto.is_unix())),
            (!self.descriptors.wanted.is_empty()).then(|| {
                self.descriptors.wanted.iter().any(|descriptor| descriptor.takes(file.at))
            }),
            (!self.files.is_empty()).then(|| {
                let device = file.on.map(|(major, minor)| libc::makedev(major, minor));
                device.zip(file.inode).is_some_and(|key| self.files.contains(&key))
            }),
        ];
        let mut all = self.of_process(process).chain(of_file.into_iter().flatten());
        if self.and { all.all(|holds| holds) } else { all.any(|holds| holds) }
    }

    fn state_fits(&self, socket: &Socket) -> bool {
        self.states.iter().filter(|states| states.proto == socket.proto).all(|states| {
            let List { wanted, unwanted } = &states.states;
            !unwanted.contains(&socket.state)
                && (wanted.is_empty() || wanted.contains(&socket.state))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::file::{Access, Kind};
    use crate::table::socket::{Detail, Ends, Timer};

    struct Fake;

    impl Lookup for Fake {
        fn host(&self, name: &str) -> Vec<IpAddr> {
            if name == "here" { vec![[127, 0, 0, 1].into()] } else { Vec::new() }
        }

        fn service(&self, name: &str) -> Option<u16> {
            match name {
                "http-alt" => Some(8080),
                _ => None,
            }
        }
    }

    fn internet(typed: &str) -> Internet {
        Internet::parse(typed, &Fake).unwrap()
    }

    fn tcp(state: TcpState, local: &str, remote: &str) -> Socket {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint { addr: end.ip(), port: end.port() }
        };
        Socket {
            proto: Proto::Tcp,
            state,
            ends: Ends::Inet { local: end(local), remote: end(remote), interface: 0 },
            inode: 1,
            uid: 0,
            recv_q: 0,
            send_q: 0,
            timer: Timer::default(),
            cookie: 1,
            netns: 0,
            detail: Detail::default(),
        }
    }

    #[test]
    fn internet_selections_are_read() {
        let socket = tcp(TcpState::Established, "127.0.0.1:8080", "10.0.0.1:40000");
        for typed in [
            "",
            "4",
            "TCP",
            "tcp",
            "4tcp",
            ":8080",
            ":40000",
            "TCP:8080",
            "@10.0.0.1",
            "TCP@127.0.0.1:8080",
            ":1,8000-9000",
            ":http-alt",
            "@here:8080",
        ] {
            assert!(internet(typed).takes(&socket), "{typed}");
        }
        for typed in ["6", "UDP", ":80", "@10.0.0.1:8080", "6TCP@[::1]:8080"] {
            assert!(!internet(typed).takes(&socket), "{typed}");
        }
        let mapped = tcp(TcpState::Established, "[::ffff:127.0.0.1]:1", "[::ffff:10.0.0.1]:2");
        assert!(internet("@127.0.0.1:1").takes(&mapped));
        for typed in ["x", ":x", "@nowhere", "@[::1", ":9-1", "TCP@127.0.0.1x"] {
            assert!(Internet::parse(typed, &Fake).is_err(), "{typed}");
        }
    }

    #[test]
    fn selections_are_alternatives_unless_joined() {
        let process = |pid: u32, comm: &str| Process {
            pid,
            comm: comm.into(),
            uid: Some(33),
            ..Process::default()
        };
        let file = File {
            at: At::Fd(3),
            access: Access::Both,
            kind: Kind::Socket(1),
            device: None,
            on: None,
            size: None,
            offset: 0,
            inode: Some(1),
            links: None,
            name: Vec::new(),
            flags: None,
        };
        let listener = tcp(TcpState::Listen, "127.0.0.1:8080", "0.0.0.0:0");
        let mut select = Select {
            internet: vec![internet(":8080")],
            pids: List { wanted: vec![5], unwanted: vec![7] },
            ..Select::default()
        };
        assert!(select.takes(&process(6, "a"), &file, Some(&listener)));
        assert!(select.takes(&process(5, "a"), &file, None));
        assert!(!select.takes(&process(6, "a"), &file, None));
        assert!(!select.takes(&process(7, "a"), &file, Some(&listener)));
        select.and = true;
        assert!(!select.takes(&process(6, "a"), &file, Some(&listener)));
        assert!(select.takes(&process(5, "a"), &file, Some(&listener)));
        assert!(select.reaches(&process(5, "a")) && !select.reaches(&process(6, "a")));
        select.states = vec![States::parse("tcp:^LISTEN").unwrap()];
        assert!(!select.takes(&process(5, "a"), &file, Some(&listener)));
        let named = Select {
            commands: List { wanted: vec![b"ngi".to_vec()], unwanted: Vec::new() },
            ..Select::default()
        };
        assert!(named.takes(&process(1, "nginx"), &file, None));
        assert!(!named.takes(&process(1, "httpd"), &file, None));
        assert!(Select::default().takes(&process(1, "x"), &file, None));
        assert!(States::parse("TCP:nothing").is_err() && States::parse("LISTEN").is_err());
    }
}
