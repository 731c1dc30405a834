//! The scenarios: one table, one file for each subject.

use anyhow::{Result, bail};

use crate::judge::Verdict;
use crate::ledger::Entry;
use crate::stage::Stage;
use crate::step::{Family, Proto};
use crate::tracer::{Kind, Recording};
use crate::{netns, socket};

mod close;
mod dns;
mod family;
mod filter;
mod half_open;
mod many;
mod owner;
mod peer;
mod process;
mod refused;
mod reset;
mod retransmit;
mod snapshot;
mod time_wait;
mod timeout;
mod udp;
mod unix;

/// IPv4 and IPv6 loopback, on a port that the kernel chooses.
const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

/// The lives that most scenarios share.
/// Recordings end while the one that closed first is in TIME_WAIT.
const ACTIVE: &str = "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT";
/// The same without TIME_WAIT: by RST.
const ACTIVE_CUT: &str = "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE";
const PASSIVE: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE";
const LISTENER: &str = "CLOSE LISTEN CLOSE";

/// What a scenario cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// Options that only netbreath has.
    Netbreath,
    /// A kernel with this protocol.
    Proto(Proto),
    Ipv6,
    /// A program of the system.
    Program(&'static str),
    /// A kernel that tells of packets to mini-sockets: `kfree_skb` names the socket.
    Mini,
    /// A kernel that tells of resets that go out for a mini-socket: one with reasons for them.
    MiniReset,
}

pub struct Scenario {
    pub name: &'static str,
    pub need: Need,
    /// The judge must make at least so many checks.
    pub minimum: u64,
    play: fn(&mut Stage) -> Result<()>,
}

const fn scenario(
    name: &'static str,
    minimum: u64,
    play: fn(&mut Stage) -> Result<()>,
) -> Scenario {
    Scenario { name, need: Need::Nothing, minimum, play }
}

impl Scenario {
    const fn needs(self, need: Need) -> Scenario {
        Scenario { need, ..self }
    }

    /// Why it cannot be played here, if it cannot.
    pub fn obstacle(&self, kind: Kind) -> Option<String> {
        if socket::uid() != 0 {
            return Some("needs root: network namespaces and eBPF".to_owned());
        }
        match self.need {
            Need::Nothing => None,
            Need::Netbreath if kind == Kind::Netbreath => None,
            Need::Netbreath => Some("needs an option that only netbreath has".to_owned()),
            Need::Mini if kind != Kind::Netbreath => {
                Some("needs an option that only netbreath has".to_owned())
            }
            Need::Proto(proto) => unsupported(Family::V4, proto),
            Need::Ipv6 => unsupported(Family::V6, Proto::Tcp),
            Need::Mini if !has_type_word("rx_sk") => {
                Some("this kernel tells of no packets to mini-sockets".to_owned())
            }
            Need::MiniReset if !has_type_word("sk_rst_reason") => {
                Some("this kernel tells of no resets for mini-sockets".to_owned())
            }
            Need::Mini | Need::MiniReset => None,
            Need::Program(name) => {
                let found = std::process::Command::new(name).arg("-V").output().is_ok();
                (!found).then(|| format!("needs the program {name}"))
            }
        }
    }

    /// Plays it. A fault of the tracer is in the verdict or, with all that the
    /// tracer said, in the error.
    pub fn play(&self, kind: Kind) -> Result<Verdict> {
        self.play_with(kind, &[])
    }

    /// Plays it with another tracer beside; what both have seen of the scenario's namespace.
    pub fn play_beside(&self, options: &[&str]) -> Result<(Verdict, [Recording; 2])> {
        let mut stage = Stage::new(Kind::Netbreath)?;
        stage.watch_beside(options);
        let netns = Some(stage.netns.inode());
        (self.play)(&mut stage)?;
        let (verdict, mut first, second) = stage.finish_both(self.minimum)?;
        let Some(mut second) = second else { bail!("no tracer was beside") };
        for recording in [&mut first, &mut second] {
            recording.events.retain(|event| event.netns == netns);
        }
        Ok((verdict, [first, second]))
    }

    /// The same with further options for the tracer.
    pub fn play_with(&self, kind: Kind, options: &[String]) -> Result<Verdict> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut stage = Stage::with_options(kind, options)?;
            let netns = stage.netns.inode();
            (self.play)(&mut stage)?;
            let (verdict, recording) = stage.finish(self.minimum)?;
            if verdict.faults.is_empty() {
                return Ok(verdict);
            }
            let Recording { command, talk, misses, .. } = recording;
            // The reference is not under test: what it has missed says nothing.
            if kind == Kind::Bpftrace && misses > 0 && attempts < 5 {
                eprintln!("{}: again, the reference missed {misses} transitions", self.name);
                continue;
            }
            bail!("{verdict}\n    namespace {netns}; {misses} misses\n{command}\n{talk}")
        }
    }
}

