//! Which transitions can be: RFC 9293, section 3.3.2, as Linux goes through its states.

use netbreath_common::tcp::TcpState;
use netbreath_common::tcp::TcpState::{
    Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
    TimeWait,
};

use crate::event::{Proto, Socket};

/// The states that one can follow another. Any can end: by RST, by a timeout, or by a
/// process that gives up.
const fn next(old: TcpState) -> u32 {
    let further: &[TcpState] = match old {
        Close => &[Listen, SynSent],
        // A child's first transition.
        Listen => &[SynRecv],
        SynSent => &[Established, SynRecv],
        SynRecv => &[Established, FinWait1, CloseWait],
        Established => &[FinWait1, CloseWait],
        FinWait1 => &[FinWait2, Closing],
        FinWait2 | Closing => &[TimeWait],
        CloseWait => &[LastAck],
        _ => &[],
    };
    let mut bits = Close.bit();
    let mut i = 0;
    while i < further.len() {
        bits |= further[i].bit();
        i += 1;
    }
    bits
}

/// Whether a socket can go from `old` to `new`.
pub const fn can_follow(old: TcpState, new: TcpState) -> bool {
    next(old) & new.bit() != 0
}

/// What is wrong with a transition of a socket that was last seen in `last`; nothing if it
/// can be. A socket that is new has no last state.
#[inline]
pub fn fault(
    socket: &Socket,
    last: Option<TcpState>,
    old: TcpState,
    new: TcpState,
) -> Option<String> {
    if socket.proto != Proto::Tcp {
        return None;
    }
    let begins = matches!((old, new), (Close, Listen | SynSent) | (Listen, SynRecv));
    let connected = match last {
        Some(last) => last == old,
        None => begins,
    };
    if connected && can_follow(old, new) {
        return None;
    }
    Some(text(socket, last, old, new))
}

#[cold]
fn text(socket: &Socket, last: Option<TcpState>, old: TcpState, new: TcpState) -> String {
    let (id, old, new) = (socket.id.0, old.name(), new.name());
    match last {
        Some(last) if last.name() != old => {
            format!(
                "the socket {id} was in {} and leaves {old}: events between are lost",
                last.name()
            )
        }
        Some(_) => format!("the socket {id} goes from {old} to {new}, which TCP does not"),
        None => format!("the socket {id} begins with {old} to {new}: events before are lost"),
    }
}
