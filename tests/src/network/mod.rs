//! Interfaces, addresses, routes and neighbours in a namespace of their own, and what
//! the classics and netbreath say of them.
//!
//! A classic is asked, then netbreath, then the classic again: what counts up or runs
//! down must lie between, everything else must be the same.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::netns::Netns;
use crate::tracer;

pub mod classic;
pub mod json;
pub mod watch;

/// What a command printed.
#[derive(Clone, Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub out: String,
    pub talk: String,
}

/// A namespace with a network in it.
#[derive(Debug)]
pub struct Place {
    pub netns: Netns,
}

/// Two veth pairs, a bridge, a tun, a tap; addresses, routes and neighbours of all kinds
/// that these kernels have.
const NETWORK: &str = "
link add br0 type bridge
link add v0 type veth peer name v1
link add v2 type veth peer name v3
tuntap add tun0 mode tun
tuntap add tap0 mode tap
link set v1 master br0
link set br0 up
link set v0 up
link set v1 up
link set v2 up
link set v3 mtu 1400
link set tun0 up
link set v2 promisc on
link set v0 alias hello
link property add dev v0 altname longer-name
addr add 10.1.0.1/24 dev v0 brd +
addr add 10.1.0.9/24 dev v0 label v0:x
addr add 10.1.0.10/24 dev v0
addr add 10.2.0.1 peer 10.2.0.2/32 dev tun0
addr add 10.1.0.254/24 dev br0
addr add 2001:db8::1/64 dev v0 nodad
addr add 2001:db8::5/64 dev v0 nodad valid_lft 9000 preferred_lft 0
route add default via 10.1.0.2
route add 10.5.0.0/16 via 10.1.0.3 metric 7 mtu 1400 advmss 1300
route add 10.6.0.0/16 nexthop via 10.1.0.4 weight 2 nexthop via 10.1.0.5
route add blackhole 10.7.0.0/16
route add unreachable 10.8.0.0/16
route add prohibit 10.8.5.5
route add 10.9.0.0/16 dev v0 table 100 proto static tos 0x10
route add 10.10.0.0/16 dev v0 src 10.1.0.9 window 1000 rto_min 30ms congctl reno
-6 route add 2001:db8:5::/48 via 2001:db8::2 metric 5
-6 route add unreachable 2001:db8:6::/48
-6 route add 2001:db8:7::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3
neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev v0
neigh add 10.1.0.8 lladdr 02:00:00:00:00:07 nud stale dev v0
neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 router dev v0
neigh add proxy 10.3.3.3 dev v0
";

/// Kinds of interfaces that some kernels have and some have not.
const OPTIONAL: [(&str, &str); 4] = [
    ("dummy", "link add d0 type dummy"),
    ("vlan", "link add link v0 name v0.7 type vlan id 7"),
    ("bond", "link add bo0 type bond"),
    ("wireguard", "link add wg0 type wireguard"),
];

impl Place {
    /// A namespace with nothing but lo.
    pub fn empty() -> Result<Place> {
        Ok(Place { netns: Netns::create()? })
    }

    /// A namespace with the whole network, and the kinds of interfaces that this kernel
    /// does not have.
    pub fn built() -> Result<(Place, Vec<&'static str>)> {
        let place = Place::empty()?;
        for line in NETWORK.lines().filter(|line| !line.is_empty()) {
            place.must("ip", &words(line))?;
        }
        let mut lacking = Vec::new();
        for (kind, line) in OPTIONAL {
            if place.run("ip", &words(line))?.code != Some(0) {
                lacking.push(kind);
            }
        }
        // Addresses that are still looked at for duplicates change by themselves.
        place.wait("addresses to settle", || {
            let addresses = place.must("ip", &["addr"])?;
            Ok(!addresses.contains("tentative"))
        })?;
        Ok((place, lacking))
    }

    /// Runs a program in the namespace, without a locale and without names of hosts.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        self.netns.inside(|| {
            let output = Command::new(program)
                .args(arguments)
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .output()
                .with_context(|| format!("run {program} {arguments:?}"))?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let (out, talk) = (text(output.stdout), text(output.stderr));
            Ok(Output { code: output.status.code(), out, talk })
        })
    }

    /// What a program that has to succeed prints.
    pub fn must(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let Output { code, out, talk } = self.run(program, arguments)?;
        ensure!(code == Some(0), "{program} {arguments:?}: code {code:?}: {talk}");
        Ok(out)
    }

    /// What netbreath prints, asked as the classic is: `ip -j addr`.
    pub fn ours(&self, line: &str) -> Result<String> {
        let binary = tracer::binary()?;
        self.must(&binary.to_string_lossy(), &words(line))
    }

    /// The same of the classic.
    pub fn theirs(&self, line: &str) -> Result<String> {
        let all = words(line);
        let (program, arguments) = all.split_first().context("an empty line")?;
        self.must(program, arguments)
    }

    pub fn wait(&self, for_what: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        while !done()? {
            if Instant::now() > end {
                bail!("waited 30 s for {for_what}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
