//! What a rung does not show that better ones do: as a sentence for people, and as a
//! name for programs. The tests demand that a rung shows all the rest.

/// One thing that is not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    InheritedOwner,
    Cookie,
    HandedOn,
    SynSentPort,
    Surroundings,
    End,
    UdpConnectResult,
    UnixCloseOtherwise,
    UnixOtherCalls,
    Descriptor,
    AcceptUnderWay,
    Listen,
    ReadOfEnd,
    ResetReason,
    DropReceived,
    DropReason,
}

impl Unseen {
    /// As recordings have it, in `unseen` of a gap.
    pub const fn name(self) -> &'static str {
        match self {
            Unseen::InheritedOwner => "inherited_owner",
            Unseen::Cookie => "cookie",
            Unseen::HandedOn => "handed_on",
            Unseen::SynSentPort => "syn_sent_port",
            Unseen::Surroundings => "surroundings",
            Unseen::End => "end",
            Unseen::UdpConnectResult => "udp_connect_result",
            Unseen::UnixCloseOtherwise => "unix_close_otherwise",
            Unseen::UnixOtherCalls => "unix_other_calls",
            Unseen::Descriptor => "descriptor",
            Unseen::AcceptUnderWay => "accept_under_way",
            Unseen::Listen => "listen",
            Unseen::ReadOfEnd => "read_of_end",
            Unseen::ResetReason => "reset_reason",
            Unseen::DropReceived => "drop_received",
            Unseen::DropReason => "drop_reason",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Unseen::HandedOn => "who owns a connection that was passed on",
            Unseen::SynSentPort => "the local port of SYN_SENT",
            Unseen::Surroundings => "programs, network namespaces and control groups",
            Unseen::UdpConnectResult => {
                "whether connect() of a UDP socket succeeded, and the local address and port that \
                 it chose; the first datagram shows them"
            }
            Unseen::UnixCloseOtherwise => {
                "the end of UNIX sockets that are closed otherwise than by close() or by the end \
                 of their process: by exec, dup2() or close_range(), on their way to another \
                 process, by two holders at once, or while another thread is in a call on them"
            }
            Unseen::UnixOtherCalls => {
                "calls on UNIX sockets through io_uring or by 32-bit programs"
            }
            Unseen::End => "how connections ended",
            Unseen::Cookie => {
                "the number that other tools know a socket by, if none has asked for it yet"
            }
            Unseen::InheritedOwner => "who owns a connection that came in, before it is accepted",
            Unseen::Descriptor => "the number of a new descriptor",
            Unseen::AcceptUnderWay => {
                "who waited in accept() at the start, or while another program was attached to the \
                 same function or detached from it"
            }
            Unseen::Listen => "the changes from CLOSE to LISTEN and from LISTEN to SYN_RECV",
            Unseen::ResetReason => "the kernel's reason for a reset",
            Unseen::DropReceived => "packets that came in and are thrown away",
            Unseen::DropReason => "the kernel's reason for a drop",
            Unseen::ReadOfEnd => "who reads no more than the end of a connection's data",
        }
    }
}

/// All of them in one line, for people; empty if there are none.
pub fn sentence(unseen: &[Unseen]) -> String {
    unseen.iter().map(|unseen| unseen.meaning()).collect::<Vec<_>>().join("; ")
}

/// All of them by their names.
pub fn names(unseen: &[Unseen]) -> Vec<String> {
    unseen.iter().map(|unseen| unseen.name().to_owned()).collect()
}
