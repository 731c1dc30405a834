//! Fields of `quic`.

use super::{Base, Kind, field, value};

fields! {
    22, "quic", "QUIC", "QUIC IETF";
    CONNECTION_NUMBER = field("quic.connection.number", "Connection Number", Kind::U32);
    PACKET_LENGTH = field("quic.packet_length", "Packet Length", Kind::U32);
    HEADER_FORM = field("quic.header_form", "Header Form", Kind::U8).mask(0x80).names(&value::QUIC_HEADER_FORM);
    LONG_PACKET_TYPE = field("quic.long.packet_type", "Packet Type", Kind::U8).mask(0x30).names(&value::QUIC_LONG_PACKET_TYPE);
    LONG_PACKET_TYPE_V2 = field("quic.long.packet_type_v2", "Packet Type", Kind::U8).mask(0x30).names(&value::QUIC_LONG_PACKET_TYPE_V2);
    LONG_RESERVED = field("quic.long.reserved", "Reserved", Kind::U8).mask(0xc);
    PACKET_NUMBER_LENGTH = field("quic.packet_number_length", "Packet Number Length", Kind::U8).mask(0x3).names(&value::QUIC_PACKET_NUMBER_LENGTH);
    DCID = field("quic.dcid", "Destination Connection ID", Kind::Bytes);
    SCID = field("quic.scid", "Source Connection ID", Kind::Bytes);
    DCIL = field("quic.dcil", "Destination Connection ID Length", Kind::U8);
    SCIL = field("quic.scil", "Source Connection ID Length", Kind::U8);
    TOKEN_LENGTH = field("quic.token_length", "Token Length", Kind::U64);
    TOKEN = field("quic.token", "Token", Kind::Bytes);
    LENGTH = field("quic.length", "Length", Kind::U64);
    PACKET_NUMBER = field("quic.packet_number", "Packet Number", Kind::U64);
    VERSION = field("quic.version", "Version", Kind::U32).base(Base::Hex);
    SUPPORTED_VERSION = field("quic.supported_version", "Supported Version", Kind::U32).base(Base::Hex);
    VN_UNUSED = field("quic.vn.unused", "Unused", Kind::U8).base(Base::Hex).mask(0x7f);
    SHORT = field("quic.short", "QUIC Short Header", Kind::None);
    FIXED_BIT = field("quic.fixed_bit", "Fixed Bit", Kind::Bool).width(8).mask(0x40);
    SPIN_BIT = field("quic.spin_bit", "Spin Bit", Kind::Bool).width(8).mask(0x20);
    SHORT_RESERVED = field("quic.short.reserved", "Reserved", Kind::U8).mask(0x18);
    KEY_PHASE = field("quic.key_phase", "Key Phase Bit", Kind::Bool).width(8).mask(0x4);
    PAYLOAD = field("quic.payload", "Payload", Kind::Bytes);
    PROTECTED_PAYLOAD = field("quic.protected_payload", "Protected Payload", Kind::Bytes);
    REMAINING_PAYLOAD = field("quic.remaining_payload", "Remaining Payload", Kind::Bytes);
    ODCIL = field("quic.odcil", "Original Destination Connection ID Length", Kind::U8);
    ODCID = field("quic.odcid", "Original Destination Connection ID", Kind::Bytes);
    RETRY_TOKEN = field("quic.retry_token", "Retry Token", Kind::Bytes);
    RETRY_INTEGRITY_TAG = field("quic.retry_integrity_tag", "Retry Integrity Tag", Kind::Bytes);
    STATELESS_RESET_TOKEN = field("quic.stateless_reset_token", "Stateless Reset Token", Kind::Bytes);
    CONNECTION_UNKNOWN = field("quic.connection.unknown", "Unknown QUIC connection. Missing Initial Packet or migrated connection?", Kind::None);
    DECRYPTION_FAILED = field("quic.decryption_failed", "Failed to decrypt handshake", Kind::None);
    COALESCED_PADDING_DATA = field("quic.coalesced_padding_data", "Coalesced Padding Data", Kind::None);
}
