//! One connection: who it belongs to, and its life as a ladder. Time goes down, segments
//! go to the right or come from there.

use netbreath_common::tcp::TcpState;
use ratatui::layout::Rect;

use super::Hits;
use super::brush::{Brush, Ink, endpoint, grouped, rate};
use super::pane::wrapped;
use crate::event::{Segment, SocketId};
use crate::format::text::ended;
use crate::table::connection::{Connection, Step, What};
use crate::tui::top::model::{Model, World};

/// Which way a segment went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Out,
    In,
    None,
}

pub fn draw(
    model: &Model,
    world: &World,
    id: SocketId,
    area: Rect,
    brush: &mut Brush<'_>,
    hits: &mut Hits,
) {
    let Some(row) = world.tables.connections().get(id) else {
        brush.put(2, area.y + 1, area.width, "this connection is over and forgotten", Ink::Aside);
        return;
    };
    let top = facts(world, row, area, brush);
    let ladder = Rect { y: top, height: area.bottom().saturating_sub(top), ..area };
    let mut lines = steps(row, brush);
    if let Some(told) = world.findings.iter().rev().find(|told| told.finding.socket == Some(id)) {
        lines.push((String::new(), Ink::Plain));
        lines.push((format!("! {}", brush.finding(told)), Ink::Warn));
        let lesson = format!("{}.", told.finding.lint.lesson());
        let width = usize::from(area.width).saturating_sub(4);
        lines.extend(wrapped(&lesson, width).into_iter().map(|l| (format!("  {l}"), Ink::Plain)));
    }
    hits.rows = ladder;
    hits.height = ladder.height.into();
    hits.total = lines.len();
    hits.offset = model.open_offset.min(lines.len().saturating_sub(hits.height));
    for (place, (text, ink)) in lines.iter().skip(hits.offset).take(hits.height).enumerate() {
        brush.put(area.x, ladder.y + place as u16, area.width, text, *ink);
    }
}

/// What is true of it now; the line behind.
fn facts(world: &World, row: &Connection, area: Rect, brush: &mut Brush<'_>) -> u16 {
    let arrow = if brush.unicode() { "→" } else { "->" };
    let width = area.width;
    let mut y = area.y;
    let mut put = |brush: &mut Brush<'_>, text: String, ink| {
        if y < area.bottom() {
            brush.put(area.x, y, width, &text, ink);
            y += 1;
        }
    };
    let how = row.owner.as_ref().map_or("", |owner| owner.how.name());
    let head = format!(
        "{}  {how}  {} {arrow} {}  {}",
        brush.owner(row.owner.as_ref()),
        endpoint(row.flow.local),
        endpoint(row.flow.remote),
        row.proto.name(),
    );
    put(brush, head, Ink::Title);
    let age = brush.duration(world.now.saturating_sub(row.since));
    let seen = if row.born { "seen from its start" } else { "older than netbreath" };
    let mut state = match row.ended {
        Some(_) => format!("over for {age}"),
        None => format!("{} for {age}", row.state.name()),
    };
    state.push_str(&format!("; {seen}"));
    if row.retransmits > 0 {
        state.push_str(&format!("; {} sent again", row.retransmits));
    }
    if row.drops > 0 {
        state.push_str(&format!("; {} dropped", row.drops));
    }
    put(brush, state, Ink::Plain);
    let mut more = Vec::new();
    if let Some(opener) = &row.opened_by {
        more.push(format!("opened by {}", brush.owner(Some(opener))));
    }
    if let Some(exe) = row.owner.as_ref().and_then(|owner| owner.exe.as_deref()) {
        more.push(brush.safe(exe.as_bytes()));
    }
    if let Some(peer) = row.peer.and_then(|peer| world.tables.connections().get(peer)) {
        more.push(format!("the other end is {}", brush.owner(peer.owner.as_ref())));
    }
    if let Some(cgroup) = &row.cgroup {
        more.push(brush.safe(cgroup.as_bytes()));
    }
    if !more.is_empty() {
        put(brush, more.join("  "), Ink::Aside);
    }
    if let Some(samples) = world.samples.get(&row.id)
        && let Some(last) = samples.last()
        && row.state != TcpState::Listen
    {
        let (sent, received) = samples.rates().unwrap_or((0.0, 0.0));
        let text = format!(
            "rtt {}  cwnd {}  out {}/s ({})  in {}/s ({})  ",
            brush.duration(last.rtt),
            last.cwnd,
            rate(sent),
            rate(last.sent as f64),
            rate(received),
            rate(last.received as f64),
        );
        if y < area.bottom() {
            let at = brush.put(area.x, y, width, &text, Ink::Plain);
            let rtts: Vec<f64> = samples.0.iter().map(|sample| sample.rtt as f64).collect();
            brush.sparks(at, y, width.saturating_sub(at).min(30), &rtts, Ink::Name);
            y += 1;
        }
    }
    let title = format!("{:>10}  {:<34}{:<24}", "TIME", "THIS SIDE", "THE OTHER SIDE");
    if y < area.bottom() {
        brush.put(area.x, y, width, &title, Ink::Aside);
        y += 1;
    }
    y
}

