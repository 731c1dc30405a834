//! Replaces what tells who and where by stand-ins, the same for the same within one
//! recording: addresses, names of processes, programs, control groups, interfaces and
//! hosts. Ports, numbers of processes and users, states and times stay.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::network::{Address, Changed, Link, LinkAddress, LinkRef, Neighbour, Nexthop, Route};
use super::{Body, Cgroup, Closer, Comm, Event, Owner, Process, Socket};

/// What stands for what. It grows by what is met for the first time.
#[derive(Debug, Default)]
pub struct Mask {
    v4: HashMap<Ipv4Addr, u32>,
    v6: HashMap<Ipv6Addr, u64>,
    comms: HashMap<Comm, usize>,
    programs: HashMap<Arc<str>, usize>,
    cgroups: HashMap<Arc<str>, usize>,
    names: HashMap<Arc<str>, usize>,
    interfaces: HashMap<String, usize>,
    links: HashMap<Vec<u8>, usize>,
}

/// The number of a thing: the next one if it is new.
fn number<K: Hash + Eq>(known: &mut HashMap<K, usize>, key: K) -> usize {
    let next = known.len() + 1;
    *known.entry(key).or_insert(next)
}

impl Mask {
    /// The event with stand-ins.
    pub fn event(&mut self, event: &Event) -> Event {
        let mut event = event.clone();
        if let Some(socket) = event.body.socket_mut() {
            self.socket(socket);
        }
        match &mut event.body {
            Body::Seed(_)
            | Body::HalfOpen(_)
            | Body::State(_)
            | Body::Accept(_)
            | Body::ConnectFailed(_)
            | Body::Retransmit(_)
            | Body::Reset(_)
            | Body::Drop(_)
            | Body::Udp(_)
            | Body::Clock { .. } => {}
            Body::Owner(handover) => self.owner(&mut handover.from),
            Body::Closed(closed) => {
                if let Some(Closer { pid: _, comm, exe }) = &mut closed.closer {
                    self.comm(comm);
                    self.program(exe);
                }
            }
            Body::Dns(dns) => {
                if let Some(name) = &mut dns.message.name {
                    *name = self.host(name);
                }
                for answer in &mut dns.message.answers {
                    *answer = self.answer(answer);
                }
            }
            Body::Unix(unix) => {
                if let Some(path) = &mut unix.path {
                    let kind = if path.starts_with('@') { '@' } else { '/' };
                    let n = number(&mut self.names, Arc::clone(path));
                    *path = format!("{kind}name-{n}").into();
                }
                for owner in
                    [&mut unix.owner, &mut unix.from, &mut unix.peer_owner, &mut unix.opened_by]
                {
                    self.owner(owner);
                }
                self.cgroup(&mut unix.cgroup);
            }
            Body::Exec(process) | Body::Fork(process) | Body::Exit(process) => {
                self.process(process);
            }
            Body::Link(changed) => self.changed(changed, Mask::link),
            Body::Address(changed) => self.changed(changed, Mask::address),
            Body::Route(changed) => self.changed(changed, Mask::route),
            Body::Neighbour(changed) => self.changed(changed, Mask::neighbour),
            // Our own words; what the system answered can name files and processes.
            Body::Gap(gap) => gap.why = "masked".to_owned(),
        }
        event
    }

    fn socket(&mut self, socket: &mut Socket) {
        let Socket { id: _, peer: _, proto: _, flow, owner, opened_by, netns: _, cgroup, born: _ } =
            socket;
        flow.local.addr = self.addr(flow.local.addr);
        flow.remote.addr = self.addr(flow.remote.addr);
        self.owner(owner);
        self.owner(opened_by);
        self.cgroup(cgroup);
    }

    fn owner(&mut self, owner: &mut Option<Owner>) {
        if let Some(Owner { pid: _, comm, exe, uid: _, how: _ }) = owner {
            self.comm(comm);
            self.program(exe);
        }
    }

