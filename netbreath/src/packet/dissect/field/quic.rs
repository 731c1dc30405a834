//! Fields of `quic`.

use super::{Base, Kind, field, value};

fields! {
    22, "quic", "QUIC", "QUIC IETF";
    HEADER_FORM = field("quic.header_form", "Header Form", Kind::U8).mask(0x80).names(&value::QUIC_HEADER_FORM);
    LONG_PACKET_TYPE = field("quic.long.packet_type", "Packet Type", Kind::U8).mask(0x30).names(&value::QUIC_LONG_PACKET_TYPE);
    DCID = field("quic.dcid", "Destination Connection ID", Kind::Bytes);
    SCID = field("quic.scid", "Source Connection ID", Kind::Bytes);
    DCIL = field("quic.dcil", "Destination Connection ID Length", Kind::U8);
    SCIL = field("quic.scil", "Source Connection ID Length", Kind::U8);
    VERSION = field("quic.version", "Version", Kind::U32).base(Base::Hex);
    FIXED_BIT = field("quic.fixed_bit", "Fixed Bit", Kind::Bool).width(8).mask(0x40);
    REMAINING_PAYLOAD = field("quic.remaining_payload", "Remaining Payload", Kind::Bytes);
}
