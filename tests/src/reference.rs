//! An independent tracer, bpftrace, read into the same events. It knows the
//! transitions, the cookie once somebody has asked for it, and the task on the CPU.
//! With it the scenarios can be checked without netbreath, and the task on the CPU
//! shows what a naive owner would be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, anyhow};

use crate::event::{Event, Owner, endpoint};
use crate::socket;

/// One line for each transition in the scenario's namespaces: what the machine does
/// besides would make bpftrace lose events. A transition of the suite itself, in its
/// own namespace, is a mark: when it shows, the probe is attached, which bpftrace says
/// too early, and all that happened before on that CPU is read, which bpftrace does
/// not wait for when it ends.
const PROGRAM: &str = r#"
tracepoint:sock:inet_sock_set_state {
    $sk = (struct sock *)args->skaddr;
    $netns = (uint64)$sk->__sk_common.skc_net.net->ns.inum;
    if ($netns == OWN_NETNS) {
        if (pid == OWN_PID) { printf("mark %d %d\n", cpu, args->sport); }
        return;
    }
    if (OTHERS) { return; }
    printf("%llu %llx %llu %llu %d %d %d %d %s %s %d %d %d %d %s\n", nsecs,
        (uint64)args->skaddr, (uint64)$sk->__sk_common.skc_cookie.counter,
        $netns, args->protocol, args->family, args->oldstate, args->newstate,
        ntop(args->saddr_v6), ntop(args->daddr_v6), args->sport,
        args->dport, pid, uid, comm);
}
"#;

pub fn program(namespaces: &[u64]) -> Result<String> {
    let own = std::fs::metadata("/proc/self/ns/net").context("inode of the own namespace")?;
    let others: Vec<_> = namespaces.iter().map(|netns| format!("$netns != {netns}")).collect();
    let program = PROGRAM.replace("OWN_NETNS", &own.ino().to_string());
    let program = program.replace("OWN_PID", &std::process::id().to_string());
    Ok(program.replace("OTHERS", &others.join(" && ")))
}

/// Makes a mark on every CPU; the lines that will show it.
pub fn mark() -> Result<Vec<String>> {
    std::thread::spawn(|| {
        let failed = |failed| anyhow!("mark a CPU: {failed:?}");
        let mut marks = Vec::new();
        for cpu in socket::cpus().map_err(failed)? {
            socket::pin(cpu).map_err(failed)?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            marks.push(format!("mark {cpu} {}", listener.local_addr()?.port()));
        }
        Ok(marks)
    })
    .join()
    .map_err(|_| anyhow!("the thread that marks CPUs panicked"))?
}

/// States as the kernel numbers them.
const STATES: [&str; 13] = [
    "?",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

struct Line {
    at: i64,
    pointer: String,
    cookie: u64,
    netns: u64,
    proto: String,
    family: u8,
    old: usize,
    new: usize,
    local: SocketAddr,
    remote: SocketAddr,
    owner: Owner,
}

pub fn read(text: &str) -> Result<Vec<Event>> {
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())) {
        lines.push(parse(line).with_context(|| format!("bpftrace said {line:?}"))?);
    }
    // bpftrace reads one buffer per CPU, each in its own order.
    lines.sort_by_key(|line| line.at);
    let mut events = events(&lines);
    for line in text.lines() {
        if let Some(count) = line.strip_prefix("Lost ") {
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            let what = Some(line.to_owned());
            events.push(Event { event: "gap".to_owned(), what, count, ..Event::default() });
        }
    }
    Ok(events)
}

