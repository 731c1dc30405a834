//! Names of ports: what `/etc/services` says, and for ports that it does not know, a few
//! that everybody meets.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::view::{Cell, Column, Field};

/// Where names of ports are written down (RFC 6335 tells who gives them).
const FILE: &str = "/etc/services";

/// A port with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub port: u16,
    pub proto: String,
    pub aliases: Vec<String>,
    port_text: String,
    alias_text: String,
}

impl Service {
    fn new(name: &str, port: u16, proto: &str, aliases: Vec<String>) -> Service {
        Service {
            name: name.to_owned(),
            port,
            proto: proto.to_owned(),
            port_text: format!("{port}/{proto}"),
            alias_text: aliases.join(" "),
            aliases,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {FILE}: {source}")]
pub struct Error {
    source: io::Error,
}

/// All services, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Services {
    all: Vec<Service>,
}

/// Used where there is no file: containers often have none.
const USUAL: &str = "\
ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp mail\ndomain 53/tcp\ndomain 53/udp
bootps 67/udp\nbootpc 68/udp\nhttp 80/tcp www\nkerberos 88/tcp\npop3 110/tcp\nntp 123/udp
imap2 143/tcp imap\nsnmp 161/udp\nbgp 179/tcp\nldap 389/tcp\nhttps 443/tcp\nhttps 443/udp
submission 587/tcp\nldaps 636/tcp\nimaps 993/tcp\npop3s 995/tcp\nmysql 3306/tcp
postgresql 5432/tcp\nmdns 5353/udp\nhttp-alt 8080/tcp webcache\nhttp-alt 8080/udp";

impl Services {
    /// What the system's file says; without one, the usual names.
    pub fn read() -> Result<Services, Error> {
        match fs::read_to_string(Path::new(FILE)) {
            Ok(text) => Ok(Services::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Services::parse(USUAL)),
            Err(source) => Err(Error { source }),
        }
    }

    fn parse(text: &str) -> Services {
        let all = text.lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let name = words.next()?;
            let (port, proto) = words.next()?.split_once('/')?;
            let aliases = words.map(str::to_owned).collect();
            Some(Service::new(name, port.parse().ok()?, proto, aliases))
        });
        Services { all: all.collect() }
    }

    /// The name of a port.
    pub fn name(&self, port: u16, proto: &str) -> Option<&str> {
        let is = |service: &&Service| service.port == port && service.proto == proto;
        self.all.iter().find(is).map(|service| service.name.as_str())
    }

    /// What a query is about: a port, a port of a protocol, or a name.
    pub fn find(&self, query: &str) -> Vec<&Service> {
        let (what, proto) = match query.split_once('/') {
            Some((what, proto)) => (what, Some(proto.to_ascii_lowercase())),
            None => (query, None),
        };
        let port = what.parse::<u16>().ok();
        let fits = |service: &&Service| {
            proto.as_ref().is_none_or(|proto| service.proto == *proto)
                && match port {
                    Some(port) => service.port == port,
                    None => {
                        service.name.eq_ignore_ascii_case(what)
                            || service.aliases.iter().any(|a| a.eq_ignore_ascii_case(what))
                    }
                }
        };
        self.all.iter().filter(fits).collect()
    }

    pub fn all(&self) -> &[Service] {
        &self.all
    }
}

/// Names of IP's protocols, by their numbers (`/etc/protocols`); none without that file.
pub fn protocols() -> HashMap<u16, String> {
    let text = fs::read_to_string("/etc/protocols").unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let name = words.next()?;
        Some((words.next()?.parse().ok()?, name.to_owned()))
    };
    let mut names = HashMap::new();
    for (number, name) in text.lines().filter_map(line) {
        // The first name is the one that tools show.
        names.entry(number).or_insert(name);
    }
    names
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.port_text)
    }
}

/// Keys of a line in JSON, in order.
pub const KEYS: [&str; 4] = ["name", "port", "proto", "aliases"];

#[rustfmt::skip]
pub static COLUMNS: [Column<Service>; 3] = [
    Column::plain("name", "NAME", "name of the service", 16, &[&NAME]),
    Column { cell: port, ..Column::plain("port", "PORT", "port and protocol", 10, &[&PORT, &PROTO]) },
    Column::plain("aliases", "ALIASES", "its other names", 20, &[&ALIASES]),
];

const NAME: Field<Service> =
    Field { key: "name", read: |service| Cell::Name(service.name.as_bytes()) };
const PORT: Field<Service> =
    Field { key: "port", read: |service| Cell::Number(service.port.into()) };
const PROTO: Field<Service> =
    Field { key: "proto", read: |service| Cell::Name(service.proto.as_bytes()) };
const ALIASES: Field<Service> = Field {
    key: "aliases",
    read: |service| match service.alias_text.as_str() {
        "" => Cell::Absent,
        aliases => Cell::Name(aliases.as_bytes()),
    },
};

fn port(service: &Service) -> Cell<'_> {
    Cell::Name(service.port_text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_names_are_found_both_ways() {
        let services = Services::parse(
            "# comment\nhttp 80/tcp www # World Wide Web\nhttp-alt\t8080/tcp webcache\n\
             http-alt 8080/udp\nbroken 1\nworse x/tcp\n",
        );
        let find =
            |query: &str| services.find(query).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(find("8080"), ["http-alt 8080/tcp", "http-alt 8080/udp"]);
        assert_eq!(find("8080/UDP"), ["http-alt 8080/udp"]);
        assert_eq!(find("WWW"), ["http 80/tcp"]);
        assert!(find("nonsense").is_empty() && find("81").is_empty());
        assert_eq!(services.name(80, "tcp"), Some("http"));
        assert_eq!(services.name(80, "udp"), None);
        assert_eq!(Services::parse(USUAL).find("8080").len(), 2);
    }
}
