//! Which socket a segment is about, and whose it is: for hooks that see a segment go by
//! and may know less of its socket than a transition does.

use netbreath_common::config::filter as filters;
use netbreath_common::record::{Flow, How, Owner, Socket};
use netbreath_common::tcp::TcpState;

use crate::filter::{self, Verdict};
use crate::kernel::{Kernel, Untyped};
use crate::slot::{self, EMPTY, IGNORED, SELECTED, Slot};
use crate::sock::{self, Sock};
use crate::{config, packet, word};

/// The socket of a segment.
pub struct Subject {
    slot: Option<&'static mut Slot>,
    of: Of,
}

/// How the slot belongs to the segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// It is the socket's own.
    Itself,
    /// The socket is no full one: half-open, or in TIME_WAIT. A slot is its listener's.
    Mini,
    /// There is no socket, but a listener that the segment was sent to.
    Listener,
}

/// The subject of a segment of this socket.
#[inline(always)]
pub fn of<K: Sock>(sk: K) -> Subject {
    if is_mini(sk) {
        return Subject { slot: None, of: Of::Mini };
    }
    Subject { slot: slot::find(sk), of: Of::Itself }
}

/// The subject of a segment that came in for this socket.
#[inline(always)]
pub fn of_incoming<K: Sock>(sk: K) -> Subject {
    let subject = of(sk);
    if sock::state(sk) == TcpState::Listen as u8 {
        return Subject { of: Of::Listener, ..subject };
    }
    subject
}

/// The subject of a segment of a half-open connection to this listener.
#[inline(always)]
pub fn of_request<K: Sock>(listener: K) -> Subject {
    Subject { slot: slot::find(listener), of: Of::Mini }
}

/// Whether it is less than a `struct sock`.
#[inline(always)]
fn is_mini<K: Kernel>(sk: K) -> bool {
    let state = sock::state(sk);
    state == TcpState::TimeWait as u8 || state == TcpState::NewSynRecv as u8
}

impl Subject {
    /// Whether it speaks TCP; only that has sockets that are less than full ones here.
    #[inline(always)]
    pub fn is_tcp<K: Kernel>(&self, sk: K) -> bool {
        self.of == Of::Mini || sock::is_tcp(sk)
    }

    /// What the filters say. `sk` is the socket of the segment, `skb` the segment if it
    /// came in.
    #[inline(always)]
    pub fn verdict<K: Kernel>(&self, sk: K, skb: Option<Untyped>) -> Verdict {
        if let (Of::Itself, Some(slot)) = (self.of, &self.slot) {
            if slot.flags & IGNORED != 0 {
                return Verdict::Drop;
            }
            return filter::judge(sk, slot, true);
        }
        if config::FILTER() == 0 && config::FAMILY() == 0 {
            return Verdict::Keep;
        }
        if config::filters(filters::OWNER)
            && self.slot.as_ref().is_none_or(|slot| slot.flags & SELECTED == 0)
        {
            return Verdict::Drop;
        }
        let mut flow = EMPTY.socket.flow;
        ends(sk, skb, &mut flow);
        filter::place(sk, &flow, sock::netns(sk), true)
    }

    /// Writes what is known of the socket.
    #[inline(always)]
    pub fn write<K: Sock>(&self, sk: K, skb: Option<Untyped>, to: *mut Socket, at: u64) {
        let to = unsafe {
            match &self.slot {
                Some(slot) => word::copy(&raw const slot.socket, to),
                None => word::copy(&raw const EMPTY.socket, to),
            }
            &mut *to
        };
        match (self.of, &self.slot) {
            (Of::Itself, Some(_)) => return,
            (Of::Itself, None) => sock::describe(sk, to, at),
            (Of::Mini, slot) => {
                to.id = sk.id(at);
                to.netns = sock::netns(sk);
                to.flow.proto = IPPROTO_TCP;
                if slot.is_some() {
                    inherit(&mut to.owner);
                }
            }
            (Of::Listener, _) => {
                to.id = 0;
                to.flow.proto = IPPROTO_TCP;
                to.netns = sock::netns(sk);
                inherit(&mut to.owner);
            }
        }
        unsafe { word::copy(&raw const to.owner, &raw mut to.opener) };
        to.flow.sport = 0;
        ends(sk, skb, &mut to.flow);
    }
}

const IPPROTO_TCP: u16 = 6;

/// What belongs to the listener's owner belongs to nobody else yet.
#[inline(always)]
fn inherit(owner: &mut Owner) {
    if owner.pid != 0 {
        owner.how = How::Inherited as u8;
    }
}

/// The two ends: of the segment if it came in, else of the socket.
#[inline(always)]
fn ends<K: Kernel>(sk: K, skb: Option<Untyped>, flow: &mut Flow) {
    match skb {
        Some(skb) => packet::read_flow(skb, flow),
        None => sock::read_flow(sk, flow),
    }
}
