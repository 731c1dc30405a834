//! Rules that connections must keep, as checks for CI: events in, verdicts out.

use std::fmt::Write as _;
use std::time::Duration;

use netbreath_common::tcp::TcpState;

use crate::event::{Body, Event, Socket};
use crate::filter::Network;
use crate::format::put_name;
use crate::format::text::{put_duration, put_evidence};
use crate::lint::{Finding, Lints, Name, Thresholds};

/// Something that must be so.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    NoReset,
    NoRetransmit,
    NoDrop,
    NoConnectFailed,
    NoLoss,
    No(Name),
    MaxCloseWait(Duration),
    MaxConnect(Duration),
    MaxRetransmits(u64),
    AllowRemote(Vec<Network>),
    MinConnections(u64),
}

impl Rule {
    /// The lint that tells of its breaches, if one does.
    pub const fn lint(&self) -> Option<Name> {
        match self {
            Rule::No(lint) => Some(*lint),
            Rule::MaxCloseWait(_) => Some(Name::CloseWait),
            _ => None,
        }
    }

    /// As it was typed, more or less.
    fn name(&self) -> String {
        match self {
            Rule::NoReset => "deny rst".to_owned(),
            Rule::NoRetransmit => "deny retransmit".to_owned(),
            Rule::NoDrop => "deny drop".to_owned(),
            Rule::NoConnectFailed => "deny connect_failed".to_owned(),
            Rule::NoLoss => "deny loss".to_owned(),
            Rule::No(lint) => format!("deny {}", lint.name()),
            Rule::MaxCloseWait(time) => format!("max-close-wait {}", said(*time)),
            Rule::MaxConnect(time) => format!("max-connect {}", said(*time)),
            Rule::MaxRetransmits(most) => format!("max-retransmits {most}"),
            Rule::AllowRemote(networks) => {
                let all: Vec<String> = networks
                    .iter()
                    .map(|network| format!("{}/{}", network.addr, network.prefix))
                    .collect();
                format!("allow-remote {}", all.join(","))
            }
            Rule::MinConnections(least) => format!("min-connections {least}"),
        }
    }
}

/// All rules of a check, and from when on lints find something.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub rules: Vec<Rule>,
    pub thresholds: Thresholds,
}

/// A rule and how it was broken.
struct Case {
    rule: Rule,
    broken: u64,
    /// The first ones, in words.
    told: Vec<String>,
}

/// Breaches of a rule that are told.
const TOLD: usize = 10;

/// Judges events.
pub struct Check {
    cases: Vec<Case>,
    lints: Lints,
    findings: Vec<Finding>,
    connections: u64,
    retransmits: u64,
    lost: u64,
}

/// How it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub passed: bool,
    /// For people.
    pub text: String,
    /// For machines: JUnit's XML.
    pub junit: String,
}

impl Check {
    pub fn new(rules: Rules) -> Check {
        let case = |rule| Case { rule, broken: 0, told: Vec::new() };
        Check {
            cases: rules.rules.into_iter().map(case).collect(),
            lints: Lints::new(rules.thresholds),
            findings: Vec::new(),
            connections: 0,
            retransmits: 0,
            lost: 0,
        }
    }

    pub fn event(&mut self, event: &Event) {
        self.lints.event(event, &mut self.findings);
        self.judge_findings();
        match &event.body {
            Body::Reset(reset) => {
                let which = if reset.received { "received" } else { "sent" };
                let why = reset.reason.as_deref().map_or_else(String::new, |r| format!(": {r}"));
                self.broken(
                    |rule| *rule == Rule::NoReset,
                    || about(&reset.socket, &format!("reset {which}{why}")),
                );
            }
            Body::Retransmit(again) => {
                self.retransmits += 1;
                let count = self.retransmits;
                let what = || {
                    let segment = again.segment.name();
                    about(&again.socket, &format!("{segment} sent again ({})", again.count))
                };
                self.broken(|rule| *rule == Rule::NoRetransmit, what);
                self.broken(
                    |rule| matches!(rule, Rule::MaxRetransmits(most) if count > *most),
                    what,
                );
            }
            Body::Drop(drop) => {
                let reason = drop.reason.as_deref().unwrap_or("no reason told");
                self.broken(
                    |rule| *rule == Rule::NoDrop,
                    || about(&drop.socket, &format!("packet dropped: {reason}")),
                );
            }
            Body::ConnectFailed(failed) => {
                let error = failed.error.map_or("given up", crate::event::Errno::meaning);
                self.broken(
                    |rule| *rule == Rule::NoConnectFailed,
                    || about(&failed.socket, &format!("connect() failed: {error}")),
                );
                let tried = failed.tried.unwrap_or(0);
                self.too_long(&failed.socket, tried, "it failed");
            }
            Body::State(state) => match (state.old, state.new) {
                (_, TcpState::SynSent) => {
                    self.connections += 1;
                    self.remote(&state.socket);
                }
                (TcpState::SynRecv, TcpState::Established) => {
                    self.connections += 1;
                    self.remote(&state.socket);
                }
                (TcpState::SynSent, TcpState::Established) => {
                    self.too_long(&state.socket, state.in_state.unwrap_or(0), "it was there");
                }
                _ => {}
            },
            Body::Seed(seed)
                if !matches!(
                    seed.state,
                    TcpState::Listen | TcpState::Close | TcpState::BoundInactive
                ) =>
            {
                self.connections += 1;
                self.remote(&seed.socket);
            }
            Body::Gap(gap) if gap.count > 0 => {
                self.lost += gap.count;
                self.broken(
                    |rule| *rule == Rule::NoLoss,
                    || {
                        let mut out = Vec::new();
                        put_name(&mut out, gap.what.as_bytes(), true);
                        String::from_utf8_lossy(&out).into_owned()
                    },
                );
            }
            _ => {}
        }
    }