    fn process(&mut self, process: &mut Process) {
        let Process { pid: _, parent: _, comm, exe, cmdline, uid: _, start: _ } = process;
        self.comm(comm);
        self.program(exe);
        // Arguments hold anything.
        if cmdline.is_some() {
            *cmdline = Some("masked".into());
        }
    }

    fn comm(&mut self, comm: &mut Comm) {
        *comm = Comm::from_name(&format!("process-{}", number(&mut self.comms, *comm)));
    }

    fn program(&mut self, exe: &mut Option<Arc<str>>) {
        if let Some(exe) = exe {
            *exe = format!("/program-{}", number(&mut self.programs, Arc::clone(exe))).into();
        }
    }

    fn cgroup(&mut self, cgroup: &mut Option<Cgroup>) {
        if let Some(cgroup) = cgroup
            && &**cgroup != "/"
        {
            let n = number(&mut self.cgroups, Arc::from(&**cgroup));
            *cgroup = Cgroup::from(format!("/group-{n}").as_str());
        }
    }

    /// Loopback, multicast and "any" say nothing of where; all others do.
    fn addr(&mut self, addr: IpAddr) -> IpAddr {
        match addr {
            IpAddr::V4(addr) => self.v4(addr).into(),
            IpAddr::V6(addr) => match addr.to_ipv4_mapped() {
                Some(v4) => self.v4(v4).to_ipv6_mapped().into(),
                None => self.v6(addr).into(),
            },
        }
    }

    fn v4(&mut self, addr: Ipv4Addr) -> Ipv4Addr {
        if addr.is_loopback() || addr.is_unspecified() || addr.is_multicast() || addr.is_broadcast()
        {
            return addr;
        }
        let next = self.v4.len() as u32 + 1;
        let n = *self.v4.entry(addr).or_insert(next);
        // The network for benchmarks (RFC 2544) first, then the reserved one: both are
        // nobody's.
        Ipv4Addr::from(match n {
            ..0x2_0000 => 0xc612_0000 + n,
            _ => 0xf000_0000 + (n & 0xfff_ffff),
        })
    }

    fn v6(&mut self, addr: Ipv6Addr) -> Ipv6Addr {
        if addr.is_loopback() || addr.is_unspecified() || addr.is_multicast() {
            return addr;
        }
        let next = self.v6.len() as u64 + 1;
        let n = *self.v6.entry(addr).or_insert(next);
        // Documentation (RFC 3849); link-local ones stay so.
        let prefix: u128 = if addr.is_unicast_link_local() { 0xfe80 } else { 0x2001_0db8 };
        let shift = if addr.is_unicast_link_local() { 112 } else { 96 };
        Ipv6Addr::from(prefix << shift | u128::from(n))
    }

    fn host(&mut self, name: &Arc<str>) -> Arc<str> {
        format!("name-{}.example", number(&mut self.names, Arc::clone(name))).into()
    }

    fn answer(&mut self, answer: &Arc<str>) -> Arc<str> {
        match answer.parse() {
            Ok(addr) => self.addr(addr).to_string().into(),
            Err(_) => self.host(answer),
        }
    }

    fn changed<T>(&mut self, changed: &mut Changed<T>, mask: fn(&mut Mask, &mut T)) {
        mask(self, &mut changed.now);
        if let Some(was) = &mut changed.was {
            mask(self, was);
        }
    }

    fn interface(&mut self, name: &mut String) {
        if name != "lo" {
            *name = format!("if-{}", number(&mut self.interfaces, std::mem::take(name)));
        }
    }

    fn reference(&mut self, reference: &mut Option<LinkRef>) {
        if let Some(LinkRef { ifindex: _, ifname: Some(name) }) = reference {
            self.interface(name);
        }
    }

    fn hardware(&mut self, address: &mut Option<LinkAddress>) {
        if let Some(LinkAddress(bytes)) = address
            && bytes.iter().any(|byte| *byte != 0)
            && bytes.iter().any(|byte| *byte != 0xff)
        {
            let n = number(&mut self.links, bytes.clone()) as u64;
            let len = bytes.len();
            for (at, byte) in bytes.iter_mut().rev().enumerate() {
                *byte = if at < 8 { (n >> (8 * at)) as u8 } else { 0 };
            }
            if len == 6 {
                // Locally administered.
                bytes[0] = 2;
            }
        }
    }

