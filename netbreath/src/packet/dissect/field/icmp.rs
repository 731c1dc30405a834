//! Fields of `icmp`.

use super::{Base, Kind, field, value};

fields! {
    8, "icmp", "ICMP", "Internet Control Message Protocol";
    TYPE = field("icmp.type", "Type", Kind::U8);
    CODE = field("icmp.code", "Code", Kind::U8);
    CHECKSUM = field("icmp.checksum", "Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("icmp.checksum.status", "Checksum Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    UNUSED = field("icmp.unused", "Unused", Kind::Bytes);
    IDENT = field("icmp.ident", "Identifier (BE)", Kind::U16).base(Base::DecHex);
    IDENT_LE = field("icmp.ident_le", "Identifier (LE)", Kind::U16).base(Base::DecHex);
    SEQ = field("icmp.seq", "Sequence Number (BE)", Kind::U16).base(Base::DecHex);
    SEQ_LE = field("icmp.seq_le", "Sequence Number (LE)", Kind::U16).base(Base::DecHex);
    MTU = field("icmp.mtu", "MTU of next hop", Kind::U16);
    POINTER = field("icmp.pointer", "Pointer", Kind::U32);
    ORIGINATE_TIMESTAMP = field("icmp.originate_timestamp", "Originate Timestamp", Kind::U32);
    RECEIVE_TIMESTAMP = field("icmp.receive_timestamp", "Receive Timestamp", Kind::U32);
    TRANSMIT_TIMESTAMP = field("icmp.transmit_timestamp", "Transmit Timestamp", Kind::U32);
    REDIR_GW = field("icmp.redir_gw", "Gateway Address", Kind::Ipv4);
    RESP_TO = field("icmp.resp_to", "Request frame", Kind::Frame);
    RESPTIME = field("icmp.resptime", "Response time", Kind::Double);
    CHECKSUM_BAD = field("icmp.checksum_bad", "Bad checksum", Kind::None);
}
