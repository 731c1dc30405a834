//! Fields of `arp`.

use super::{Base, Kind, field, value};

fields! {
    5, "arp", "ARP/RARP", "Address Resolution Protocol";
    HW_TYPE = field("arp.hw.type", "Hardware type", Kind::U16).names(&value::ARP_HW_TYPE);
    PROTO_TYPE = field("arp.proto.type", "Protocol type", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
    HW_SIZE = field("arp.hw.size", "Hardware size", Kind::U8);
    PROTO_SIZE = field("arp.proto.size", "Protocol size", Kind::U8);
    OPCODE = field("arp.opcode", "Opcode", Kind::U16).names(&value::ARP_OPCODE);
    ISGRATUITOUS = field("arp.isgratuitous", "Is gratuitous", Kind::Bool);
    ISPROBE = field("arp.isprobe", "Is probe", Kind::Bool);
    ISANNOUNCEMENT = field("arp.isannouncement", "Is announcement", Kind::Bool);
    SRC_HW = field("arp.src.hw", "Sender hardware address", Kind::Bytes);
    SRC_HW_MAC = field("arp.src.hw_mac", "Sender MAC address", Kind::Ether);
    SRC_PROTO = field("arp.src.proto", "Sender protocol address", Kind::Bytes);
    SRC_PROTO_IPV4 = field("arp.src.proto_ipv4", "Sender IP address", Kind::Ipv4);
    DST_HW = field("arp.dst.hw", "Target hardware address", Kind::Bytes);
    DST_HW_MAC = field("arp.dst.hw_mac", "Target MAC address", Kind::Ether);
    DST_PROTO = field("arp.dst.proto", "Target protocol address", Kind::Bytes);
    DST_PROTO_IPV4 = field("arp.dst.proto_ipv4", "Target IP address", Kind::Ipv4);
}
