//! Loss, counted exactly.

use anyhow::Result;

use super::{Capture, Part, namespace};
use crate::fault::Report;

/// With a small ring and a reader that stands still, what came and what was lost is all
/// that went by.
pub fn counted_exactly(report: &mut Report) -> Result<()> {
    const SENT: u64 = 3000;
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &["-B", "64K", "udp"])?;
    capture.signal(libc::SIGSTOP);
    super::wait_until_stopped(capture.child.id())?;
    let mut blast = Part::start(netns.fd(), &["udp-blast", "127.0.0.1:9", &SENT.to_string()])?;
    blast.done()?;
    capture.signal(libc::SIGCONT);
    // A packet behind the gap, so that it has its place.
    Part::start(netns.fd(), &["udp-blast", "127.0.0.1:9", "1"])?.done()?;
    let captured = capture.stop()?;
    let file = &captured.file;
    let [_, passed, lost, delivered] = file.statistics[0];
    report.equal("packets that passed", &passed, &(SENT + 1));
    report.equal("delivered and lost", &(delivered + lost), &(SENT + 1));
    report.equal("delivered", &delivered, &(file.packets.len() as u64));
    report.check(lost > SENT / 2, || format!("only {lost} lost: the ring is too large for this"));
    let told: u64 = file.packets.iter().map(|packet| packet.lost).sum();
    report.check(told <= lost, || format!("{told} told with packets, {lost} lost"));
    report.holds("the summary", &captured.talk, &format!("{lost} lost because the ring was full"));
    report.note(format!("{delivered} delivered, {lost} lost, {told} of these told with packets"));
    Ok(())
}
