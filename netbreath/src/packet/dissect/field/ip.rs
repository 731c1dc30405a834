//! Fields of `ip`.

use super::{Base, Kind, field, value};

fields! {
    6, "ip", "IPv4", "Internet Protocol Version 4";
    VERSION = field("ip.version", "Version", Kind::U8);
    HDR_LEN = field("ip.hdr_len", "Header Length", Kind::U8);
    DSFIELD = field("ip.dsfield", "Differentiated Services Field", Kind::U8).base(Base::Hex);
    DSFIELD_DSCP = field("ip.dsfield.dscp", "Differentiated Services Codepoint", Kind::U8).mask(0xfc).names(&value::IP_DSFIELD_DSCP);
    DSFIELD_ECN = field("ip.dsfield.ecn", "Explicit Congestion Notification", Kind::U8).mask(0x3).names(&value::IP_DSFIELD_ECN);
    LEN = field("ip.len", "Total Length", Kind::U16);
    ID = field("ip.id", "Identification", Kind::U16).base(Base::HexDec);
    DST = field("ip.dst", "Destination Address", Kind::Ipv4);
    DST_HOST = field("ip.dst_host", "Destination Host", Kind::Str);
    SRC = field("ip.src", "Source Address", Kind::Ipv4);
    SRC_HOST = field("ip.src_host", "Source Host", Kind::Str);
    ADDR = field("ip.addr", "Source or Destination Address", Kind::Ipv4);
    HOST = field("ip.host", "Source or Destination Host", Kind::Str);
    FLAGS = field("ip.flags", "Flags", Kind::U8).base(Base::Hex).mask(0xe0);
    FLAGS_RB = field("ip.flags.rb", "Reserved bit", Kind::Bool).width(8).mask(0x80).words("Set", "Not set");
    FLAGS_DF = field("ip.flags.df", "Don't fragment", Kind::Bool).width(8).mask(0x40).words("Set", "Not set");
    FLAGS_MF = field("ip.flags.mf", "More fragments", Kind::Bool).width(8).mask(0x20).words("Set", "Not set");
    FRAG_OFFSET = field("ip.frag_offset", "Fragment Offset", Kind::U16).mask(0x1fff);
    TTL = field("ip.ttl", "Time to Live", Kind::U8);
    PROTO = field("ip.proto", "Protocol", Kind::U8).names(&value::IP_PROTO);
    CHECKSUM = field("ip.checksum", "Header Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("ip.checksum.status", "Header checksum status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    OPT_TYPE = field("ip.opt.type", "Type", Kind::U8);
    OPT_TYPE_COPY = field("ip.opt.type.copy", "Copy on fragmentation", Kind::Bool).width(8).mask(0x80).words("Yes", "No");
    OPT_TYPE_CLASS = field("ip.opt.type.class", "Class", Kind::U8).mask(0x60).names(&value::IP_OPT_TYPE_CLASS);
    OPT_TYPE_NUMBER = field("ip.opt.type.number", "Number", Kind::U8).mask(0x1f).names(&value::IP_OPT_TYPE_NUMBER);
    OPT_LEN = field("ip.opt.len", "Length", Kind::U8);
    OPT_PTR = field("ip.opt.ptr", "Pointer", Kind::U8);
    OPT_RA = field("ip.opt.ra", "Router Alert", Kind::U16);
    REC_RT = field("ip.rec_rt", "Recorded Route", Kind::Ipv4);
    REC_RT_HOST = field("ip.rec_rt_host", "Recorded Route Host", Kind::Str);
    SRC_RT = field("ip.src_rt", "Source Route", Kind::Ipv4);
    EMPTY_RT = field("ip.empty_rt", "Empty Route", Kind::Ipv4);
    EMPTY_RT_HOST = field("ip.empty_rt_host", "Empty Route Host", Kind::Str);
    BOGUS_IP_LENGTH = field("ip.bogus_ip_length", "Bogus IP length", Kind::None);
    TTL_LNCB = field("ip.ttl.lncb", "Time To Live", Kind::None);
    TTL_TOO_SMALL = field("ip.ttl.too_small", "Time To Live", Kind::None);
    BOGUS_IP_VERSION = field("ip.bogus_ip_version", "Bogus IP version", Kind::None);
    BOGUS_HEADER_LENGTH = field("ip.bogus_header_length", "Bogus IP header length", Kind::None);
    OPTIONS_EOL = field("ip.options.eol", "IP Option - End of Options List (EOL)", Kind::Part);
    OPTIONS_NOP = field("ip.options.nop", "IP Option - No-Operation (NOP)", Kind::Part);
    OPTIONS_RECORD_ROUTE = field("ip.options.record_route", "IP Option - Record Route", Kind::Part);
    OPTIONS_ROUTERALERT = field("ip.options.routeralert", "IP Option - Router Alert", Kind::Part);
    OPTIONS_SECURITY = field("ip.options.security", "IP Option - Security", Kind::Part);
    OPTIONS_SID = field("ip.options.sid", "IP Option - Stream ID", Kind::Part);
    OPTIONS_TIMESTAMP = field("ip.options.timestamp", "IP Option - Time Stamp", Kind::Part);
}
