//! Routing netlink: what the kernel answers about links, addresses, routes and
//! neighbours, and what it tells of them by itself.
//!
//! Messages are split by the netlink crates. Attributes are read one by one, and those
//! that we do not know are passed over: a newer kernel's attribute must not cost us the
//! whole message.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLA_TYPE_MASK, NetlinkBuffer, NlasIterator};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::event::Family;

pub mod address;
pub mod diag;
pub mod link;
pub mod neighbour;
pub mod nsid;
pub mod route;

/// Bytes that one read takes: the kernel fills at most 32 KiB at a time.
const BUFFER: usize = 64 * 1024;
/// How often an answer is asked for again that changed while it was given.
const ATTEMPTS: u32 = 8;
const NLM_F_DUMP_INTR: u16 = libc::NLM_F_DUMP_INTR as u16;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot open a socket to the kernel's network configuration (NETLINK_ROUTE): {source}; a \
         sandbox may forbid it"
    )]
    Open { source: io::Error },
    #[error("cannot ask the kernel for {what}: {source}")]
    Ask { what: &'static str, source: io::Error },
    #[error("the kernel's answer about {what} cannot be read: {why}")]
    Malformed { what: &'static str, why: String },
    #[error(
        "the list of {what} changed each time while the kernel gave it ({ATTEMPTS} attempts): try \
         again when the machine's network has come to rest"
    )]
    Restless { what: &'static str },
}

impl Error {
    /// Whether a right is missing.
    pub fn is_privilege(&self) -> bool {
        let (Error::Open { source } | Error::Ask { source, .. }) = self else {
            return false;
        };
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// A question to the kernel: what it is about, and the message.
pub struct Question {
    pub what: &'static str,
    /// `RTM_GET*`.
    pub kind: u16,
    /// The fixed header of its kind, and attributes.
    pub body: Vec<u8>,
}

/// A socket to the kernel's network configuration in our network namespace.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    pub fn open() -> Result<Netlink, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            // Why ignored: without it the kernel sends more than asked for, and what is
            // decoded is filtered again.
            let _ = socket.set_netlink_get_strict_chk(true);
            // Why ignored: a smaller buffer overflows sooner, which is noticed.
            let _ = socket.set_rx_buf_sz(1_u32 << 20);
            Ok(socket)
        };
        let socket = open().map_err(|source| Error::Open { source })?;
        Ok(Netlink { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Makes the kernel tell changes of these groups (`RTNLGRP_*`).
    pub fn listen(&mut self, groups: &[u32]) -> Result<(), Error> {
        let join = || -> io::Result<()> {
            groups.iter().try_for_each(|group| self.socket.add_membership(*group))?;
            // A burst of changes must not overflow it while we are not on the CPU.
            let _ = self.socket.set_rx_buf_sz(4_u32 << 20);
            self.socket.set_non_blocking(true)
        };
        join().map_err(|source| Error::Ask { what: "notices of changes", source })
    }

    /// All objects of a kind, as one picture: asked for again if it changed meanwhile.
    pub fn dump<T>(
        &mut self,
        question: &Question,
        mut read: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..ATTEMPTS {
            let mut all = Vec::new();
            if self.attempt(question, DUMP, |kind, body| all.extend(read(kind, body)))? {
                return Ok(all);
            }
        }
        Err(Error::Restless { what: question.what })
    }

    /// One object.
    pub fn get<T>(
        &mut self,
        question: &Question,
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut answer = None;
        self.attempt(question, ACK, |_, body| answer = read(body))?;
        Ok(answer)
    }

    /// Whether the answer is one picture.
    fn attempt(
        &mut self,
        question: &Question,
        flags: u16,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, Error> {
        let Question { what, kind, body } = question;
        let failed = |source| Error::Ask { what, source };
        self.sequence += 1;
        let message = message(*kind, flags | libc::NLM_F_REQUEST as u16, self.sequence, body);
        self.socket.send_to(&message, &SocketAddr::new(0, 0), 0).map_err(failed)?;
        let mut whole = true;
        loop {
            self.buffer.clear();
            loop {
                match self.socket.recv(&mut self.buffer, 0) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(failed(error)),
                    Ok(_) => break,
                }
            }
            for message in messages(&self.buffer) {
                let message = message.map_err(|why| Error::Malformed { what, why })?;
                if message.sequence_number() != self.sequence {
                    continue;
                }
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    DONE | ERROR => match number(message.payload()) {
                        0 => return Ok(whole),
                        code => return Err(failed(io::Error::from_raw_os_error(-code))),
                    },
                    kind => each(kind, message.payload()),
                }
            }
        }
    }

    /// Takes what the kernel has told so far, without waiting: kind, flags, body. An
    /// error of kind `WouldBlock` is "nothing more"; `ENOBUFS` is "some was lost".
    pub fn notices(&mut self, mut each: impl FnMut(u16, u16, &[u8])) -> io::Result<()> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, 0)?;
        for message in messages(&self.buffer) {
            let message = message.map_err(io::Error::other)?;
            each(message.message_type(), message.flags(), message.payload());
        }
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::os::fd::AsRawFd for Netlink {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

const DUMP: u16 = libc::NLM_F_DUMP as u16;
/// The answer is followed by a message that it was all.
const ACK: u16 = libc::NLM_F_ACK as u16;

const DONE: u16 = libc::NLMSG_DONE as u16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;

/// A message with its header (`struct nlmsghdr`), native byte order.
fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let len = 16 + body.len();
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(body);
    message
}

/// The messages of one read. Ends after one that cannot be split off.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        match NetlinkBuffer::new_checked(bytes) {
            Ok(message) => {
                let len = (message.length() as usize).next_multiple_of(4);
                bytes = bytes.get(len..).unwrap_or_default();
                Some(Ok(message))
            }
            Err(error) => {
                bytes = &[];
                Some(Err(error.to_string()))
            }
        }
    })
}

