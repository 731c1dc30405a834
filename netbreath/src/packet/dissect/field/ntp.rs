//! Fields of `ntp`.

use super::{Base, Kind, field, value};

fields! {
    24, "ntp", "NTP", "Network Time Protocol";
    FLAGS = field("ntp.flags", "Flags", Kind::U8).base(Base::Hex);
    FLAGS_LI = field("ntp.flags.li", "Leap Indicator", Kind::U8).mask(0xc0).names(&value::NTP_FLAGS_LI);
    FLAGS_VN = field("ntp.flags.vn", "Version number", Kind::U8).mask(0x38).names(&value::NTP_FLAGS_VN);
    FLAGS_MODE = field("ntp.flags.mode", "Mode", Kind::U8).mask(0x7).names(&value::NTP_FLAGS_MODE);
    STRATUM = field("ntp.stratum", "Peer Clock Stratum", Kind::U8);
    PPOLL = field("ntp.ppoll", "Peer Polling Interval", Kind::U8);
    PRECISION = field("ntp.precision", "Peer Clock Precision", Kind::U8);
    ROOTDELAY = field("ntp.rootdelay", "Root Delay", Kind::U32);
    ROOTDISPERSION = field("ntp.rootdispersion", "Root Dispersion", Kind::U32);
    REFID = field("ntp.refid", "Reference ID", Kind::Bytes);
    REFTIME = field("ntp.reftime", "Reference Timestamp", Kind::Abs);
    ORG = field("ntp.org", "Origin Timestamp", Kind::Abs);
    REC = field("ntp.rec", "Receive Timestamp", Kind::Abs);
    XMT = field("ntp.xmt", "Transmit Timestamp", Kind::Abs);
    KEYID = field("ntp.keyid", "Key ID", Kind::Bytes);
    MAC = field("ntp.mac", "Message Authentication Code", Kind::Bytes);
}
