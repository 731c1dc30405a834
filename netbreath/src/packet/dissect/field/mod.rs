//! What can stand in a packet: for each protocol one table of its fields, with Wireshark's
//! names, so that its users' fingers and scripts find them.

mod table;
pub mod value;

pub use table::{
    Base, Field, Id, Kind, Names, Protocol, Words, all_by_name, by_name, field, protocols,
};

/// The table of a protocol: its place in `PROTOCOLS`, its name, its short name, its title,
/// and its fields, each of which becomes a constant.
macro_rules! fields {
    ($index:literal, $name:literal, $short:literal, $title:literal;
     $($id:ident = $field:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[allow(dead_code, reason = "places of fields")]
        enum Place { $($id,)* }
        $(pub const $id: super::Id = super::Id::new($index, Place::$id as u16);)*
        /// The protocol itself.
        pub const SELF: super::Id = super::Id::protocol($index);
        pub static PROTOCOL: super::Protocol = super::Protocol {
            name: $name,
            short: $short,
            title: $title,
            fields: &[$($field),*],
        };
    };
}

pub mod arp;
pub mod data;
pub mod dhcp;
pub mod dns;
pub mod eth;
pub mod expert;
pub mod frame;
pub mod gre;
pub mod http;
pub mod icmp;
pub mod icmpv6;
pub mod ieee8021ad;
pub mod ieee8021ah;
pub mod igmp;
pub mod ip;
pub mod ipv6;
pub mod malformed;
pub mod mdns;
pub mod ntp;
pub mod null;
pub mod own;
pub mod quic;
pub mod raw;
pub mod short;
pub mod sll;
pub mod tcp;
pub mod text_lines;
pub mod tls;
pub mod udp;
pub mod vlan;
pub mod vxlan;

/// In the order of their places.
pub static PROTOCOLS: [&Protocol; 31] = [
    &frame::PROTOCOL,
    &eth::PROTOCOL,
    &vlan::PROTOCOL,
    &ieee8021ad::PROTOCOL,
    &ieee8021ah::PROTOCOL,
    &arp::PROTOCOL,
    &ip::PROTOCOL,
    &ipv6::PROTOCOL,
    &icmp::PROTOCOL,
    &icmpv6::PROTOCOL,
    &igmp::PROTOCOL,
    &tcp::PROTOCOL,
    &udp::PROTOCOL,
    &gre::PROTOCOL,
    &vxlan::PROTOCOL,
    &sll::PROTOCOL,
    &null::PROTOCOL,
    &raw::PROTOCOL,
    &http::PROTOCOL,
    &dns::PROTOCOL,
    &mdns::PROTOCOL,
    &tls::PROTOCOL,
    &quic::PROTOCOL,
    &dhcp::PROTOCOL,
    &ntp::PROTOCOL,
    &data::PROTOCOL,
    &text_lines::PROTOCOL,
    &expert::PROTOCOL,
    &malformed::PROTOCOL,
    &short::PROTOCOL,
    &own::PROTOCOL,
];
