//! Fields of `igmp`.

use super::{Base, Kind, field, value};

fields! {
    10, "igmp", "IGMP", "Internet Group Management Protocol";
    TYPE = field("igmp.type", "Type", Kind::U8).base(Base::Hex).names(&value::IGMP_TYPE);
    RESERVED = field("igmp.reserved", "Reserved", Kind::Bytes);
    VERSION = field("igmp.version", "IGMP Version", Kind::U8);
    CHECKSUM = field("igmp.checksum", "Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("igmp.checksum.status", "Checksum Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    MAX_RESP = field("igmp.max_resp", "Max Resp Time", Kind::U8);
    S = field("igmp.s", "S", Kind::Bool).width(8).mask(0x8).words("SUPPRESS router side processing", "Do not suppress router side processing");
    QRV = field("igmp.qrv", "QRV", Kind::U8).mask(0x7);
    QQIC = field("igmp.qqic", "QQIC", Kind::U8);
    NUM_SRC = field("igmp.num_src", "Num Src", Kind::U16);
    SADDR = field("igmp.saddr", "Source Address", Kind::Ipv4);
    NUM_GRP_RECS = field("igmp.num_grp_recs", "Num Group Records", Kind::U16);
    RECORD_TYPE = field("igmp.record_type", "Record Type", Kind::U8).names(&value::IGMP_RECORD_TYPE);
    AUX_DATA_LEN = field("igmp.aux_data_len", "Aux Data Len", Kind::U8);
    MADDR = field("igmp.maddr", "Multicast Address", Kind::Ipv4);
}
