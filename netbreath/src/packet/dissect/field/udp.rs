//! Fields of `udp`.

use super::{Base, Kind, field, value};

fields! {
    12, "udp", "UDP", "User Datagram Protocol";
    SRCPORT = field("udp.srcport", "Source Port", Kind::U16).base(Base::UdpPort);
    DSTPORT = field("udp.dstport", "Destination Port", Kind::U16).base(Base::UdpPort);
    PORT = field("udp.port", "Source or Destination Port", Kind::U16).base(Base::UdpPort);
    STREAM = field("udp.stream", "Stream index", Kind::U32);
    LENGTH = field("udp.length", "Length", Kind::U16);
    CHECKSUM = field("udp.checksum", "Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("udp.checksum.status", "Checksum Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    TIME_RELATIVE = field("udp.time_relative", "Time since first frame", Kind::Rel);
    TIME_DELTA = field("udp.time_delta", "Time since previous frame", Kind::Rel);
    PAYLOAD = field("udp.payload", "Payload", Kind::Bytes);
    LENGTH_BAD = field("udp.length.bad", "Bad length value", Kind::None);
}
