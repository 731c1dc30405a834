//! What numbers are called: hosts, ports, users, interfaces. Looked up before an answer is
//! written; what has no name stays a number.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::name::HostNames;
use crate::service::Services;

/// See the module.
#[derive(Debug, Default)]
pub struct Labels {
    pub hosts: HostNames,
    services: Option<Services>,
    users: HashMap<u32, String>,
    interfaces: HashMap<(u32, u32), String>,
    /// Names of IP's protocols, and of processes: only where somebody set them.
    pub protocols: HashMap<u16, String>,
    pub processes: HashMap<u32, Vec<u8>>,
    /// Ports that were looked up, by protocol.
    ports: std::cell::RefCell<HashMap<(u16, &'static str), Option<String>>>,
}

impl Labels {
    pub fn new(
        hosts: HostNames,
        services: Option<Services>,
        users: HashMap<u32, String>,
        interfaces: HashMap<(u32, u32), String>,
    ) -> Labels {
        Labels { hosts, services, users, interfaces, ..Labels::default() }
    }

    pub fn host(&self, addr: IpAddr) -> Option<&str> {
        self.hosts.name(addr)
    }

    /// Calls `put` with the name of a port, if it has one.
    pub fn port(&self, port: u16, proto: &'static str, put: impl FnOnce(Option<&str>)) {
        let Some(services) = &self.services else { return put(None) };
        if proto == "raw" {
            return put(self.protocols.get(&port).map(String::as_str));
        }
        let mut ports = self.ports.borrow_mut();
        let name = ports
            .entry((port, proto))
            .or_insert_with(|| services.name(port, proto).map(str::to_owned));
        put(name.as_deref());
    }

    /// Users have these names.
    pub fn users(&mut self, users: HashMap<u32, String>) {
        self.users = users;
    }

    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(String::as_str)
    }

    /// The name of an interface of a namespace.
    pub fn interface(&self, netns: u32, index: u32) -> Option<&str> {
        self.interfaces.get(&(netns, index)).map(String::as_str)
    }
}