fn parse(line: &str) -> Result<Line> {
    let mut words = line.splitn(15, ' ');
    let mut word = || words.next().context("too few words");
    let at = word()?.parse()?;
    let pointer = word()?.to_owned();
    let cookie = word()?.parse()?;
    let netns = word()?.parse()?;
    let proto = match word()? {
        "6" => "tcp".to_owned(),
        "262" => "mptcp".to_owned(),
        other => other.to_owned(),
    };
    let family = if word()? == "10" { 6 } else { 4 };
    let (old, new) = (word()?.parse()?, word()?.parse()?);
    // The tracepoint gives every address as IPv6; an IPv4 socket's are mapped.
    let own = |addr: IpAddr| {
        if family == 4 { addr.to_canonical() } else { addr }
    };
    let (saddr, daddr) = (own(word()?.parse()?), own(word()?.parse()?));
    let (sport, dport) = (word()?.parse()?, word()?.parse()?);
    let (pid, uid) = (word()?.parse()?, word()?.parse()?);
    let owner = Owner { pid, comm: word()?.to_owned(), exe: None, uid, how: "cpu".to_owned() };
    let (local, remote) = (SocketAddr::new(saddr, sport), SocketAddr::new(daddr, dport));
    Ok(Line { at, pointer, cookie, netns, proto, family, old, new, local, remote, owner })
}

/// Cuts the lines of one address in memory into lives, since the kernel gives the
/// address out again, and gives each line what its life knew at any time: cookie
/// and local port come late.
fn events(lines: &[Line]) -> Vec<Event> {
    let mut lives: Vec<(u64, Option<SocketAddr>, bool)> = Vec::new();
    let mut current: HashMap<&str, usize> = HashMap::new();
    let mut life_of = Vec::new();
    for line in lines {
        let (old, new) = (state(line.old), state(line.new));
        let born = matches!((old, new), ("CLOSE", _) | ("LISTEN", "SYN_RECV"));
        if born || !current.contains_key(line.pointer.as_str()) {
            current.insert(&line.pointer, lives.len());
            lives.push((0, None, born));
        }
        let life = current[line.pointer.as_str()];
        life_of.push(life);
        let (cookie, local, _) = &mut lives[life];
        if line.cookie != 0 {
            *cookie = line.cookie;
        }
        if line.local.port() != 0 && local.is_none() {
            *local = Some(line.local);
        }
    }
    let mut events = Vec::new();
    for (line, &life) in lines.iter().zip(&life_of) {
        let (cookie, local, born) = lives[life];
        // A socket whose cookie nobody ever asked for gets a number that no cookie
        // has.
        let id = if cookie == 0 { u64::MAX - life as u64 } else { cookie };
        events.push(Event {
            at: line.at,
            event: "state".to_owned(),
            via: "kernel".to_owned(),
            socket: Some(id),
            proto: Some(line.proto.clone()),
            family: Some(line.family),
            local: Some(endpoint(local.unwrap_or(line.local))),
            remote: Some(endpoint(line.remote)),
            old: Some(state(line.old).to_owned()),
            new: Some(state(line.new).to_owned()),
            owner: Some(line.owner.clone()),
            netns: Some(line.netns),
            born: Some(born),
            ..Event::default()
        });
    }
    events
}

fn state(number: usize) -> &'static str {
    STATES.get(number).copied().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_memory_that_is_used_again_is_another_socket() -> Result<()> {
        let events = read(concat!(
            "mark 0 80\n",
            "30 aa 9 7 6 2 1 7 ::ffff:127.0.0.1 ::ffff:127.0.0.1 4000 80 5 0 a\n",
            "10 aa 9 7 6 2 7 2 ::ffff:127.0.0.1 ::ffff:127.0.0.1 0 80 5 0 a b\n",
            "20 aa 9 7 6 2 2 1 ::ffff:127.0.0.1 ::ffff:127.0.0.1 4000 80 5 0 a b\n",
            "40 aa 0 7 6 2 10 3 ::ffff:127.0.0.1 ::ffff:127.0.0.1 80 4001 5 0 c\n",
        ))?;
        let ids: Vec<_> = events.iter().map(|event| event.socket == Some(9)).collect();
        assert_eq!(ids, [true, true, true, false]);
        assert_eq!(events[0].local.as_deref(), Some("127.0.0.1:4000"));
        assert_eq!(events[0].owner.as_ref().map(|owner| owner.comm.as_str()), Some("a b"));
        assert_eq!(events[3].transition(), "LISTEN>SYN_RECV");
        Ok(())
    }
}
