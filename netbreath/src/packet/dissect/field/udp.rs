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
    CHECKSUM_CALCULATED = field("udp.checksum_calculated", "Calculated Checksum", Kind::U16).base(Base::Hex);
    CHECKSUM_STATUS = field("udp.checksum.status", "Checksum Status", Kind::U8).base(Base::None).names(&value::ETH_FCS_STATUS);
    PROC_SRCPID = field("udp.proc.srcpid", "Source process ID", Kind::U32);
    PROC_SRCCMD = field("udp.proc.srccmd", "Source process name", Kind::Str);
    PROC_DSTPID = field("udp.proc.dstpid", "Destination process ID", Kind::U32);
    PROC_DSTCMD = field("udp.proc.dstcmd", "Destination process name", Kind::Str);
    PDU_SIZE = field("udp.pdu.size", "PDU Size", Kind::U32);
    TIME_RELATIVE = field("udp.time_relative", "Time since first frame", Kind::Rel);
    TIME_DELTA = field("udp.time_delta", "Time since previous frame", Kind::Rel);
    PAYLOAD = field("udp.payload", "Payload", Kind::Bytes);
    POSSIBLE_TRACEROUTE = field("udp.possible_traceroute", "Possible traceroute", Kind::None);
    LENGTH_BAD = field("udp.length.bad", "Bad length value", Kind::None);
    CHECKSUM_ZERO = field("udp.checksum.zero", "Illegal checksum value (0)", Kind::None);
    CHECKSUM_BAD = field("udp.checksum.bad", "Bad checksum", Kind::None);
    LENGTH_BAD_ZERO = field("udp.length.bad_zero", "Length is zero but payload < 65536", Kind::None);
}
