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
    Retransmit = 12,
    RetransmitSynAck = 13,
    ResetSent = 14,
    ResetReceived = 15,
    Drop = 16,
    ConnectReturn = 17,
    HalfOpen = 18,
    Mini = 19,
    MiniReset = 20,
}

impl Hook {
    pub const ALL: [Hook; 21] = [
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
        Hook::Retransmit,
        Hook::RetransmitSynAck,
        Hook::ResetSent,
        Hook::ResetReceived,
        Hook::Drop,
        Hook::ConnectReturn,
        Hook::HalfOpen,
        Hook::Mini,
        Hook::MiniReset,
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
            Hook::Retransmit => "retransmit",
            Hook::RetransmitSynAck => "retransmit_synack",
            Hook::ResetSent => "reset_sent",
            Hook::ResetReceived => "reset_received",
            Hook::Drop => "drop",
            Hook::ConnectReturn => "connect_return",
            Hook::HalfOpen => "half_open",
            Hook::Mini => "mini",
            Hook::MiniReset => "mini_reset",
        }
    }
}
