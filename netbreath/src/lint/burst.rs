//! Much is sent again on one connection in a short time.

use std::collections::HashMap;

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED, Thresholds, nanos, seconds};
use crate::event::{Body, Event, Segment, SocketId};

pub struct Burst {
    most: u32,
    time: u64,
    running: HashMap<SocketId, Window>,
}

struct Window {
    began: u64,
    segments: u32,
    bytes: u64,
    told: bool,
}

impl Burst {
    pub fn new(thresholds: Thresholds) -> Burst {
        Burst {
            most: thresholds.burst,
            time: nanos(thresholds.burst_time),
            running: HashMap::new(),
        }
    }
}

impl Lint for Burst {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::Retransmit(again) if again.segment == Segment::Data => {
                let at = event.at;
                let full = self.running.len() >= REMEMBERED;
                if full && !self.running.contains_key(&again.socket.id) {
                    return;
                }
                let window = self.running.entry(again.socket.id).or_insert(Window {
                    began: at,
                    segments: 0,
                    bytes: 0,
                    told: false,
                });
                if at.saturating_sub(window.began) > self.time {
                    *window = Window { began: at, segments: 0, bytes: 0, told: false };
                }
                window.segments += 1;
                window.bytes += u64::from(again.bytes);
                if window.segments > self.most && !window.told {
                    window.told = true;
                    let evidence = format!(
                        "{} segments with {} bytes were sent again within {}",
                        window.segments,
                        window.bytes,
                        seconds(at - window.began),
                    );
                    let lint = Name::RetransmitBurst;
                    findings.push(Finding::about(lint, at, &again.socket, evidence));
                }
            }
            Body::State(state) if state.new == TcpState::Close => {
                self.running.remove(&state.socket.id);
            }
            _ => {}
        }
    }
}
