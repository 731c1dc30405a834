//! An address of an interface.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Scope;

/// An IP address: it belongs to an interface, not to the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub ifindex: u32,
    pub ifname: String,
    pub local: IpAddr,
    /// The other end of a point-to-point interface, where that differs from `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    pub prefixlen: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anycast: Option<IpAddr>,
    pub scope: Scope,
    pub flags: AddressFlags,
    /// IPv4: the interface's name, or that with `:` and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Priority of the route that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Who set it, by the kernel's number: `kernel_lo`, `kernel_ra`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Lifetime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<Lifetime>,
}

impl Address {
    /// What makes it another address than others, in its interface.
    pub fn key(&self) -> (u32, IpAddr, u8, Option<IpAddr>) {
        (self.ifindex, self.local, self.prefixlen, self.peer)
    }
}

/// Seconds; `u32::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lifetime(pub u32);

impl Lifetime {
    pub const FOREVER: Lifetime = Lifetime(u32::MAX);
}

/// `IFA_F_*` of `linux/if_addr.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressFlags(pub u32);

impl AddressFlags {
    /// IPv4: not the first of its network. IPv6: temporary (RFC 8981).
    pub const SECONDARY: u32 = 0x01;
    pub const NODAD: u32 = 0x02;
    pub const OPTIMISTIC: u32 = 0x04;
    pub const DADFAILED: u32 = 0x08;
    pub const HOME: u32 = 0x10;
    pub const DEPRECATED: u32 = 0x20;
    pub const TENTATIVE: u32 = 0x40;
    pub const PERMANENT: u32 = 0x80;
    pub const MNGTMPADDR: u32 = 0x100;
    pub const NOPREFIXROUTE: u32 = 0x200;
    pub const AUTOJOIN: u32 = 0x400;
    pub const STABLE_PRIVACY: u32 = 0x800;

    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Names in the order in which `ip` lists them.
    pub const NAMES: [(u32, &'static str); 12] = [
        (Self::SECONDARY, "secondary"),
        (Self::NODAD, "nodad"),
        (Self::OPTIMISTIC, "optimistic"),
        (Self::DADFAILED, "dadfailed"),
        (Self::HOME, "home"),
        (Self::DEPRECATED, "deprecated"),
        (Self::TENTATIVE, "tentative"),
        (Self::PERMANENT, "permanent"),
        (Self::MNGTMPADDR, "mngtmpaddr"),
        (Self::NOPREFIXROUTE, "noprefixroute"),
        (Self::AUTOJOIN, "autojoin"),
        (Self::STABLE_PRIVACY, "stable-privacy"),
    ];
}

super::as_bits!(AddressFlags, &AddressFlags::NAMES);
