//! Interfaces, their addresses, routes and neighbours: the words for what a question
//! to the system answers once, and for what events tell as it changes. In JSON, keys
//! and values are those of `ip -j`, where it has them.

use std::fmt;
use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod address;
mod link;
mod name;
mod neighbour;
mod route;

pub use address::{Address, AddressFlags, Lifetime};
pub use link::{Counters, Link, LinkFlags, LinkRef, Nd6, Operstate, hardware_name};
pub use name::NumberNames;
pub use neighbour::{Ages, Neighbour, NeighbourFlags, NeighbourState};
pub use route::{Metric, MetricValue, Nexthop, Route, RouteFlags, RouteKey, RouteKind, Table};

/// A change of one of these things, with what it was before.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed<T> {
    pub change: Change,
    /// What it is now; of what was removed, what it was.
    pub now: T,
    /// What it was before, where something changed and that is known.
    pub was: Option<T>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was there when the source started.
    Present,
    Added,
    Removed,
    Changed,
}

impl Change {
    pub const ALL: [Change; 4] = [Change::Present, Change::Added, Change::Removed, Change::Changed];

    /// 1 for what happened, 0 for what was found.
    pub const fn counts(self) -> u64 {
        match self {
            Change::Present => 0,
            Change::Added | Change::Removed | Change::Changed => 1,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Change::Present => "present",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

/// An address of the link layer: six bytes on Ethernet, four or sixteen (an IP
/// address) on tunnels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkAddress(pub Vec<u8>);

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Serialize for LinkAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LinkAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(LinkAddress(Vec::new()));
        }
        let bytes: Result<Vec<u8>, _> =
            text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
        bytes.map(LinkAddress).map_err(|_| D::Error::custom(format!("{text:?} is no link address")))
    }
}

/// The scope of an address or of a route, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(pub u8);

impl Scope {
    pub const GLOBAL: Scope = Scope(0);
    pub const SITE: Scope = Scope(200);
    pub const LINK: Scope = Scope(253);
    pub const HOST: Scope = Scope(254);
    pub const NOWHERE: Scope = Scope(255);

    /// As `ip` names it, if it is one of the usual ones.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Scope::GLOBAL => "global",
            Scope::SITE => "site",
            Scope::LINK => "link",
            Scope::HOST => "host",
            Scope::NOWHERE => "nowhere",
            _ => return None,
        })
    }

    const NAMED: [Scope; 5] =
        [Scope::GLOBAL, Scope::SITE, Scope::LINK, Scope::HOST, Scope::NOWHERE];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let named = Scope::NAMED.into_iter().find(|scope| scope.name() == Some(text.as_str()));
        named
            .or_else(|| text.parse().ok().map(Scope))
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no scope")))
    }
}

/// Names of single bits, in the order in which they are listed.
type Bits = [(u32, &'static str)];

/// The names of the bits that are set; what has no name as one hexadecimal number.
fn bit_names(bits: u32, names: &Bits) -> impl Iterator<Item = String> {
    let rest = names.iter().fold(bits, |rest, (bit, _)| rest & !bit);
    let known = names.iter().filter(move |(bit, _)| bits & bit != 0);
    known.map(|(_, name)| (*name).to_owned()).chain((rest != 0).then(|| format!("{rest:#x}")))
}

fn bits_named<E: serde::de::Error>(words: &[String], names: &Bits) -> Result<u32, E> {
    words.iter().try_fold(0, |bits, word| {
        let named = names.iter().find(|(_, name)| name == word).map(|(bit, _)| *bit);
        let number = || u32::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        let bit = named.or_else(number);
        bit.map(|bit| bits | bit).ok_or_else(|| E::custom(format!("{word:?} is no flag")))
    })
}

/// Writes and reads bits as a list of their names.
macro_rules! as_bits {
    ($type:ident, $names:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq(super::bit_names(self.0.into(), $names))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let words = Vec::<String>::deserialize(from)?;
                let bits = super::bits_named(&words, $names)?;
                bits.try_into().map($type).map_err(serde::de::Error::custom)
            }
        }
    };
}
use as_bits;

/// 4 or 6, as the kernel numbers families for one `addr`.
pub const fn family_name(addr: IpAddr) -> &'static str {
    match addr {
        IpAddr::V4(_) => "inet",
        IpAddr::V6(_) => "inet6",
    }
}
