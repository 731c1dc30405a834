//! Messages about addresses: `struct ifaddrmsg` and `IFA_*` of `linux/if_addr.h`.

use super::{Question, after, attributes, family, family_code, ip, text, u8_at, u32_at};
use crate::event::Family;
use crate::event::network::{Address, AddressFlags, Lifetime, Scope};

const HEADER: usize = 8;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;

pub fn question(family: Option<Family>) -> Question {
    let mut body = vec![0; HEADER];
    body[0] = family_code(family);
    Question { what: "addresses", kind: libc::RTM_GETADDR, body }
}

/// The address of a message; its interface's name is not in it, but for IPv4.
pub fn read(body: &[u8]) -> Option<Address> {
    family(u8_at(body, 0))?;
    let mut flags = AddressFlags(u8_at(body, 2).into());
    let (mut local, mut address) = (None, None);
    let (mut broadcast, mut anycast, mut label) = (None, None, None);
    let (mut metric, mut proto) = (None, None);
    let (mut valid, mut preferred) = (None, None);
    attributes(after(body, HEADER), |kind, value| match kind {
        libc::IFA_ADDRESS => address = ip(value),
        libc::IFA_LOCAL => local = ip(value),
        libc::IFA_LABEL => label = Some(text(value)),
        libc::IFA_BROADCAST => broadcast = ip(value),
        libc::IFA_ANYCAST => anycast = ip(value),
        // All of them; the header has room for the first eight only.
        IFA_FLAGS => flags = AddressFlags(u32_at(value, 0)),
        IFA_RT_PRIORITY => metric = Some(u32_at(value, 0)),
        IFA_PROTO => proto = Some(u8_at(value, 0)),
        libc::IFA_CACHEINFO => {
            preferred = Some(Lifetime(u32_at(value, 0)));
            valid = Some(Lifetime(u32_at(value, 4)));
        }
        _ => {}
    });
    // IPv6 tells `local` only where there is another end.
    let local = local.or(address)?;
    Some(Address {
        ifindex: u32_at(body, 4),
        ifname: String::new(),
        local,
        peer: address.filter(|address| *address != local),
        prefixlen: u8_at(body, 1),
        broadcast,
        anycast,
        scope: Scope(u8_at(body, 3)),
        flags,
        label,
        metric,
        proto,
        valid,
        preferred,
    })
}
