//! TCP socket states, by the kernel's numbers (`include/net/tcp_states.h`).

/// A TCP socket's state, as Linux numbers and prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TcpState {
    Established = 1,
    SynSent = 2,
    SynRecv = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Close = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
    /// A request socket: the connection is half-open and has no full socket yet.
    NewSynRecv = 12,
    /// Bound, but neither listening nor connecting (6.7 and newer, in dumps only).
    BoundInactive = 13,
}

impl TcpState {
    pub const ALL: [TcpState; 13] = [
        TcpState::Established,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::Listen,
        TcpState::Closing,
        TcpState::NewSynRecv,
        TcpState::BoundInactive,
    ];

    /// The state with the kernel's number `number`, if there is one.
    pub const fn from_kernel(number: u8) -> Option<TcpState> {
        if number == 0 || number as usize > Self::ALL.len() {
            return None;
        }
        // `ALL` is in the order of the numbers, which start at 1.
        Some(Self::ALL[number as usize - 1])
    }

    /// The name as the kernel and `netstat` on Linux print it.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::Established => "ESTABLISHED",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::FinWait1 => "FIN_WAIT1",
            TcpState::FinWait2 => "FIN_WAIT2",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::Listen => "LISTEN",
            TcpState::Closing => "CLOSING",
            TcpState::NewSynRecv => "NEW_SYN_RECV",
            TcpState::BoundInactive => "BOUND_INACTIVE",
        }
    }

    /// The state's bit in a mask of states, as `TCPF_*` in the kernel.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::TcpState;

    #[test]
    fn numbers_and_states_agree() {
        for number in 0..=u8::MAX {
            match TcpState::from_kernel(number) {
                Some(state) => assert_eq!(state as u8, number),
                None => assert!(number == 0 || number > 13),
            }
        }
    }
}
