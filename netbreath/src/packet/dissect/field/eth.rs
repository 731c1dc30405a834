//! Fields of `eth`.

use super::{Base, Kind, field, value};

fields! {
    1, "eth", "Ethernet", "Ethernet";
    DST = field("eth.dst", "Destination", Kind::Ether);
    DST_RESOLVED = field("eth.dst_resolved", "Destination (resolved)", Kind::Str);
    DST_OUI = field("eth.dst.oui", "Destination OUI", Kind::U24).base(Base::Oui);
    SRC = field("eth.src", "Source", Kind::Ether);
    SRC_RESOLVED = field("eth.src_resolved", "Source (resolved)", Kind::Str);
    SRC_OUI = field("eth.src.oui", "Source OUI", Kind::U24).base(Base::Oui);
    LEN = field("eth.len", "Length", Kind::U16);
    TYPE = field("eth.type", "Type", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
    ADDR = field("eth.addr", "Address", Kind::Ether);
    ADDR_RESOLVED = field("eth.addr_resolved", "Address (resolved)", Kind::Str);
    ADDR_OUI = field("eth.addr.oui", "Address OUI", Kind::U24).base(Base::Oui);
    PADDING = field("eth.padding", "Padding", Kind::Bytes);
    TRAILER = field("eth.trailer", "Trailer", Kind::Bytes);
    FCS = field("eth.fcs", "Frame check sequence", Kind::U32).base(Base::Hex);
    FCS_STATUS = field("eth.fcs.status", "FCS Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    DST_LG = field("eth.dst.lg", "LG bit", Kind::Bool).width(24).mask(0x20000).words("Locally administered address (this is NOT the factory default)", "Globally unique address (factory default)");
    DST_IG = field("eth.dst.ig", "IG bit", Kind::Bool).width(24).mask(0x10000).words("Group address (multicast/broadcast)", "Individual address (unicast)");
    SRC_LG = field("eth.src.lg", "LG bit", Kind::Bool).width(24).mask(0x20000).words("Locally administered address (this is NOT the factory default)", "Globally unique address (factory default)");
    SRC_IG = field("eth.src.ig", "IG bit", Kind::Bool).width(24).mask(0x10000).words("Group address (multicast/broadcast)", "Individual address (unicast)");
    LG = field("eth.lg", "LG bit", Kind::Bool).width(24).mask(0x20000).words("Locally administered address (this is NOT the factory default)", "Globally unique address (factory default)");
    IG = field("eth.ig", "IG bit", Kind::Bool).width(24).mask(0x10000).words("Group address (multicast/broadcast)", "Individual address (unicast)");
}
