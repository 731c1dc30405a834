//! Fields of `frame`.

use super::{Base, Kind, field, value};

fields! {
    0, "frame", "Frame", "Frame";
    TIME = field("frame.time", "Arrival Time", Kind::Abs);
    OFFSET_SHIFT = field("frame.offset_shift", "Time shift for this packet", Kind::Rel);
    TIME_EPOCH = field("frame.time_epoch", "Epoch Time", Kind::Rel);
    TIME_DELTA = field("frame.time_delta", "Time delta from previous captured frame", Kind::Rel);
    TIME_DELTA_DISPLAYED = field("frame.time_delta_displayed", "Time delta from previous displayed frame", Kind::Rel);
    TIME_RELATIVE = field("frame.time_relative", "Time since reference or first frame", Kind::Rel);
    NUMBER = field("frame.number", "Frame Number", Kind::U32);
    LEN = field("frame.len", "Frame length on the wire", Kind::U32);
    CAP_LEN = field("frame.cap_len", "Frame length stored into the capture file", Kind::U32);
    MARKED = field("frame.marked", "Frame is marked", Kind::Bool);
    IGNORED = field("frame.ignored", "Frame is ignored", Kind::Bool);
    PROTOCOLS = field("frame.protocols", "Protocols in frame", Kind::Str);
    INTERFACE_ID = field("frame.interface_id", "Interface id", Kind::U32);
    INTERFACE_NAME = field("frame.interface_name", "Interface name", Kind::Str);
    PACKET_FLAGS = field("frame.packet_flags", "Packet flags", Kind::U32).base(Base::Hex);
    PACKET_FLAGS_DIRECTION = field("frame.packet_flags_direction", "Direction", Kind::U32).base(Base::Hex).mask(0x3).names(&value::FRAME_PACKET_FLAGS_DIRECTION);
    ENCAP_TYPE = field("frame.encap_type", "Encapsulation type", Kind::I16).names(&value::FRAME_ENCAP_TYPE);
}
