//! Fields of `gre`.

use super::{Base, Kind, field, value};

fields! {
    13, "gre", "GRE", "Generic Routing Encapsulation";
    PROTO = field("gre.proto", "Protocol Type", Kind::U16).base(Base::Hex).names(&value::GRE_PROTO);
    FLAGS_AND_VERSION = field("gre.flags_and_version", "Flags and Version", Kind::U16).base(Base::Hex);
    FLAGS_CHECKSUM = field("gre.flags.checksum", "Checksum Bit", Kind::Bool).width(16).mask(0x8000).words("Yes", "No");
    FLAGS_ROUTING = field("gre.flags.routing", "Routing Bit", Kind::Bool).width(16).mask(0x4000).words("Yes", "No");
    FLAGS_KEY = field("gre.flags.key", "Key Bit", Kind::Bool).width(16).mask(0x2000).words("Yes", "No");
    FLAGS_SEQUENCE_NUMBER = field("gre.flags.sequence_number", "Sequence Number Bit", Kind::Bool).width(16).mask(0x1000).words("Yes", "No");
    FLAGS_STRICT_SOURCE_ROUTE = field("gre.flags.strict_source_route", "Strict Source Route Bit", Kind::Bool).width(16).mask(0x800).words("Yes", "No");
    FLAGS_RECURSION_CONTROL = field("gre.flags.recursion_control", "Recursion control", Kind::U16).mask(0x700);
    FLAGS_RESERVED = field("gre.flags.reserved", "Flags (Reserved)", Kind::U16).mask(0xf8);
    FLAGS_VERSION = field("gre.flags.version", "Version", Kind::U16).mask(0x7).names(&value::GRE_FLAGS_VERSION);
    CHECKSUM = field("gre.checksum", "Checksum", Kind::U16).base(Base::Hex);
    OFFSET = field("gre.offset", "Offset", Kind::U16);
    KEY = field("gre.key", "Key", Kind::U32).base(Base::Hex);
    SEQUENCE_NUMBER = field("gre.sequence_number", "Sequence Number", Kind::U32);
}