    /// It is `now`, in nanoseconds since boot.
    pub fn advance(&mut self, now: u64) {
        self.lints.advance(now, &mut self.findings);
        self.judge_findings();
    }

    fn judge_findings(&mut self) {
        for finding in std::mem::take(&mut self.findings) {
            let breaks = |rule: &Rule| rule.lint() == Some(finding.lint);
            self.broken(breaks, || {
                let mut out = Vec::new();
                put_evidence(&mut out, &finding, true);
                String::from_utf8_lossy(&out).into_owned()
            });
        }
    }

    fn remote(&mut self, socket: &Socket) {
        let addr = socket.flow.remote.addr;
        let breaks = |rule: &Rule| match rule {
            Rule::AllowRemote(networks) => !networks.iter().any(|network| network.has(addr)),
            _ => false,
        };
        self.broken(breaks, || about(socket, "this address is not allowed"));
    }

    fn too_long(&mut self, socket: &Socket, took: u64, until: &str) {
        let took = Duration::from_nanos(took);
        self.broken(
            |rule| matches!(rule, Rule::MaxConnect(most) if took > *most),
            || about(socket, &format!("{} passed until {until}", said(took))),
        );
    }

    fn broken(&mut self, breaks: impl Fn(&Rule) -> bool, what: impl Fn() -> String) {
        for case in self.cases.iter_mut().filter(|case| breaks(&case.rule)) {
            case.broken += 1;
            if case.told.len() < TOLD {
                case.told.push(what());
            }
        }
    }

    /// The end: what was lost is known to the source.
    pub fn verdict(mut self, lost: u64, seconds: f64) -> Verdict {
        let (seen, lost) = (self.connections, lost.max(self.lost));
        self.broken(
            |rule| matches!(rule, Rule::MinConnections(least) if seen < *least),
            || format!("there were {seen}"),
        );
        let passed = self.cases.iter().all(|case| case.broken == 0);
        let mut text = String::new();
        for case in &self.cases {
            // Why ignored: writing to memory cannot fail.
            let name = case.rule.name();
            let _ = match case.broken {
                0 => writeln!(text, "ok    {name}"),
                1 => writeln!(text, "FAIL  {name}"),
                times => writeln!(text, "FAIL  {name}: {times} times"),
            };
            for told in &case.told {
                let _ = writeln!(text, "        {told}");
            }
            if case.broken > case.told.len() as u64 {
                let _ = writeln!(text, "        … and {} more", case.broken - TOLD as u64);
            }
            if let (Some(lint), true) = (case.rule.lint(), case.broken > 0) {
                let _ = writeln!(text, "      -> {}", lint.lesson());
            }
        }
        let connections = if seen == 1 { "connection was" } else { "connections were" };
        let _ = writeln!(text, "{seen} {connections} seen; {lost} events lost");
        if lost > 0 {
            let _ =
                writeln!(text, "what was lost was not judged: --deny loss makes that a failure");
        }
        let junit = self.junit(seconds);
        Verdict { passed, text, junit }
    }

    fn junit(&self, seconds: f64) -> String {
        let failures = self.cases.iter().filter(|case| case.broken > 0).count();
        let (tests, suite) = (self.cases.len(), "netbreath check");
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Why ignored: writing to memory cannot fail.
        let _ = writeln!(
            xml,
            "<testsuites name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" \
             time=\"{seconds:.3}\">\n  <testsuite name=\"{suite}\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">"
        );
        for case in &self.cases {
            let name = escaped(&case.rule.name());
            let head = format!("    <testcase classname=\"netbreath\" name=\"{name}\"");
            let _ = match case.broken {
                0 => writeln!(xml, "{head}/>"),
                times => writeln!(
                    xml,
                    "{head}>\n      <failure message=\"broken {times} times\" type=\"{}\">{}\
                     </failure>\n    </testcase>",
                    name.split(' ').next().unwrap_or_default(),
                    escaped(&case.told.join("\n")),
                ),
            };
        }
        xml.push_str("  </testsuite>\n</testsuites>\n");
        xml
    }
}

/// `who, which connection: what`.
fn about(socket: &Socket, what: &str) -> String {
    let mut out = Vec::new();
    if let Some(owner) = &socket.owner {
        put_name(&mut out, owner.comm.bytes(), true);
        out.extend_from_slice(format!("[{}] ", owner.pid).as_bytes());
    }
    let flow = &socket.flow;
    out.extend_from_slice(format!("{} → {}: ", flow.local, flow.remote).as_bytes());
    put_name(&mut out, what.as_bytes(), true);
    String::from_utf8_lossy(&out).into_owned()
}

fn said(time: Duration) -> String {
    let mut out = Vec::new();
    put_duration(&mut out, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), true);
    String::from_utf8_lossy(&out).into_owned()
}

/// Text for XML 1.0. Control characters have no place in it, escaped or not.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_has_no_surprises() {
        assert_eq!(escaped("<a & \"b\">\u{1b}[2J"), "&lt;a &amp; &quot;b&quot;&gt;\u{fffd}[2J");
    }
}
