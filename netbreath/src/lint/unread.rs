//! A process closed a connection with data unread: a reset instead of a FIN.

use super::{Finding, Lint, Name};
use crate::event::{Body, Cause, Event};

pub struct Unread;

impl Lint for Unread {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        let Body::Closed(closed) = &event.body else { return };
        if closed.cause != Some(Cause::Unread) {
            return;
        }
        let evidence = match &closed.traffic {
            Some(traffic) => format!(
                "closed with data unread, after {} bytes had come and {} were sent",
                traffic.bytes_received, traffic.bytes_sent
            ),
            None => "closed with data unread".to_owned(),
        };
        findings.push(Finding::about(Name::UnreadReset, event.at, &closed.socket, evidence));
    }
}
