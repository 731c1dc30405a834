//! Fields that Wireshark 4.0 does not have: whose a packet is, and what its socket was in.

use super::{Kind, field};

fields! {
    30, "owner", "Owner", "Owners of the packet";
    PID = field("frame.process_info.pid", "Process", Kind::U32);
    PNAME = field("frame.process_info.pname", "Process name", Kind::Str);
    UID = field("frame.process_info.uid", "User", Kind::U32);
    PEER_PID = field("frame.process_info.peer.pid", "Process at the other end", Kind::U32);
    PEER_PNAME = field("frame.process_info.peer.pname", "Name of the process at the other end", Kind::Str);
    STATE = field("tcp.state", "State of the socket", Kind::Str);
}
