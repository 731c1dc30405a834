//! Fields of `sll`.

use super::{Base, Kind, field, value};

fields! {
    15, "sll", "SLL", "Linux cooked-mode capture";
    PKTTYPE = field("sll.pkttype", "Packet type", Kind::U16).names(&value::SLL_PKTTYPE);
    HATYPE = field("sll.hatype", "Link-layer address type", Kind::U16).names(&value::SLL_HATYPE);
    HALEN = field("sll.halen", "Link-layer address length", Kind::U16);
    SRC_ETH = field("sll.src.eth", "Source", Kind::Ether);
    SRC_IPV4 = field("sll.src.ipv4", "Source", Kind::Ipv4);
    SRC_OTHER = field("sll.src.other", "Source", Kind::Bytes);
    UNUSED = field("sll.unused", "Unused", Kind::Bytes);
    ETYPE = field("sll.etype", "Protocol", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
    IFINDEX = field("sll.ifindex", "Interface index", Kind::U32);
}
