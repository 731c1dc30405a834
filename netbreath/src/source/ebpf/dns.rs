//! Which response answers which query.

use std::collections::{HashMap, VecDeque};

use netbreath_common::record;

use crate::event::{Dns, Endpoint, Socket, SocketId};
use crate::packet::dns;

/// Queries that wait for their responses.
#[derive(Default)]
pub struct Questions {
    asked: HashMap<Question, u64>,
    /// The keys of `asked`, oldest first; some are answered.
    order: VecDeque<Question>,
    /// The message that was sent last.
    last: Option<(SocketId, u64, Box<[u8]>)>,
}

/// Who asked whom, and the number of the question.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    socket: SocketId,
    remote: Endpoint,
    id: u16,
}

/// Queries that are remembered. An older one that is answered after all has no latency.
const MAX_ASKED: usize = 16_384;

/// A message to a group leaves twice, once for those on this machine: so long after the
/// first, the second is no message of its own.
const TWIN: u64 = 1_000_000;

impl Questions {
    /// The event of a record; nothing if it holds no message of DNS.
    pub fn apply(&mut self, record: &record::Dns, socket: Socket) -> Option<Dns> {
        let len = usize::try_from(record.len).ok()?;
        let bytes = record.message.get(..len.min(record.message.len()))?;
        let at = record.header.at;
        let received = record.sent == 0;
        if !received && socket.flow.remote.addr.is_multicast() {
            let twin = self.last.as_ref().is_some_and(|(id, before, message)| {
                *id == socket.id && at.saturating_sub(*before) < TWIN && **message == *bytes
            });
            self.last = (!twin).then(|| (socket.id, at, bytes.into()));
            if twin {
                return None;
            }
        }
        let mut message = dns::parse(bytes)?;
        message.truncated |= len > bytes.len();
        let question = Question { socket: socket.id, remote: socket.flow.remote, id: message.id };
        let latency = if message.response {
            self.asked.remove(&question).map(|asked| at.saturating_sub(asked))
        } else {
            self.ask(question, at);
            None
        };
        Some(Dns { socket, message, received, latency })
    }

    fn ask(&mut self, question: Question, at: u64) {
        if self.asked.insert(question, at).is_some() {
            // Asked again: its place in the order is the first one's.
            return;
        }
        self.order.push_back(question);
        while self.order.len() > MAX_ASKED
            && let Some(oldest) = self.order.pop_front()
        {
            self.asked.remove(&oldest);
        }
    }
}
