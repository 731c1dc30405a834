//! The filter language of `ss`: conditions on addresses, ports, interfaces, marks and
//! control groups, with `and`, `or`, `not` and brackets (man 8 ss, EXPRESSION). As in ss,
//! `and` binds no stronger than `or`: what stands first is joined first; two conditions
//! that stand beside each other are both demanded.

use std::net::{IpAddr, ToSocketAddrs};

use crate::service::Services;
use crate::table::socket::{Ends, Socket};
use crate::view::socket::shown;

/// A condition on a socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Host(Side, Host),
    /// A port that is at least, or at most, this.
    AtLeast(Side, u32),
    AtMost(Side, u32),
    /// The index of the interface that it is bound to.
    Dev(u32),
    Mark {
        value: u32,
        mask: u32,
    },
    Cgroup(u64),
    /// The kernel chose its local port.
    Autobound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Local,
    Remote,
}

/// What an end is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// One of these networks; none is any address.
    pub networks: Vec<(IpAddr, u8)>,
    pub port: Option<u32>,
    /// A pattern for the name of a UNIX socket: then all else is unsaid.
    pub unix: Option<String>,
    /// A protocol of packet and netlink sockets.
    pub protocol: Option<u32>,
    /// Only sockets of this family.
    pub family: Option<HostFamily>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFamily {
    V4,
    V6,
    Unix,
    Packet,
    Netlink,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the filter ends where {wanted} is missing")]
    End { wanted: &'static str },
    #[error("the filter has {word:?} where {wanted} should stand; `man ss` shows the language")]
    Word { word: String, wanted: &'static str },
    #[error("{word:?} is no address, network or host that has one")]
    Address { word: String },
    #[error("{word:?} is no port: give a number or a name out of /etc/services")]
    Port { word: String },
    #[error("there is no interface {word:?}")]
    Interface { word: String },
    #[error("{word:?} is no mark: give a number, or a number/mask")]
    Mark { word: String },
    #[error("there is no control group {word:?}: give its path below /sys/fs/cgroup")]
    Cgroup { word: String },
}

/// What a filter's words are looked up in.
pub trait Lookup {
    fn interface(&self, name: &str) -> Option<u32>;
    fn cgroup(&self, path: &str) -> Option<u64>;
    fn services(&self) -> Services;
}

/// What the operating system says once, for `Autobound`.
#[derive(Clone, Copy, Debug)]
pub struct Ephemeral {
    pub first: u16,
    pub last: u16,
}

impl Ephemeral {
    pub const fn has(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// Reads a filter; none if there are no words. Words may stand in one argument or several.
pub fn parse(arguments: &[String], lookup: &dyn Lookup) -> Result<Option<Filter>, Error> {
    let words: Vec<&str> = arguments.iter().flat_map(|part| part.split_whitespace()).collect();
    if words.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { words: &words, lookup, services: None };
    let filter = parser.list()?;
    match parser.words {
        [] => Ok(Some(filter)),
        [word, ..] => {
            Err(Error::Word { word: (*word).to_owned(), wanted: "the end, or a condition" })
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    lookup: &'a dyn Lookup,
    services: Option<Services>,
}

impl<'a> Parser<'a> {
    fn next(&mut self, wanted: &'static str) -> Result<&'a str, Error> {
        let (first, rest) = self.words.split_first().ok_or(Error::End { wanted })?;
        self.words = rest;
        Ok(first)
    }

    fn take(&mut self, words: &[&str]) -> bool {
        let taken = self.words.first().is_some_and(|word| words.contains(word));
        if taken {
            self.words = &self.words[1..];
        }
        taken
    }

    fn list(&mut self) -> Result<Filter, Error> {
        let mut left = self.one()?;
        loop {
            if self.words.is_empty() || self.words.first() == Some(&")") {
                return Ok(left);
            }
            if self.take(&["|", "||", "or"]) {
                left = Filter::Or(left.into(), self.one()?.into());
            } else {
                self.take(&["&", "&&", "and"]);
                left = Filter::And(left.into(), self.one()?.into());
            }
        }
    }

    fn one(&mut self) -> Result<Filter, Error> {
        const WANTED: &str = "a condition (src, dst, sport, dport, dev, fwmark, cgroup, autobound)";
        let word = self.next(WANTED)?;
        match word {
            "(" => {
                let inner = self.list()?;
                match self.next("a closing bracket")? {
                    ")" => Ok(inner),
                    word => Err(Error::Word { word: word.into(), wanted: "a closing bracket" }),
                }
            }
            "!" | "not" => Ok(not(self.one()?)),
            "src" | "dst" => {
                self.take(EQUAL);
                let side = if word == "src" { Side::Local } else { Side::Remote };
                let host = self.next("an address")?;
                Ok(Filter::Host(side, self.host(host)?))
            }
            "sport" | "dport" => {
                let side = if word == "sport" { Side::Local } else { Side::Remote };
                self.port(side)
            }
            "dev" => {
                let unequal = self.unequal();
                let word = self.next("an interface")?;
                let index = self
                    .lookup
                    .interface(word)
                    .ok_or_else(|| Error::Interface { word: word.to_owned() })?;
                Ok(not_if(unequal, Filter::Dev(index)))
            }
            "fwmark" => {
                let unequal = self.unequal();
                let word = self.next("a mark")?;
                let (value, mask) =
                    word.split_once('/').map_or((word, None), |(v, m)| (v, Some(m)));
                let number =
                    |text: &str| number(text).ok_or_else(|| Error::Mark { word: word.to_owned() });
                let mask = mask.map_or(Ok(u32::MAX), number)?;
                Ok(not_if(unequal, Filter::Mark { value: number(value)?, mask }))
            }
            "cgroup" => {
                let unequal = self.unequal();
                let word = self.next("the path of a control group")?;
                let id = self
                    .lookup
                    .cgroup(word)
                    .ok_or_else(|| Error::Cgroup { word: word.to_owned() })?;
                Ok(not_if(unequal, Filter::Cgroup(id)))
            }
            "autobound" => Ok(Filter::Autobound),
            word => Err(Error::Word { word: word.to_owned(), wanted: WANTED }),
        }
    }

    /// Takes `=` or `!=`, or neither.
    fn unequal(&mut self) -> bool {
        !self.take(EQUAL) && self.take(UNEQUAL)
    }

    fn port(&mut self, side: Side) -> Result<Filter, Error> {
        #[derive(Clone, Copy)]
        enum Compare {
            Equal,
            Unequal,
            AtLeast,
            AtMost,
            More,
            Less,
        }
        let compare = if self.take(UNEQUAL) {
            Compare::Unequal
        } else if self.take(&[">=", "ge", "geq"]) {
            Compare::AtLeast
        } else if self.take(&["<=", "le", "leq"]) {
            Compare::AtMost
        } else if self.take(&[">", "gt"]) {
            Compare::More
        } else if self.take(&["<", "lt"]) {
            Compare::Less
        } else {
            self.take(EQUAL);
            Compare::Equal
        };
        let word = self.next("a port")?;
        let text = word.strip_prefix(':').unwrap_or(word);
        let any = text.is_empty() || text == "*";
        let host = |port| Filter::Host(side, Host { port, ..Host::default() });
        if any && matches!(compare, Compare::Equal | Compare::Unequal) {
            return Ok(not_if(matches!(compare, Compare::Unequal), host(None)));
        }
        let port = self.port_number(text)?;
        Ok(match compare {
            Compare::Equal => host(Some(port)),
            Compare::Unequal => not(host(Some(port))),
            Compare::AtLeast => Filter::AtLeast(side, port),
            Compare::AtMost => Filter::AtMost(side, port),
            Compare::More => not(Filter::AtMost(side, port)),
            Compare::Less => not(Filter::AtLeast(side, port)),
        })
    }

    fn port_number(&mut self, text: &str) -> Result<u32, Error> {
        if let Some(number) = number(text) {
            return Ok(number);
        }
        let lookup = self.lookup;
        let services = self.services.get_or_insert_with(|| lookup.services());
        let found = services.find(text);
        let port = found.first().filter(|_| !text.is_empty()).map(|service| service.port.into());
        port.ok_or_else(|| Error::Port { word: text.to_owned() })
    }

    /// `ADDRESS[/LENGTH][:PORT]`, with the family before it where it is not clear.
    fn host(&mut self, word: &str) -> Result<Host, Error> {
        const FAMILIES: [(&str, HostFamily); 5] = [
            ("inet:", HostFamily::V4),
            ("inet6:", HostFamily::V6),
            ("unix:", HostFamily::Unix),
            ("link:", HostFamily::Packet),
            ("netlink:", HostFamily::Netlink),
        ];
        let (family, rest) = FAMILIES
            .into_iter()
            .find_map(|(prefix, family)| Some((Some(family), word.strip_prefix(prefix)?)))
            .unwrap_or((None, word));
        let mut host = Host { family, ..Host::default() };
        match family {
            Some(HostFamily::Unix) => {
                host.unix = Some(rest.to_owned());
                return Ok(host);
            }
            Some(HostFamily::Packet | HostFamily::Netlink) => {
                let (protocol, port) = rest.split_once(':').unwrap_or((rest, ""));
                if !matches!(protocol, "" | "*") {
                    let netlink = family == Some(HostFamily::Netlink);
                    let named =
                        if netlink { netlink_number(protocol) } else { ether_number(protocol) };
                    let wrong = || Error::Address { word: word.to_owned() };
                    host.protocol = Some(named.or_else(|| number(protocol)).ok_or_else(wrong)?);
                }
                if !matches!(port, "" | "*") {
                    let named = match port {
                        "kernel" => Some(0),
                        port => number(port).or_else(|| self.lookup.interface(port)),
                    };
                    host.port = Some(named.ok_or_else(|| Error::Port { word: port.to_owned() })?);
                }
                return Ok(host);
            }
            _ => {}
        }
        let (addr, port) = split(rest);
        if !matches!(port, "" | "*") {
            host.port = Some(self.port_number(port)?);
        }
        if !matches!(addr, "" | "*") {
            host.networks =
                networks(addr).ok_or_else(|| Error::Address { word: word.to_owned() })?;
        }
        Ok(host)
    }
}

const EQUAL: &[&str] = &["=", "==", "eq"];
const UNEQUAL: &[&str] = &["!=", "ne", "neq"];

fn not(filter: Filter) -> Filter {
    Filter::Not(filter.into())
}

fn not_if(condition: bool, filter: Filter) -> Filter {
    if condition { not(filter) } else { filter }
}

/// A number, decimal or after `0x` hexadecimal.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// An address and what stands after the last colon; an IPv6 address has brackets, or no
/// port.
fn split(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix('[') {
        let (addr, rest) = rest.split_once(']').unwrap_or((rest, ""));
        // A length may stand behind the bracket.
        return match rest.strip_prefix(':') {
            Some(port) => (addr, port),
            None => (addr, ""),
        };
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() || is_network6(text) {
        return (text, "");
    }
    text.rsplit_once(':').unwrap_or((text, ""))
}

fn is_network6(text: &str) -> bool {
    text.split_once('/').is_some_and(|(addr, len)| {
        addr.parse::<std::net::Ipv6Addr>().is_ok() && len.parse::<u8>().is_ok()
    })
}

/// A network, an address, or all addresses of a host.
fn networks(text: &str) -> Option<Vec<(IpAddr, u8)>> {
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let most = |addr: &IpAddr| if addr.is_ipv4() { 32 } else { 128 };
    if let Ok(addr) = addr.parse::<IpAddr>() {
        let len = len.unwrap_or(most(&addr));
        return (len <= most(&addr)).then(|| vec![(addr, len)]);
    }
    // `127/8` is short for `127.0.0.0/8`.
    if len.is_some() && addr.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let mut parts = [0; 4];
        for (place, part) in addr.split('.').enumerate() {
            *parts.get_mut(place)? = part.parse().ok()?;
        }
        return Some(vec![(IpAddr::from(parts), len.filter(|len| *len <= 32)?)]);
    }
    let found: Vec<_> = (addr, 0).to_socket_addrs().ok()?.map(|end| end.ip()).collect();
    let mut networks: Vec<_> = found.into_iter().map(|addr| (addr, most(&addr))).collect();
    networks.dedup();
    (!networks.is_empty()).then_some(networks)
}

fn netlink_number(name: &str) -> Option<u32> {
    super::NETLINK.iter().find(|(_, known)| *known == name).map(|(number, _)| u32::from(*number))
}

fn ether_number(name: &str) -> Option<u32> {
    super::ETHER.iter().find(|(_, known)| *known == name).map(|(number, _)| u32::from(*number))
}

impl Filter {
    pub fn takes(&self, socket: &Socket, ephemeral: Ephemeral) -> bool {
        match self {
            Filter::And(a, b) => a.takes(socket, ephemeral) && b.takes(socket, ephemeral),
            Filter::Or(a, b) => a.takes(socket, ephemeral) || b.takes(socket, ephemeral),
            Filter::Not(inner) => !inner.takes(socket, ephemeral),
            Filter::Host(side, host) => host.takes(socket, *side),
            Filter::AtLeast(side, least) => port(socket, *side) >= *least,
            Filter::AtMost(side, most) => port(socket, *side) <= *most,
            Filter::Dev(index) => match socket.ends {
                Ends::Inet { interface, .. } | Ends::Packet { interface, .. } => {
                    interface == *index
                }
                _ => false,
            },
            Filter::Mark { value, mask } => socket.detail.mark & mask == *value,
            Filter::Cgroup(id) => socket.detail.cgroup == Some(*id),
            Filter::Autobound => match &socket.ends {
                Ends::Inet { local, .. } => ephemeral.has(local.port),
                Ends::Unix(ends) => ends.name.as_deref().is_none_or(|name| {
                    let digits = |part: &[u8]| {
                        part.iter()
                            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
                    };
                    matches!(name, [0, rest @ ..] if rest.len() == 5 && digits(rest))
                }),
                Ends::Packet { protocol, interface } => *protocol == 0 && *interface == 0,
                Ends::Netlink { port, .. } => port.cast_signed() < 0,
            },
        }
    }

    /// The families that the conditions speak of by name.
    pub fn families(&self, into: &mut Vec<HostFamily>) {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => {
                a.families(into);
                b.families(into);
            }
            Filter::Not(inner) => inner.families(into),
            Filter::Host(_, host) => into.extend(host.family),
            _ => {}
        }
    }
}

/// What stands for a port.
fn port(socket: &Socket, side: Side) -> u32 {
    match (&socket.ends, side) {
        (Ends::Inet { local, .. }, Side::Local) => local.port.into(),
        (Ends::Inet { remote, .. }, Side::Remote) => remote.port.into(),
        (Ends::Unix(_), Side::Local) => socket.inode,
        (Ends::Unix(ends), Side::Remote) => ends.peer,
        (Ends::Packet { interface, .. }, Side::Local) => *interface,
        (Ends::Netlink { port, .. }, Side::Local) => *port,
        (Ends::Packet { .. } | Ends::Netlink { .. }, Side::Remote) => 0,
    }
}

impl Host {
    fn takes(&self, socket: &Socket, side: Side) -> bool {
        if let Some(pattern) = &self.unix {
            let Some(ends) = socket.unix() else { return false };
            let name = match side {
                Side::Local => ends.name.as_deref().map(shown).unwrap_or_default(),
                // The kernel does not tell the peer's name.
                Side::Remote => Vec::new(),
            };
            return pattern.is_empty() || matches(pattern.as_bytes(), &name);
        }
        if self.port.is_some_and(|wanted| wanted != port(socket, side)) {
            return false;
        }
        if let Some(wanted) = self.protocol {
            return match socket.ends {
                Ends::Packet { protocol, .. } => u32::from(protocol) == wanted,
                Ends::Netlink { protocol, .. } => u32::from(protocol) == wanted,
                _ => false,
            };
        }
        if self.networks.is_empty() {
            return true;
        }
        let Some((local, remote)) = socket.inet() else { return false };
        let addr = if side == Side::Local { local.addr } else { remote.addr };
        self.networks.iter().any(|network| in_network(addr, *network))
    }
}

/// Whether an address lies in a network. A mapped one lies in those of IPv4 too.
fn in_network(addr: IpAddr, (network, len): (IpAddr, u8)) -> bool {
    let same = |a: u128, b: u128, bits: u32| bits == 0 || (a ^ b) >> (128 - bits) == 0;
    let high = |addr: std::net::Ipv4Addr| u128::from(u32::from(addr)) << 96;
    match (addr, network) {
        (IpAddr::V4(addr), IpAddr::V4(network)) => same(high(addr), high(network), len.into()),
        (IpAddr::V6(addr), IpAddr::V6(network)) => same(addr.into(), network.into(), len.into()),
        (IpAddr::V6(addr), IpAddr::V4(network)) => {
            addr.to_ipv4_mapped().is_some_and(|addr| same(high(addr), high(network), len.into()))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

/// Whether `text` fits a shell's pattern (`*`, `?`), whatever the case.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where the last star stood, and how far it reaches by now.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        let fits = pattern.get(p).is_some_and(|byte| {
            *byte == b'?' || *byte != b'*' && byte.eq_ignore_ascii_case(&text[t])
        });
        if fits {
            (p, t) = (p + 1, t + 1);
        } else if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some((place, reach)) = star {
            star = Some((place, reach + 1));
            (p, t) = (place + 1, reach + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use netbreath_common::tcp::TcpState;

    use super::*;
    use crate::event::Endpoint;
    use crate::table::socket::{Detail, Proto, Timer};

    struct None_;

    impl Lookup for None_ {
        fn interface(&self, name: &str) -> Option<u32> {
            (name == "lo").then_some(1)
        }

        fn cgroup(&self, path: &str) -> Option<u64> {
            (path == "/a").then_some(7)
        }

        fn services(&self) -> Services {
            Services::read().unwrap_or_default()
        }
    }

    fn tcp(local: &str, remote: &str) -> Socket {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint { addr: end.ip(), port: end.port() }
        };
        Socket {
            proto: Proto::Tcp,
            state: TcpState::Established,
            ends: Ends::Inet { local: end(local), remote: end(remote), interface: 0 },
            inode: 1,
            uid: 0,
            recv_q: 0,
            send_q: 0,
            timer: Timer::default(),
            cookie: 1,
            netns: 0,
            detail: Detail { mark: 0x12, ..Detail::default() },
        }
    }

    fn takes(filter: &str, socket: &Socket) -> bool {
        let filter = parse(&[filter.to_owned()], &None_).unwrap().unwrap();
        filter.takes(socket, Ephemeral { first: 32768, last: 60999 })
    }

    #[test]
    fn conditions_are_those_of_ss() {
        let socket = tcp("127.0.0.1:22", "10.1.2.3:40000");
        for filter in [
            "sport = :22",
            "sport 22",
            "sport eq ssh",
            "src 127.0.0.1",
            "src 127.0.0.1:22",
            "src = 127/8",
            "src *:22",
            "dst 10.1.0.0/16",
            "dport > 39999 and dport < 40001",
            "dport >= 40000 dport le 40000",
            "not dst 10.2.0.0/16",
            "! sport = :23",
            "( sport = :1 or sport = :22 ) and dst 10.1.2.3",
            // What stands first is joined first.
            "sport = :22 or sport = :1 and dport = :40000",
            "fwmark = 0x10/0xf0",
            "not autobound",
        ] {
            assert!(takes(filter, &socket), "{filter}");
        }
        for filter in [
            "sport != :22",
            "src 127.0.0.2",
            "src 127.0.0.1:23",
            "dport > 40000",
            "dst 10.2.0.0/16",
            "sport = :22 or sport = :1 and dport = :1",
            "dev = lo",
            "cgroup = /a",
            "fwmark = 0x12/0xf",
        ] {
            assert!(!takes(filter, &socket), "{filter}");
        }
        let mapped = tcp("[::ffff:127.0.0.1]:22", "[::ffff:10.0.0.1]:50000");
        assert!(takes("src 127.0.0.1", &mapped));
        assert!(takes("src [::ffff:127.0.0.1]:22", &mapped));
        assert!(!takes("dst inet6:[::1]", &mapped));
        assert!(takes("src fe80::/10", &tcp("[fe80::1]:1", "[fe80::2]:2")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |filter: &str| parse(&[filter.to_owned()], &None_).unwrap_err().to_string();
        assert!(error("sport").contains("a port is missing"));
        assert!(error("( sport = :1").contains("closing bracket"));
        assert!(error("sport = :1 )").contains("\")\""));
        assert!(error("sport = :nonsense").contains("no port"));
        assert!(error("src 10.0.0.0/33").contains("no address"));
        assert!(error("dev = x0").contains("no interface"));
        assert!(error("whatever").contains("should stand"));
        assert!(parse(&[], &None_).unwrap().is_none());
    }

    #[test]
    fn patterns_are_a_shells() {
        assert!(matches(b"/run/*", b"/run/x"));
        assert!(matches(b"*ABC", b"/x/abc"));
        assert!(matches(b"a?c", b"abc") && !matches(b"a?c", b"ac"));
        assert!(matches(b"*", b"") && !matches(b"a", b""));
    }
}