/// Whether the running kernel's type information has this word.
fn has_type_word(word: &str) -> bool {
    let word = [&[0], word.as_bytes(), &[0]].concat();
    let types = std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    types.windows(word.len()).any(|window| window == word)
}

/// The program of every actor.
fn own_exe() -> Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}

/// A connect() that failed leaves the socket its port, but no address: on loopback
/// it was the peer's.
fn with_address(mut failed: Entry) -> Entry {
    if let (Some(local), Some(remote)) = (&mut failed.local, failed.remote) {
        local.set_ip(remote.ip());
    }
    failed
}

fn unsupported(family: Family, proto: Proto) -> Option<String> {
    // In a new namespace, because a protocol may be switched off in this one.
    let tried = netns::Netns::create().and_then(|netns| {
        netns.inside(move || match socket::open(family, proto) {
            Ok(fd) => Ok(socket::close(fd).err()),
            Err(failed) => Ok(Some(failed)),
        })
    });
    match tried {
        Ok(None) => None,
        Ok(Some(failed)) => Some(format!(
            "no {proto:?} over {family:?} in this kernel: {}: {}",
            failed.call,
            std::io::Error::from_raw_os_error(failed.errno)
        )),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// Every scenario there is.
pub const ALL: &[Scenario] = &[
    // First, since it takes a minute: others are played beside it.
    scenario("time_wait::to_its_end", 120, time_wait::to_its_end).needs(Need::Program("ss")),
    scenario("close::client_first", 60, close::client_first),
    scenario("close::server_first", 60, close::server_first),
    scenario("close::client_half", 60, close::client_half),
    scenario("close::server_half", 60, close::server_half),
    scenario("close::both_at_once", 60, close::both_at_once),
    scenario("reset::by_client", 40, reset::by_client),
    scenario("reset::by_server", 40, reset::by_server),
    scenario("reset::client_leaves_data_unread", 40, reset::client_leaves_data_unread),
    scenario("reset::server_leaves_data_unread", 40, reset::server_leaves_data_unread),
    scenario("reset::of_a_half_closed_connection", 40, reset::of_a_half_closed_connection),
    scenario("reset::of_a_peer_that_writes_on", 40, reset::of_a_peer_that_writes_on),
    scenario("reset::of_a_peer_that_writes_late", 40, reset::of_a_peer_that_writes_late)
        .needs(Need::MiniReset),
    scenario("reset::before_accept", 40, reset::before_accept),
    scenario("reset::listener_closes_with_a_queue", 40, reset::listener_closes_with_a_queue),
    scenario("half_open::from_the_syn_on", 60, half_open::from_the_syn_on),
    scenario("half_open::abandoned", 30, half_open::abandoned).needs(Need::Netbreath),
    scenario("half_open::syn_cookie", 60, half_open::syn_cookie),
    scenario("half_open::with_itself", 30, half_open::with_itself),
    scenario("half_open::both_at_once", 60, half_open::both_at_once),
    scenario("time_wait::none_without_a_fin", 60, time_wait::none_without_a_fin),
    scenario("time_wait::none_with_linger2", 60, time_wait::none_with_linger2),
    scenario("time_wait::none_where_there_is_no_room", 120, time_wait::none_where_there_is_no_room),
    scenario("time_wait::reused", 100, time_wait::reused),
    scenario("peer::over_veth", 60, peer::over_veth).needs(Need::Program("ip")),
    scenario("refused::v4", 12, refused::v4),
    scenario("refused::v6", 12, refused::v6).needs(Need::Ipv6),
    scenario("refused::with_a_chosen_port", 12, refused::with_a_chosen_port),
    scenario("refused::without_waiting", 12, refused::without_waiting),
    scenario("refused::no_route", 10, refused::no_route).needs(Need::Ipv6),
    scenario("timeout::no_answer", 20, timeout::no_answer),
    scenario("timeout::peer_falls_silent", 40, timeout::peer_falls_silent),
    scenario("timeout::given_up", 20, timeout::given_up),
    scenario("retransmit::syn", 60, retransmit::syn),
    scenario("retransmit::syn_ack", 60, retransmit::syn_ack),
    scenario("retransmit::data", 60, retransmit::data),
    scenario("owner::every_accept_call", 150, owner::every_accept_call),
    scenario("owner::threads", 150, owner::threads),
    scenario("owner::prefork", 250, owner::prefork),
    scenario("owner::prefork_that_waits", 250, owner::prefork_that_waits),
    scenario("owner::another_user", 60, owner::another_user),
    scenario("owner::socket_of_the_parent", 60, owner::socket_of_the_parent),
    scenario("owner::closed_by_a_child", 60, owner::closed_by_a_child),
    scenario("owner::killed", 60, owner::killed),
    scenario("owner::mutant_from_cpu", 1, owner::mutant_from_cpu),
    scenario("owner::mutant_from_cpu_prefork", 1, owner::mutant_from_cpu_prefork),
    scenario("process::short_lived", 300, process::short_lived),
    scenario("process::exec_after_accept", 60, process::exec_after_accept),
    scenario("process::exec_of_an_old_process", 60, process::exec_of_an_old_process),
    scenario("process::named_threads", 60, process::named_threads),
    scenario("process::events", 9, process::events).needs(Need::Netbreath),
    scenario("process::events_of_a_pid", 6, process::events_of_a_pid).needs(Need::Netbreath),
    scenario("snapshot::listener_and_connection", 60, snapshot::listener_and_connection),
    scenario("snapshot::accept_under_way", 40, snapshot::accept_under_way),
    scenario("snapshot::prefork", 100, snapshot::prefork),
    scenario("filter::local_port", 30, filter::local_port).needs(Need::Netbreath),
    scenario("filter::listener_port", 30, filter::listener_port).needs(Need::Netbreath),
    scenario("filter::client_pid", 30, filter::client_pid).needs(Need::Netbreath),
    scenario("filter::client_pid_in_fin_wait2", 25, filter::client_pid_in_fin_wait2)
        .needs(Need::Mini),
    scenario("filter::worker_pid", 30, filter::worker_pid).needs(Need::Netbreath),
    scenario("family::v6", 60, family::v6).needs(Need::Ipv6),
    scenario("family::mapped_client", 60, family::mapped_client).needs(Need::Ipv6),
    scenario("family::mapped_server", 60, family::mapped_server).needs(Need::Ipv6),
    scenario("family::two_namespaces", 120, family::two_namespaces),
    scenario("family::mptcp", 15, family::mptcp).needs(Need::Proto(Proto::Mptcp)),
    scenario("family::sctp", 5, family::sctp).needs(Need::Proto(Proto::Sctp)),
    scenario("family::dccp", 5, family::dccp).needs(Need::Proto(Proto::Dccp)),
    scenario("udp::connected", 46, udp::connected).needs(Need::Netbreath),
    scenario("udp::unconnected", 48, udp::unconnected).needs(Need::Netbreath),
    scenario("udp::v6", 46, udp::v6).needs(Need::Ipv6),
    scenario("udp::mapped", 46, udp::mapped).needs(Need::Ipv6),
    scenario("udp::counts", 30, udp::counts).needs(Need::Netbreath),
    scenario("udp::shared_with_a_child", 45, udp::shared_with_a_child).needs(Need::Netbreath),
    scenario("udp::passed", 31, udp::passed).needs(Need::Netbreath),
    scenario("udp::snapshot", 41, udp::snapshot).needs(Need::Netbreath),
    scenario("udp::two_namespaces", 69, udp::two_namespaces).needs(Need::Netbreath),
    scenario("udp::filter_pid", 21, udp::filter_pid).needs(Need::Netbreath),
    scenario("udp::filter_lport", 30, udp::filter_lport).needs(Need::Netbreath),
    scenario("udp::filter_raddr", 16, udp::filter_raddr).needs(Need::Netbreath),
    scenario("udp::not_asked_for", 4, udp::not_asked_for).needs(Need::Netbreath),
    scenario("udp::many", 8_000, udp::many).needs(Need::Netbreath),
    scenario("dns::through_a_stub", 100, dns::through_a_stub).needs(Need::Netbreath),
    scenario("dns::v6_and_errors", 60, dns::v6_and_errors).needs(Need::Ipv6),
    scenario("dns::strange_messages", 41, dns::strange_messages).needs(Need::Netbreath),
    scenario("dns::asked_by_a_child", 30, dns::asked_by_a_child).needs(Need::Netbreath),
    scenario("unix::stream", 41, unix::stream).needs(Need::Netbreath),
    scenario("unix::abstract_seqpacket", 41, unix::abstract_seqpacket).needs(Need::Netbreath),
    scenario("unix::datagrams", 22, unix::datagrams).needs(Need::Netbreath),
    scenario("unix::shared_with_a_child", 41, unix::shared_with_a_child).needs(Need::Netbreath),
    scenario("unix::child_only_reads", 41, unix::child_only_reads).needs(Need::Netbreath),
    scenario("unix::child_only_writes", 41, unix::child_only_writes).needs(Need::Netbreath),
    scenario("unix::killed", 35, unix::killed).needs(Need::Netbreath),
    scenario("unix::snapshot", 32, unix::snapshot).needs(Need::Netbreath),
    scenario("unix::filter_pid", 12, unix::filter_pid).needs(Need::Netbreath),
    scenario("unix::many", 3_700, unix::many).needs(Need::Netbreath),
    scenario("many::prefork", 50_000, many::prefork),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_scenario_has_a_minimum() {
        let names: BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|scenario| scenario.minimum > 0));
    }
}