/// An attribute to append to a question.
fn push(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&len.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The attributes in `bytes`, by kind; broken ones end the list.
fn attributes(bytes: &[u8], mut each: impl FnMut(u16, &[u8])) {
    for attribute in NlasIterator::new(bytes).map_while(Result::ok) {
        each(attribute.kind() & NLA_TYPE_MASK, attribute.value());
    }
}

/// The bytes after a fixed header.
fn after(bytes: &[u8], header: usize) -> &[u8] {
    bytes.get(header..).unwrap_or_default()
}

fn number(bytes: &[u8]) -> i32 {
    u32_at(bytes, 0).cast_signed()
}

/// Native byte order; 0 where the kernel's structure is shorter.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u32::from_ne_bytes(*bytes),
        None => 0,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u16::from_ne_bytes(*bytes),
        None => 0,
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u64::from_ne_bytes(*bytes),
        None => 0,
    }
}

fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// A string that ends at its NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}

const AF_INET: u8 = libc::AF_INET as u8;
const AF_INET6: u8 = libc::AF_INET6 as u8;

/// `AF_UNSPEC` is every family.
const fn family_code(family: Option<Family>) -> u8 {
    match family {
        None => libc::AF_UNSPEC as u8,
        Some(Family::V4) => AF_INET,
        Some(Family::V6) => AF_INET6,
    }
}

const fn family(code: u8) -> Option<Family> {
    match code {
        AF_INET => Some(Family::V4),
        AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_at_their_lengths() {
        let mut bytes = message(16, 2, 7, &[1, 2, 3]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(message(17, 0, 8, &[]));
        let all: Vec<_> = messages(&bytes)
            .map(|message| message.map(|m| (m.message_type(), m.payload().to_vec())))
            .collect();
        assert_eq!(all, [Ok((16, vec![1, 2, 3])), Ok((17, vec![]))]);
    }

    #[test]
    fn what_is_broken_ends_the_list() {
        let mut bytes = message(16, 0, 1, &[0; 8]);
        bytes.truncate(20);
        let all: Vec<_> = messages(&bytes).collect();
        assert!(matches!(all.as_slice(), [Err(_)]));
        // A length of zero must not go round for ever.
        assert_eq!(messages(&[0; 32]).count(), 1);
        let mut seen = 0;
        attributes(&[2, 0, 1, 0, 9, 9], |_, _| seen += 1);
        attributes(&[0; 8], |_, _| seen += 1);
        assert_eq!(seen, 0);
    }

    #[test]
    fn attributes_are_padded() {
        let mut body = Vec::new();
        push(&mut body, 1, b"abc\0e");
        push(&mut body, 0x8002, &7_u32.to_ne_bytes());
        let mut seen = Vec::new();
        attributes(&body, |kind, value| seen.push((kind, value.to_vec())));
        assert_eq!(seen, [(1, b"abc\0e".to_vec()), (2, 7_u32.to_ne_bytes().to_vec())]);
        assert_eq!(text(b"abc\0e"), "abc");
    }
}