    fn link(&mut self, link: &mut Link) {
        self.interface(&mut link.ifname);
        for address in [&mut link.address, &mut link.broadcast, &mut link.permaddr] {
            self.hardware(address);
        }
        self.reference(&mut link.link);
        self.reference(&mut link.master);
        link.ifalias = None;
        link.altnames.iter_mut().for_each(|name| self.interface(name));
    }

    fn address(&mut self, address: &mut Address) {
        self.interface(&mut address.ifname);
        address.local = self.addr(address.local);
        for addr in [&mut address.peer, &mut address.broadcast, &mut address.anycast] {
            *addr = addr.map(|addr| self.addr(addr));
        }
        if let Some(label) = &mut address.label {
            self.interface(label);
        }
    }

    fn route(&mut self, route: &mut Route) {
        route.dst = self.addr(route.dst);
        for addr in [&mut route.src, &mut route.gateway, &mut route.prefsrc] {
            *addr = addr.map(|addr| self.addr(addr));
        }
        if let Some(dev) = &mut route.dev {
            self.interface(dev);
        }
        for Nexthop { gateway, dev, .. } in &mut route.nexthops {
            *gateway = gateway.map(|addr| self.addr(addr));
            if let Some(dev) = dev {
                self.interface(dev);
            }
        }
    }

    fn neighbour(&mut self, neighbour: &mut Neighbour) {
        self.interface(&mut neighbour.ifname);
        neighbour.dst = self.addr(neighbour.dst);
        self.hardware(&mut neighbour.lladdr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Family, Flow, How, Proto, SocketId, State, Via};
    use netbreath_common::tcp::TcpState;

    fn event(local: &str, remote: &str, comm: &str) -> Event {
        Event {
            at: 1,
            via: Via::Kernel,
            body: Body::State(State {
                socket: Socket {
                    id: SocketId(1),
                    peer: None,
                    proto: Proto::Tcp,
                    flow: Flow {
                        family: Family::V4,
                        local: local.parse().unwrap(),
                        remote: remote.parse().unwrap(),
                    },
                    owner: Some(Owner {
                        pid: 7,
                        comm: Comm::from_name(comm),
                        exe: Some(format!("/bin/{comm}").as_str().into()),
                        uid: 1000,
                        how: How::Connect,
                    }),
                    opened_by: None,
                    netns: None,
                    cgroup: Some("/user.slice/secret".into()),
                    born: true,
                },
                old: TcpState::Close,
                new: TcpState::SynSent,
                in_state: None,
            }),
        }
    }

    fn written(event: &Event) -> String {
        let mut out = Vec::new();
        crate::event::write_json(event, 0, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_has_the_same_stand_in_and_nothing_true_is_left() {
        let mut mask = Mask::default();
        let first = written(&mask.event(&event("10.1.2.3:5000", "93.184.216.134:443", "curl")));
        let again = written(&mask.event(&event("10.1.2.3:5000", "93.184.216.134:443", "curl")));
        assert_eq!(first, again);
        for secret in ["10.1.2.3", "93.184", "curl", "secret"] {
            assert!(!first.contains(secret), "{first}");
        }
        assert!(
            first.contains(r#""local":"198.18.0.1:5000","remote":"198.18.0.2:443""#),
            "{first}"
        );
        let other = written(&mask.event(&event("93.184.216.134:443", "127.0.0.1:9", "wget")));
        assert!(other.contains(r#""local":"198.18.0.2:443","remote":"127.0.0.1:9""#), "{other}");
        assert!(other.contains("process-2") && other.contains("/program-2"), "{other}");
        let mapped =
            written(&mask.event(&event("[::ffff:10.1.2.3]:5", "[2001:db8:5::1]:80", "curl")));
        assert!(mapped.contains(r#""local":"[::ffff:198.18.0.1]:5","remote":"[2001:db8::1]:80""#));
    }
}
