//! What each tool calls the states of TCP. One table, so that no view has words of its
//! own.

use netbreath_common::tcp::TcpState;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Linux: the kernel, netstat, lsof.
    Linux,
    /// ss, as it prints.
    Ss,
    /// ss, as its filters are typed.
    SsFilter,
    /// netstat of the BSDs and macOS.
    Bsd,
}

/// The kernel's own stand in `TcpState::name`: then ss, ss's filters, the BSDs.
#[rustfmt::skip]
const WORDS: [(TcpState, &str, &str, &str); 13] = [
    (TcpState::Established,   "ESTAB",      "established",    "ESTABLISHED"),
    (TcpState::SynSent,       "SYN-SENT",   "syn-sent",       "SYN_SENT"),
    (TcpState::SynRecv,       "SYN-RECV",   "syn-recv",       "SYN_RCVD"),
    (TcpState::FinWait1,      "FIN-WAIT-1", "fin-wait-1",     "FIN_WAIT_1"),
    (TcpState::FinWait2,      "FIN-WAIT-2", "fin-wait-2",     "FIN_WAIT_2"),
    (TcpState::TimeWait,      "TIME-WAIT",  "time-wait",      "TIME_WAIT"),
    (TcpState::Close,         "UNCONN",     "unconnected",    "CLOSED"),
    (TcpState::CloseWait,     "CLOSE-WAIT", "close-wait",     "CLOSE_WAIT"),
    (TcpState::LastAck,       "LAST-ACK",   "last-ack",       "LAST_ACK"),
    (TcpState::Listen,        "LISTEN",     "listening",      "LISTEN"),
    (TcpState::Closing,       "CLOSING",    "closing",        "CLOSING"),
    (TcpState::NewSynRecv,    "SYN-RECV",   "new-syn-recv",   "SYN_RCVD"),
    (TcpState::BoundInactive, "UNCONN",     "bound-inactive", "CLOSED"),
];

/// The word for `state`.
pub const fn word(state: TcpState, dialect: Dialect) -> &'static str {
    // The table is in the order of the kernel's numbers, which start at 1.
    let (_, ss, filter, bsd) = WORDS[state as usize - 1];
    match dialect {
        Dialect::Linux => state.name(),
        Dialect::Ss => ss,
        Dialect::SsFilter => filter,
        Dialect::Bsd => bsd,
    }
}

/// The states, as bits, that a word in a filter of ss stands for: a state or a group of
/// them, in any case.
pub fn ss_states(typed: &str) -> Option<u32> {
    const ALL: u32 = 0xfff;
    const CLOSE: u32 = TcpState::Close.bit();
    const LISTEN: u32 = TcpState::Listen.bit();
    const BUCKET: u32 = TcpState::SynRecv.bit() | TcpState::TimeWait.bit();
    let typed = typed.to_ascii_lowercase();
    Some(match typed.as_str() {
        "all" => ALL,
        "connected" => ALL & !(CLOSE | LISTEN),
        "synchronized" => ALL & !(CLOSE | LISTEN | TcpState::SynSent.bit()),
        "bucket" => BUCKET,
        "big" => ALL & !BUCKET,
        "close" | "closed" => CLOSE,
        "syn-rcv" => TcpState::SynRecv.bit(),
        typed => {
            WORDS.iter().take(11).find(|(_, _, filter, _)| *filter == typed).map(|w| w.0.bit())?
        }
    })
}

/// The state that a word of lsof stands for: `LISTEN`, `CLOSED`, `FIN_WAIT1`, in any case,
/// and with the dashes of ss.
pub fn lsof_state(typed: &str) -> Option<TcpState> {
    let typed = typed.to_ascii_uppercase().replace('-', "_");
    let is = |state: &TcpState| typed == state.name() || typed == word(*state, Dialect::Bsd);
    TcpState::ALL.into_iter().take(11).find(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kernel() {
        for (place, (state, ..)) in WORDS.iter().enumerate() {
            assert_eq!(*state as usize, place + 1);
        }
        assert_eq!(word(TcpState::Close, Dialect::Ss), "UNCONN");
        assert_eq!(word(TcpState::Close, Dialect::Linux), "CLOSE");
        assert_eq!(word(TcpState::FinWait1, Dialect::Bsd), "FIN_WAIT_1");
    }

    #[test]
    fn filters_are_read_as_ss_reads_them() {
        assert_eq!(ss_states("ESTABLISHED"), Some(2));
        assert_eq!(ss_states("closed"), ss_states("unconnected"));
        assert_eq!(ss_states("bucket"), Some(1 << 3 | 1 << 6));
        assert_eq!(ss_states("big").unwrap() & 1 << 6, 0);
        assert_eq!(ss_states("connected").unwrap() & (1 << 7 | 1 << 10), 0);
        assert_eq!(ss_states("ESTAB"), None);
        assert_eq!(lsof_state("listen"), Some(TcpState::Listen));
        assert_eq!(lsof_state("CLOSED"), Some(TcpState::Close));
        assert_eq!(lsof_state("fin-wait-1"), Some(TcpState::FinWait1));
        assert_eq!(lsof_state("FIN_WAIT1"), Some(TcpState::FinWait1));
        assert_eq!(lsof_state("nothing"), None);
    }
}