fn steps(row: &Connection, brush: &Brush<'_>) -> Vec<(String, Ink)> {
    let first = row.steps.first().map_or(0, |step| step.at);
    let mut lines = Vec::new();
    for (place, step) in row.steps.iter().enumerate() {
        // Where steps were left out, the times have a hole.
        if row.left_out > 0 && place == 16 {
            lines.push((format!("{:>10}  {} more", "", row.left_out), Ink::Aside));
        }
        let time = if place == 0 {
            "0".to_owned()
        } else {
            format!("+{}", brush.duration(step.at.saturating_sub(first)))
        };
        let (text, segment, way, ink) = described(step, brush);
        let rung = rung(&segment, way, brush.unicode());
        // `µ` and `→` are one column each, as format! counts.
        lines.push((format!("{time:>10}  {text:<34}{rung}"), ink));
        if let What::Closed(closed) = &step.what {
            lines.extend(sums(closed, brush).into_iter().map(|line| (line, Ink::Plain)));
        }
    }
    lines
}

/// What the kernel said at the end.
fn sums(closed: &crate::event::Closed, brush: &Brush<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(traffic) = &closed.traffic {
        lines.push(format!(
            "{:>10}  sent {} bytes in {} segments, received {} in {}; {} sent again",
            "",
            grouped(traffic.bytes_sent),
            traffic.segments_sent,
            grouped(traffic.bytes_received),
            traffic.segments_received,
            traffic.retransmits,
        ));
    }
    let times: Vec<String> = TcpState::ALL
        .iter()
        .zip(closed.states)
        .filter(|(_, time)| *time > 0)
        .map(|(state, time)| format!("{} {}", state.name(), brush.duration(time)))
        .collect();
    if !times.is_empty() {
        lines.push(format!("{:>10}  {}", "", times.join(", ")));
    }
    lines
}

/// An arrow with its segment.
fn rung(segment: &str, way: Way, unicode: bool) -> String {
    let (line, out, back) = if unicode { ("─", "▶", "◀") } else { ("-", ">", "<") };
    const LENGTH: usize = 20;
    if way == Way::None {
        return segment.to_owned();
    }
    let lines = LENGTH.saturating_sub(segment.len() + 3);
    let (before, after) = (line.repeat(lines / 2), line.repeat(lines - lines / 2));
    match way {
        Way::Out => format!("{before} {segment} {after}{out}"),
        Way::In => format!("{back}{before} {segment} {after}"),
        Way::None => segment.to_owned(),
    }
}

