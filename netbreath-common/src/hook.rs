//! The hooks by number, so that the kernel side can count what each could not do.

/// One of netbreath's hooks. Its number indexes the counters of [`crate::miss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Hook {
    SockState = 0,
    Connect = 1,
    Accept = 2,
    Destroy = 3,
    Fork = 4,
    Seed = 5,
    Send = 6,
    Receive = 7,
    Exec = 8,
    Exit = 9,
    Processes = 10,
    Rename = 11,
    UdpOpen = 12,
    UdpBind = 13,
    UdpConnect = 14,
    UdpSend = 15,
    UdpReceive = 16,
    UdpPacket = 17,
    UdpClose = 18,
    UnixBind = 19,
    UnixListen = 20,
    UnixConnect = 21,
    UnixAccept = 22,
    UnixClose = 23,
    UnixExit = 24,
}

impl Hook {
    pub const ALL: [Hook; 25] = [
        Hook::SockState,
        Hook::Connect,
        Hook::Accept,
        Hook::Destroy,
        Hook::Fork,
        Hook::Seed,
        Hook::Send,
        Hook::Receive,
        Hook::Exec,
        Hook::Exit,
        Hook::Processes,
        Hook::Rename,
        Hook::UdpOpen,
        Hook::UdpBind,
        Hook::UdpConnect,
        Hook::UdpSend,
        Hook::UdpReceive,
        Hook::UdpPacket,
        Hook::UdpClose,
        Hook::UnixBind,
        Hook::UnixListen,
        Hook::UnixConnect,
        Hook::UnixAccept,
        Hook::UnixClose,
        Hook::UnixExit,
    ];

    /// The hook's name, as `doctor` and gaps print it.
    pub const fn name(self) -> &'static str {
        match self {
            Hook::SockState => "sock_state",
            Hook::Connect => "connect",
            Hook::Accept => "accept",
            Hook::Destroy => "destroy",
            Hook::Fork => "fork",
            Hook::Seed => "seed",
            Hook::Send => "send",
            Hook::Receive => "receive",
            Hook::Exec => "exec",
            Hook::Exit => "exit",
            Hook::Processes => "processes",
            Hook::Rename => "rename",
            Hook::UdpOpen => "udp_open",
            Hook::UdpBind => "udp_bind",
            Hook::UdpConnect => "udp_connect",
            Hook::UdpSend => "udp_send",
            Hook::UdpReceive => "udp_receive",
            Hook::UdpPacket => "udp_packet",
            Hook::UdpClose => "udp_close",
            Hook::UnixBind => "unix_bind",
            Hook::UnixListen => "unix_listen",
            Hook::UnixConnect => "unix_connect",
            Hook::UnixAccept => "unix_accept",
            Hook::UnixClose => "unix_close",
            Hook::UnixExit => "unix_exit",
        }
    }
}
