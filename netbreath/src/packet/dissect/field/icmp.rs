//! Fields of `icmp`.

use super::{Base, Kind, field, value};

fields! {
    8, "icmp", "ICMP", "Internet Control Message Protocol";
    TYPE = field("icmp.type", "Type", Kind::U8);
    CODE = field("icmp.code", "Code", Kind::U8);
    CHECKSUM = field("icmp.checksum", "Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("icmp.checksum.status", "Checksum Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    UNUSED = field("icmp.unused", "Unused", Kind::Bytes);
    RESERVED = field("icmp.reserved", "Reserved", Kind::Bytes);
    IDENT = field("icmp.ident", "Identifier (BE)", Kind::U16).base(Base::DecHex);
    IDENT_LE = field("icmp.ident_le", "Identifier (LE)", Kind::U16).base(Base::DecHex);
    SEQ = field("icmp.seq", "Sequence Number (BE)", Kind::U16).base(Base::DecHex);
    SEQ_LE = field("icmp.seq_le", "Sequence Number (LE)", Kind::U16).base(Base::DecHex);
    MTU = field("icmp.mtu", "MTU of next hop", Kind::U16);
    NUM_ADDRS = field("icmp.num_addrs", "Number of addresses", Kind::U8);
    ADDR_ENTRY_SIZE = field("icmp.addr_entry_size", "Address entry size", Kind::U8);
    LIFETIME = field("icmp.lifetime", "Lifetime", Kind::U16);
    POINTER = field("icmp.pointer", "Pointer", Kind::U32);
    ORIGINATE_TIMESTAMP = field("icmp.originate_timestamp", "Originate Timestamp", Kind::U32);
    RECEIVE_TIMESTAMP = field("icmp.receive_timestamp", "Receive Timestamp", Kind::U32);
    TRANSMIT_TIMESTAMP = field("icmp.transmit_timestamp", "Transmit Timestamp", Kind::U32);
    REDIR_GW = field("icmp.redir_gw", "Gateway Address", Kind::Ipv4);
    EXT = field("icmp.ext", "ICMP Extensions", Kind::None);
    RESP_IN = field("icmp.resp_in", "Response frame", Kind::Frame);
    NO_RESP = field("icmp.no_resp", "No response seen", Kind::None);
    RESP_TO = field("icmp.resp_to", "Request frame", Kind::Frame);
    RESPTIME = field("icmp.resptime", "Response time", Kind::Double);
    DATA_TIME = field("icmp.data_time", "Timestamp from icmp data", Kind::Abs);
    LENGTH = field("icmp.length", "Length", Kind::U8);
    CHECKSUM_BAD = field("icmp.checksum_bad", "Bad checksum", Kind::None);
}
