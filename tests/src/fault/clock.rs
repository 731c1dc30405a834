//! The wall clock is set while netbreath runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Outcome, Report};
use crate::event::Event;
use crate::judge::boot_offsets;
use crate::socket;
use crate::stage::Stage;
use crate::tracer::Kind;

/// Only a machine of our own has this: its init reads it.
const OWN_MACHINE: &str = "/vm/commands";

const HOUR: i64 = 3600 * 1_000_000_000;

/// An hour ahead, a connection, back again, a connection.
pub fn set_ahead_and_back(report: &mut Report) -> Result<Outcome> {
    if !Path::new(OWN_MACHINE).exists() {
        let reason = "sets the clock of the whole machine: only in a test VM";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    let mut stage = Stage::new(Kind::Netbreath)?;
    stage.allow_strangers();
    stage.trace()?;
    let mut moments = Vec::new();
    for step in [0, HOUR, -HOUR] {
        set(socket::now() + step)?;
        // netbreath looks at the clock each second while there is work.
        for _ in 0..2 {
            converse(&stage)?;
            std::thread::sleep(Duration::from_millis(1500));
        }
        let before = socket::now();
        let port = converse(&stage)?;
        moments.push((port, before, socket::now()));
    }
    let (_, recording) = stage.finish(1)?;
    let events = &recording.events;
    let clocks: Vec<i64> = events.iter().filter_map(|event| event.boot).collect();
    report.check(clocks.len() >= 3, || format!("clock events: {clocks:?}"));
    if let [first, ahead, .., back] = clocks[..] {
        let near = |is: i64, must: i64| (is - must).abs() < HOUR / 60;
        report.check(near(ahead - first, HOUR), || format!("ahead by {}", ahead - first));
        report.check(near(back, first), || format!("back by {}", back - ahead));
    }
    for (port, before, after) in moments {
        let of = |event: &&Event| {
            event.new.as_deref() == Some("SYN_SENT")
                && event.remote.as_deref().is_some_and(|remote| remote.ends_with(&port))
        };
        let at = events.iter().find(of).map(|event| event.at);
        report.check(at.is_some_and(|at| (before - HOUR / 3600..=after).contains(&at)), || {
            format!("connected at {at:?}, not in {before}..{after}")
        });
    }
    // Durations and order do not know the wall clock.
    let boots = boot_offsets(events);
    let times: Vec<i64> = events.iter().zip(&boots).map(|(event, boot)| event.at - boot).collect();
    let early = times.windows(2).filter(|pair| pair[0] > pair[1]).count();
    report.equal("events out of order", &early, &0);
    let long = events.iter().filter(|event| event.in_state_ns > Some(HOUR / 2)).count();
    report.equal("states that lasted half an hour", &long, &0);
    Ok(Outcome::Done)
}

/// One connection; the end of its remote address.
fn converse(stage: &Stage) -> Result<String> {
    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    meeting.server.close(&meeting.listener)?;
    let port = meeting.listener.local.context("a listener has no address")?.port();
    Ok(format!(":{port}"))
}

fn set(nanoseconds: i64) -> Result<()> {
    let time = libc::timespec {
        tv_sec: nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    };
    // SAFETY: the kernel reads one timespec.
    if unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) } != 0 {
        return Err(std::io::Error::last_os_error()).context("set the clock");
    }
    Ok(())
}
