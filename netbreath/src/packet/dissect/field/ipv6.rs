//! Fields of `ipv6`.

use super::{Base, Kind, field, value};

fields! {
    7, "ipv6", "IPv6", "Internet Protocol Version 6";
    VERSION = field("ipv6.version", "Version", Kind::U8);
    TCLASS = field("ipv6.tclass", "Traffic Class", Kind::U32).base(Base::Hex).mask(0xff00000);
    TCLASS_DSCP = field("ipv6.tclass.dscp", "Differentiated Services Codepoint", Kind::U32).mask(0xfc00000).names(&value::IP_DSFIELD_DSCP);
    TCLASS_ECN = field("ipv6.tclass.ecn", "Explicit Congestion Notification", Kind::U32).mask(0x300000).names(&value::IP_DSFIELD_ECN);
    FLOW = field("ipv6.flow", "Flow Label", Kind::U24).base(Base::Hex).mask(0xfffff);
    PLEN = field("ipv6.plen", "Payload Length", Kind::U16);
    NXT = field("ipv6.nxt", "Next Header", Kind::U8).names(&value::IP_PROTO);
    HLIM = field("ipv6.hlim", "Hop Limit", Kind::U8);
    SRC = field("ipv6.src", "Source Address", Kind::Ipv6);
    SRC_HOST = field("ipv6.src_host", "Source Host", Kind::Str);
    DST = field("ipv6.dst", "Destination Address", Kind::Ipv6);
    DST_HOST = field("ipv6.dst_host", "Destination Host", Kind::Str);
    ADDR = field("ipv6.addr", "Source or Destination Address", Kind::Ipv6);
    HOST = field("ipv6.host", "Source or Destination Host", Kind::Str);
    OPT = field("ipv6.opt", "IPv6 Option", Kind::None);
    OPT_TYPE = field("ipv6.opt.type", "Type", Kind::U8).base(Base::Hex).names(&value::IPV6_OPT_TYPE);
    OPT_TYPE_ACTION = field("ipv6.opt.type.action", "Action", Kind::U8).mask(0xc0).names(&value::IPV6_OPT_TYPE_ACTION);
    OPT_TYPE_CHANGE = field("ipv6.opt.type.change", "May Change", Kind::Bool).width(8).mask(0x20).words("Yes", "No");
    OPT_TYPE_REST = field("ipv6.opt.type.rest", "Low-Order Bits", Kind::U8).base(Base::Hex).mask(0x1f);
    OPT_LENGTH = field("ipv6.opt.length", "Length", Kind::U8);
    OPT_PADN = field("ipv6.opt.padn", "PadN", Kind::Bytes);
    OPT_ROUTER_ALERT = field("ipv6.opt.router_alert", "Router Alert", Kind::U16).names(&value::IPV6_OPT_ROUTER_ALERT);
    OPT_UNKNOWN = field("ipv6.opt.unknown", "Unknown Option Payload", Kind::Bytes);
    HOPOPTS_NXT = field("ipv6.hopopts.nxt", "Next Header", Kind::U8).names(&value::IP_PROTO);
    HOPOPTS_LEN = field("ipv6.hopopts.len", "Length", Kind::U8);
    HOPOPTS_LEN_OCT = field("ipv6.hopopts.len_oct", "Length", Kind::U16);
    ROUTING_NXT = field("ipv6.routing.nxt", "Next Header", Kind::U8).names(&value::IP_PROTO);
    ROUTING_LEN = field("ipv6.routing.len", "Length", Kind::U8);
    ROUTING_LEN_OCT = field("ipv6.routing.len_oct", "Length", Kind::U16);
    ROUTING_TYPE = field("ipv6.routing.type", "Type", Kind::U8).names(&value::IPV6_ROUTING_TYPE);
    ROUTING_SEGLEFT = field("ipv6.routing.segleft", "Segments Left", Kind::U8);
    ROUTING_UNKNOWN_DATA = field("ipv6.routing.unknown_data", "Type-Specific Data", Kind::Bytes);
    ROUTING_SRH_LAST_ENTRY = field("ipv6.routing.srh.last_entry", "Last Entry", Kind::U8);
    ROUTING_SRH_FLAGS = field("ipv6.routing.srh.flags", "Flags", Kind::U8).base(Base::Hex);
    ROUTING_SRH_TAG = field("ipv6.routing.srh.tag", "Tag", Kind::Bytes);
    ROUTING_SRH_ADDR = field("ipv6.routing.srh.addr", "Address", Kind::Ipv6);
    FRAGHDR_NXT = field("ipv6.fraghdr.nxt", "Next header", Kind::U8).names(&value::IP_PROTO);
    FRAGHDR_RESERVED_OCTET = field("ipv6.fraghdr.reserved_octet", "Reserved octet", Kind::U8).base(Base::Hex);
    FRAGHDR_OFFSET = field("ipv6.fraghdr.offset", "Offset", Kind::U16).mask(0xfff8);
    FRAGHDR_RESERVED_BITS = field("ipv6.fraghdr.reserved_bits", "Reserved bits", Kind::U16).mask(0x6);
    FRAGHDR_MORE = field("ipv6.fraghdr.more", "More Fragments", Kind::Bool).width(16).mask(0x1).words("Yes", "No");
    FRAGHDR_IDENT = field("ipv6.fraghdr.ident", "Identification", Kind::U32).base(Base::Hex);
    DSTOPTS_NXT = field("ipv6.dstopts.nxt", "Next Header", Kind::U8).names(&value::IP_PROTO);
    DSTOPTS_LEN = field("ipv6.dstopts.len", "Length", Kind::U8);
    DSTOPTS_LEN_OCT = field("ipv6.dstopts.len_oct", "Length", Kind::U16);
    DSTOPTS = field("ipv6.dstopts", "Destination Options for IPv6", Kind::Part);
    FRAGHDR = field("ipv6.fraghdr", "Fragment Header for IPv6", Kind::Part);
    HOPOPTS = field("ipv6.hopopts", "IPv6 Hop-by-Hop Option", Kind::Part);
    ROUTING = field("ipv6.routing", "Routing Header for IPv6", Kind::Part);
}
