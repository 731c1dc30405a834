//! Names of hosts, ports and protocols.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::name::Names;
use crate::service::{self, Services};

/// How long all answers together are waited for: a name server that is dead must not hold up
/// what is printed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one is waited for.
const EACH: Duration = Duration::from_millis(500);

/// Names, as the system has them.
pub struct Naming {
    hosts: Names,
    /// Time that is left to wait for answers.
    patience: Duration,
    pub(super) tcp: HashMap<u16, String>,
    pub(super) udp: HashMap<u16, String>,
    pub(super) protocols: HashMap<u16, String>,
}

impl Naming {
    /// Names from the system's files and its resolver. `waits`: an answer is waited for, within
    /// limits; else an address stays a number until it is known.
    pub fn system(waits: bool) -> Result<Naming, service::Error> {
        let services = Services::read()?;
        let of = |proto: &str| {
            let mut names = HashMap::new();
            for service in services.all().iter().filter(|service| service.proto == proto) {
                names.entry(service.port).or_insert_with(|| service.name.clone());
            }
            names
        };
        Ok(Naming {
            hosts: Names::system(),
            patience: if waits { PATIENCE } else { Duration::ZERO },
            tcp: of("tcp"),
            udp: of("udp"),
            protocols: service::protocols(),
        })
    }

    pub(super) fn name(&mut self, addr: IpAddr) -> Option<&str> {
        if !self.patience.is_zero() {
            let begin = Instant::now();
            let limit = self.patience.min(EACH);
            self.hosts.wait(addr, limit);
            self.patience = self.patience.saturating_sub(begin.elapsed());
        }
        self.hosts.name(addr)
    }
}
