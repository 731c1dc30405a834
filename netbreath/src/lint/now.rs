//! The same judgements on what is there now, for a question that is answered once. How
//! long something has been so is not known then.

use std::collections::HashMap;
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::{Finding, Name, Thresholds};
use crate::event::{Comm, Family, Flow, How, Owner, SocketId};
use crate::table::socket::{Proto, Socket, Sockets};

/// So many connections of one process in CLOSE_WAIT are no coincidence.
const MANY: u32 = 10;

/// What is odd about these sockets. Findings have no time.
pub fn judge(sockets: &Sockets, thresholds: &Thresholds) -> Vec<Finding> {
    let mut findings = Vec::new();
    // By process; by local port; by way.
    let mut close_wait: HashMap<u32, (u32, &Socket)> = HashMap::new();
    let mut half_open: HashMap<u16, (u32, &Socket)> = HashMap::new();
    let mut waiting: HashMap<(IpAddr, IpAddr, u16), (u32, &Socket)> = HashMap::new();
    let listens: Vec<u16> = sockets
        .rows
        .iter()
        .filter(|row| row.state == TcpState::Listen)
        .filter_map(|row| row.inet().map(|(local, _)| local.port))
        .collect();
    for row in sockets.rows.iter().filter(|row| matches!(row.proto, Proto::Tcp | Proto::Mptcp)) {
        let Some((local, remote)) = row.inet() else { continue };
        match row.state {
            TcpState::Listen => {
                // The kernel lets one more in than was asked for.
                if row.recv_q > row.send_q {
                    let evidence = format!(
                        "{} connections wait for accept(), and its queue has room for {}",
                        row.recv_q,
                        row.send_q + 1
                    );
                    findings.push(finding(Name::AcceptQueue, row, sockets, evidence));
                }
                if local.addr.is_unspecified() {
                    let evidence = format!("it listens on {local}: every address");
                    findings.push(finding(Name::WildcardListener, row, sockets, evidence));
                }
            }
            TcpState::CloseWait => {
                let pid = owner(row, sockets).map_or(0, |owner| owner.pid);
                close_wait.entry(pid).or_insert((0, row)).0 += 1;
            }
            TcpState::SynRecv | TcpState::NewSynRecv => {
                half_open.entry(local.port).or_insert((0, row)).0 += 1;
            }
            TcpState::TimeWait if !listens.contains(&local.port) => {
                let way = (local.addr, remote.addr, remote.port);
                waiting.entry(way).or_insert((0, row)).0 += 1;
            }
            _ => {}
        }
    }
    for (count, row) in close_wait.into_values().filter(|(count, _)| *count >= MANY) {
        let evidence = format!("{count} of its connections are in CLOSE_WAIT");
        findings.push(finding(Name::CloseWait, row, sockets, evidence));
    }
    for (count, row) in half_open.into_values().filter(|(count, _)| *count > thresholds.half_open) {
        let evidence = format!("{count} connections to its port are half-open");
        findings.push(finding(Name::HalfOpenFlood, row, sockets, evidence));
    }
    let most = u64::from(thresholds.local_ports) * u64::from(thresholds.ports_percent) / 100;
    for (count, row) in waiting.into_values().filter(|(count, _)| u64::from(*count) >= most) {
        let ports = thresholds.local_ports;
        let evidence = format!("{count} of {ports} local ports towards it are in TIME_WAIT");
        findings.push(finding(Name::PortExhaustion, row, sockets, evidence));
    }
    let pid = |finding: &Finding| finding.owner.as_ref().map(|owner| owner.pid);
    findings.sort_by_key(|finding| (finding.lint, pid(finding), finding.socket));
    findings
}

fn owner(row: &Socket, sockets: &Sockets) -> Option<Owner> {
    let holder = sockets.holders.of(row.inode).first()?;
    let process = sockets.holders.process(holder.pid)?;
    let name = String::from_utf8_lossy(&process.comm).into_owned();
    let (pid, uid) = (process.pid, process.uid.unwrap_or(row.uid));
    Some(Owner { pid, comm: Comm::from_name(&name), exe: None, uid, how: How::Snapshot })
}

fn finding(lint: Name, row: &Socket, sockets: &Sockets, evidence: String) -> Finding {
    let flow = row.inet().map(|(local, remote)| Flow {
        family: if local.addr.is_ipv4() { Family::V4 } else { Family::V6 },
        local,
        remote,
    });
    let socket = Some(SocketId(row.cookie));
    Finding { at: 0, lint, owner: owner(row, sockets), socket, flow, evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::socket::{Detail, Ends, Holder, Holders, Process, Timer};

    fn socket(inode: u32, state: TcpState, local: &str, remote: &str) -> Socket {
        Socket {
            proto: Proto::Tcp,
            state,
            ends: Ends::Inet {
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                interface: 0,
            },
            inode,
            uid: 0,
            recv_q: 0,
            send_q: 0,
            timer: Timer::default(),
            cookie: inode.into(),
            netns: 0,
            detail: Detail::default(),
        }
    }

    fn judged(rows: Vec<Socket>) -> Vec<(&'static str, Option<u32>, String)> {
        let all = rows.iter().map(|row| Holder { inode: row.inode, pid: 7, fd: 3 }).collect();
        let processes = vec![Process { pid: 7, comm: b"web".to_vec(), ..Process::default() }];
        let holders = Holders::new(all, processes);
        let sockets = Sockets { rows, holders, ..Sockets::default() };
        let brief = |finding: Finding| {
            (finding.lint.name(), finding.owner.map(|owner| owner.pid), finding.evidence)
        };
        judge(&sockets, &Thresholds::default()).into_iter().map(brief).collect()
    }

    #[test]
    fn what_is_odd_now_is_found_and_the_ordinary_is_not() {
        use TcpState::{CloseWait, Established, Listen, SynRecv, TimeWait};
        let many = |count: u32, state, local: fn(u32) -> String| -> Vec<Socket> {
            (1..=count).map(|n| socket(n, state, &local(n), "10.0.0.7:80")).collect()
        };
        let fixed = |_| "10.0.0.1:8080".to_owned();
        let own = |n: u32| format!("10.0.0.1:{}", 30_000 + n);
        assert_eq!(judged(many(9, CloseWait, fixed)), []);
        assert_eq!(judged(many(500, Established, fixed)), []);
        assert_eq!(judged(many(128, SynRecv, fixed)), []);
        assert_eq!(judged(many(21_173, TimeWait, own)), []);
        let name = |found: &[(&'static str, _, _)]| found.iter().map(|f| f.0).collect::<Vec<_>>();
        let found = judged(many(10, CloseWait, fixed));
        assert_eq!((name(&found), found[0].1), (vec!["close_wait"], Some(7)));
        assert_eq!(name(&judged(many(129, SynRecv, fixed))), ["half_open_flood"]);
        assert_eq!(name(&judged(many(21_174, TimeWait, own))), ["port_exhaustion"]);
        let mut listener = socket(1, Listen, "0.0.0.0:80", "0.0.0.0:*");
        assert_eq!(name(&judged(vec![listener.clone()])), ["wildcard_listener"]);
        (listener.recv_q, listener.send_q) = (3, 2);
        let found = judged(vec![listener]);
        assert_eq!(name(&found), ["accept_queue", "wildcard_listener"]);
        assert_eq!(found[0].2, "3 connections wait for accept(), and its queue has room for 3");
    }
}
