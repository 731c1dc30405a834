//! Filters in the language of pcap-filter(7): libpcap compiles them to programs of the
//! classic packet filter, which packet sockets take as they are, and which are translated for
//! programs of the kernel.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::IntoRawFd;

use pcap::{Activated, Capture, Linktype};

use crate::packet::link_type;

pub mod classic;
#[cfg(test)]
mod machine;
pub mod translate;

use classic::Instruction;

/// Why there is no such filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{text:?} is no filter{on}: {why}; man pcap-filter tells how they are written")]
    Syntax { text: String, on: On, why: String },
    #[error("packets with the link-layer header {link_type} cannot be filtered")]
    LinkType { link_type: u16 },
    #[error("libpcap gave an instruction that cannot be read: {text:?}")]
    Instruction { text: String },
    #[error(transparent)]
    Untranslatable(#[from] translate::Error),
}

/// What kind of packets a filter is for, if that matters.
#[derive(Debug)]
pub struct On(u16);

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            link_type::ETHERNET => Ok(()),
            link_type::RAW => f.write_str(" for packets without a link-layer header"),
            other => write!(f, " for packets with the link-layer header {other}"),
        }
    }
}

/// Compiles a filter for packets with such a link-layer header.
pub fn compile(text: &str, of: u16) -> Result<Vec<Instruction>, Error> {
    program(text, of, |kind| Capture::dead(Linktype(kind)))
}

/// The same for packets of a file: what only a live capture can tell is refused, and addresses of
/// families that other systems number otherwise are found.
pub fn compile_for_file(text: &str, of: u16) -> Result<Vec<Instruction>, Error> {
    program(text, of, |_| empty_file(of))
}

/// A file without packets, which libpcap reads.
fn empty_file(link_type: u16) -> Result<Capture<pcap::Offline>, pcap::Error> {
    let failed = |error: io::Error| pcap::Error::PcapError(error.to_string());
    let (reader, mut writer) = io::pipe().map_err(failed)?;
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, link_type.into()] {
        writer.write_all(&u32::to_ne_bytes(word)).map_err(failed)?;
    }
    drop(writer);
    // SAFETY: the descriptor is open, and its only owner gives it away here.
    unsafe { Capture::from_raw_fd(reader.into_raw_fd()) }
}

fn program<T: Activated + ?Sized>(
    text: &str,
    of: u16,
    open: impl FnOnce(i32) -> Result<Capture<T>, pcap::Error>,
) -> Result<Vec<Instruction>, Error> {
    // What libpcap calls the kind of a header is not always what files call it.
    let kind = match of {
        link_type::ETHERNET => 1,
        link_type::RAW => 12,
        kind @ (link_type::NULL | link_type::LOOP | link_type::SLL | link_type::SLL2) => {
            kind.into()
        }
        link_type => return Err(Error::LinkType { link_type }),
    };
    let syntax = |why: pcap::Error| {
        let why = match why {
            pcap::Error::PcapError(why) => why,
            other => other.to_string(),
        };
        Error::Syntax { text: text.to_owned(), on: On(of), why }
    };
    let handle = open(kind).map_err(syntax)?;
    let program = match handle.compile(text, true) {
        Ok(program) => program,
        // That is an answer, too.
        Err(pcap::Error::PcapError(why)) if why.contains("rejects all packets") => {
            return Ok(vec![Instruction::REJECT]);
        }
        Err(why) => return Err(syntax(why)),
    };
    program
        .get_instructions()
        .iter()
        .map(|instruction| {
            let text = instruction.to_string();
            Instruction::read(&text).ok_or(Error::Instruction { text })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_typed() {
        let error = compile("tcp port", link_type::ETHERNET).unwrap_err().to_string();
        assert!(error.starts_with("\"tcp port\" is no filter: "), "{error}");
        let error = compile("ether broadcast", link_type::RAW).unwrap_err().to_string();
        assert!(error.contains("without a link-layer header"), "{error}");
    }

    #[test]
    fn a_filter_that_nothing_passes_is_one() {
        let program = compile("tcp and udp and ip proto 6 and ip proto 17", 1).unwrap();
        assert!(!classic::run(&program, &[0; 100], 100));
    }
}
