//! TIME_WAIT, which outlives the socket, to its end; and ends that have none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{ACTIVE, ACTIVE_CUT, LISTENER, PASSIVE, V4};
use crate::ledger::Entry;
use crate::socket;
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};

/// TIME_WAIT lasts 60 s, and the kernel's timer may be late by five.
const PATIENCE: Duration = Duration::from_secs(90);

/// What `ss` says of a namespace at one moment.
struct Sample {
    before: i64,
    after: i64,
    time_waits: BTreeSet<String>,
}

fn sample(stage: &Stage) -> Result<Sample> {
    stage.netns.inside(|| {
        let before = socket::now();
        let output = std::process::Command::new("ss")
            .args(["-Htan", "state", "time-wait"])
            .output()
            .context("run ss")?;
        let after = socket::now();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let time_waits = text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned))
            .collect();
        Ok(Sample { before, after, time_waits })
    })
}

/// Two connections: one whose client waits for the server's FIN with the socket still its
/// own, one that the client has closed, so that a mini-socket gets the FIN.
pub fn to_its_end(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let mut ends = Vec::new();
    for half in [true, false] {
        let c = client.connect(address(&listener)?)?;
        let s = server.accept(&listener, Call::Accept4)?;
        if half {
            client.shutdown_write(&c)?;
            server.drain(&s)?;
            server.close(&s)?;
            client.drain(&c)?;
            client.close(&c)?;
        } else {
            client.close(&c)?;
            server.drain(&s)?;
            std::thread::sleep(Duration::from_millis(50));
            server.close(&s)?;
        }
        ends.push((c, s));
    }
    server.close(&listener)?;
    let mut samples = vec![sample(stage)?];
    let deadline = Instant::now() + PATIENCE;
    while samples.last().is_some_and(|sample| !sample.time_waits.is_empty()) {
        ensure!(Instant::now() < deadline, "ss shows TIME_WAIT for longer than {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
        samples.push(sample(stage)?);
    }
    stage.wait_until_told("TIME_WAIT", "CLOSE", 2, Duration::from_secs(10))?;
    stage.expect(&listener, LISTENER)?;
    for (c, s) in &ends {
        stage.expect(c, &format!("{ACTIVE} CLOSE"))?;
        stage.expect_peer(s);
        stage.expect(s, PASSIVE)?;
        stage.expect_peer(c);
    }
    for (c, _) in &ends {
        compare(stage, c, &samples)?;
    }
    Ok(())
}

/// Each sample of `ss` agrees with what was told of that time.
fn compare(stage: &Stage, c: &Entry, samples: &[Sample]) -> Result<()> {
    let Some(told) = stage.told_so_far()? else { return Ok(()) };
    let of = |what: fn(&crate::event::Event) -> bool| {
        let mut events = told.iter().filter(|event| event.socket == Some(c.socket));
        events.find(|event| what(event)).map(|event| event.at)
    };
    let begin = of(|event| event.new.as_deref() == Some("TIME_WAIT")).context("no TIME_WAIT")?;
    let end = of(|event| event.old.as_deref() == Some("TIME_WAIT")).context("no end of it")?;
    let local = c.local.context("a client has no address")?.to_string();
    let (mut shown, mut late) = (0, 0);
    for Sample { before, after, time_waits } in samples {
        let there = time_waits.contains(&local);
        shown += u32::from(there);
        if there && (*after < begin || *before > end) {
            bail!("ss shows {local} in TIME_WAIT at {before}, not between {begin} and {end}");
        }
        // It is looked at when its timer has run off, which takes a moment.
        late += u32::from(!there && *before > begin && *after < end);
    }
    ensure!(shown > 100, "ss has shown {local} in TIME_WAIT {shown} times only");
    ensure!(late <= 10, "{local} is told to be in TIME_WAIT {late} samples after ss has none");
    Ok(())
}

/// The peer never sends its FIN: a mini-socket in FIN_WAIT2 has its own time.
pub fn none_without_a_fin(stage: &mut Stage) -> Result<()> {
    stage.set("tcp_fin_timeout", "1")?;
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    stage.wait_until_told("FIN_WAIT2", "CLOSE", 1, Duration::from_secs(30))?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE_CUT, PASSIVE)
}

/// Negative TCP_LINGER2: whoever closes does not wait.
pub fn none_with_linger2(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.tcp_option(&meeting.c, libc::TCP_LINGER2, -1)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    // The server's kernel acknowledges the FIN, at the latest when it has waited for data to
    // send along; the client's has nobody any more to whom that would matter, and resets.
    stage.wait_until_told("FIN_WAIT2", "CLOSE", 1, Duration::from_secs(30))?;
    stage.wait_until_told("CLOSE_WAIT", "CLOSE", 1, Duration::from_secs(30))?;
    meeting.server.close(&meeting.s)?;
    let reset = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE";
    stage.expect_meeting(&meeting, ACTIVE_CUT, reset)
}

/// There is room for one mini-socket in this namespace: the next connection has none.
pub fn none_where_there_is_no_room(stage: &mut Stage) -> Result<()> {
    stage.set("tcp_max_tw_buckets", "1")?;
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    for path in [ACTIVE, ACTIVE_CUT, ACTIVE_CUT] {
        let c = client.connect(address(&listener)?)?;
        let s = server.accept(&listener, Call::Accept4)?;
        client.shutdown_write(&c)?;
        server.drain(&s)?;
        server.close(&s)?;
        client.drain(&c)?;
        client.close(&c)?;
        stage.expect(&c, path)?;
        stage.expect_peer(&s);
        stage.expect(&s, PASSIVE)?;
        stage.expect_peer(&c);
    }
    // The tracer looks for them through the processes that are here.
    stage.wait_until_told("FIN_WAIT2", "CLOSE", 2, Duration::from_secs(10))?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}

/// A new connection with the same two ends takes the place of one in TIME_WAIT.
pub fn reused(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:80")?;
    for path in [format!("{ACTIVE} CLOSE"), ACTIVE.to_owned()] {
        let socket = client.open(Family::V4, Proto::Tcp)?;
        client.bind(&socket, "127.0.0.1:4000".parse()?)?;
        let c = client.connect_on(&socket, address(&listener)?)?;
        ensure!(c.errno.is_none(), "connect() said {:?}", c.errno);
        let s = server.accept(&listener, Call::Accept4)?;
        client.close(&c)?;
        server.drain(&s)?;
        server.close(&s)?;
        // The kernel allows it when timestamps have moved on by more than a second.
        std::thread::sleep(Duration::from_millis(2100));
        stage.expect(&c, &path)?;
        stage.expect_peer(&s);
        stage.expect(&s, PASSIVE)?;
        stage.expect_peer(&c);
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}