/// What a step is in words, which segment it was, and which way that went.
fn described(step: &Step, brush: &Brush<'_>) -> (String, String, Way, Ink) {
    let arrow = if brush.unicode() { "→" } else { "->" };
    let none = |text: String, ink| (text, String::new(), Way::None, ink);
    match &step.what {
        What::Found(state) => none(format!("was there already: {}", state.name()), Ink::Aside),
        What::Syn { cookie: false } => {
            ("half-open".to_owned(), "SYN".to_owned(), Way::In, Ink::Plain)
        }
        What::Syn { cookie: true } => {
            ("its SYN cookie came back".to_owned(), "ACK".to_owned(), Way::In, Ink::Plain)
        }
        What::State { old, new } => {
            let text = format!("{} {arrow} {}", old.name(), new.name());
            let (segment, way) = moved(*old, *new);
            let ink = match new {
                TcpState::Established => Ink::Good,
                TcpState::Close => Ink::Aside,
                _ => Ink::Plain,
            };
            (text, segment.to_owned(), way, ink)
        }
        What::Accept { queued } => {
            let waited = queued
                .map_or_else(String::new, |queued| format!(" after {}", brush.duration(queued)));
            none(format!("accept(){waited}"), Ink::Good)
        }
        What::Owner { from, to } => {
            let who = |owner: &Option<(u32, crate::event::Comm)>| match owner {
                Some((pid, comm)) => brush.process(*pid, comm),
                None => "unknown".to_owned(),
            };
            none(format!("{} {arrow} {}", who(from), who(to)), Ink::Name)
        }
        What::Retransmit { segment, count, bytes } => {
            let name = match segment {
                Segment::Syn => "SYN",
                Segment::SynAck => "SYN+ACK",
                Segment::Data => "data",
                Segment::Fin => "FIN",
            };
            let text = match bytes {
                0 => format!("! sent again ({count})"),
                bytes => format!("! {bytes} bytes sent again ({count})"),
            };
            (text, name.to_owned(), Way::Out, Ink::Warn)
        }
        What::Reset { received, reason } => {
            let way = if *received { Way::In } else { Way::Out };
            let text = match reason {
                Some(reason) => format!("! reset: {}", brush.safe(reason.as_bytes())),
                None => "! reset".to_owned(),
            };
            (text, "RST".to_owned(), way, Ink::Bad)
        }
        What::Drop { reason } => {
            let reason = reason.as_deref().unwrap_or("no reason told");
            none(format!("! dropped: {}", brush.safe(reason.as_bytes())), Ink::Warn)
        }
        What::Failed { error, syns } => {
            let what = error.map_or("given up", crate::event::Errno::meaning);
            none(format!("! {what} after {syns} SYNs"), Ink::Bad)
        }
        What::Closed(closed) => {
            let text = closed.cause.map_or("is over", ended);
            let by = closed.closer.as_ref().map_or_else(String::new, |closer| {
                format!(" by {}", brush.process(closer.pid, &closer.comm))
            });
            none(format!("{text}{by}"), Ink::Aside)
        }
    }
}

/// Which segment makes a transition (RFC 9293, section 3.3.2).
const fn moved(old: TcpState, new: TcpState) -> (&'static str, Way) {
    use TcpState::{
        Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
        SynSent, TimeWait,
    };
    match (old, new) {
        (Close, SynSent) => ("SYN", Way::Out),
        (SynSent, Established) => ("SYN+ACK", Way::In),
        (Listen, SynRecv) => ("SYN+ACK", Way::Out),
        (SynRecv, Established) => ("ACK", Way::In),
        (Established | SynRecv, FinWait1) => ("FIN", Way::Out),
        (Established | SynRecv, CloseWait) => ("FIN", Way::In),
        (CloseWait, LastAck) => ("FIN", Way::Out),
        (LastAck, Close) | (FinWait1, FinWait2) | (Closing, TimeWait) => ("ACK", Way::In),
        (FinWait2, TimeWait) | (FinWait1, Closing) => ("FIN", Way::In),
        (FinWait1, TimeWait) => ("FIN+ACK", Way::In),
        _ => ("", Way::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_are_as_long_as_each_other() {
        for segment in ["SYN", "SYN+ACK", "data"] {
            assert_eq!(rung(segment, Way::Out, true).chars().count(), 20);
            assert_eq!(rung(segment, Way::In, true).chars().count(), 20);
        }
        assert_eq!(rung("FIN", Way::In, false), "<------- FIN -------");
        assert_eq!(rung("", Way::None, true), "");
    }
}
