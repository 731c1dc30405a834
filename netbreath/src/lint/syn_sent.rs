//! A connect() that nobody answers: its SYN is sent again and again.

use super::{Finding, Lint, Name, Thresholds};
use crate::event::{Body, Event, Segment};

pub struct SynSent {
    retries: u32,
}

impl SynSent {
    pub const fn new(thresholds: Thresholds) -> SynSent {
        SynSent { retries: thresholds.syn_retries }
    }
}

impl Lint for SynSent {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            // Once for each connection: right when it goes beyond the limit.
            Body::Retransmit(again)
                if again.segment == Segment::Syn && again.count == self.retries + 1 =>
            {
                let evidence =
                    format!("its SYN was sent {} times without an answer", again.count + 1);
                findings.push(Finding::about(Name::SynSent, event.at, &again.socket, evidence));
            }
            _ => {}
        }
    }
}
