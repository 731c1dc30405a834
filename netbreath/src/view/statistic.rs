//! `netstat -s`: what each protocol has counted since the namespace exists.

use super::{Cell, Column, Field};
use crate::format::{put, put_name};

/// A counter of a protocol, by the kernel's names, which are those of the MIBs where
/// there is one (RFC 4293, RFC 4022, RFC 4113).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    pub protocol: String,
    pub name: String,
    pub value: i64,
}

impl Counter {
    /// What it counts, in words.
    pub fn meaning(&self) -> Option<&'static str> {
        let key = (self.protocol.as_str(), self.name.as_str());
        MEANINGS.iter().find(|(protocol, name, _)| (*protocol, *name) == key).map(|(.., m)| *m)
    }

    /// Whether it belongs to the protocol's family.
    pub fn is_of(&self, tcp: bool, udp: bool) -> bool {
        let any = !tcp && !udp;
        let is = |start: &str| self.protocol.starts_with(start);
        any || tcp && is("Tcp") || udp && is("Udp")
    }
}

/// Those whose zero tells something too; others are left out of text while they are 0.
const ALWAYS: [&str; 4] = ["Ip", "Icmp", "Tcp", "Udp"];

#[rustfmt::skip]
static MEANINGS: [(&str, &str, &str); 64] = [
    ("Ip", "InReceives", "packets received"),
    ("Ip", "InHdrErrors", "with a broken header"),
    ("Ip", "InAddrErrors", "with an address that is not for us"),
    ("Ip", "ForwDatagrams", "forwarded"),
    ("Ip", "InUnknownProtos", "of an unknown protocol"),
    ("Ip", "InDiscards", "received and thrown away for want of room"),
    ("Ip", "InDelivers", "delivered to a protocol above"),
    ("Ip", "OutRequests", "packets that protocols above wanted to send"),
    ("Ip", "OutDiscards", "not sent for want of room"),
    ("Ip", "OutNoRoutes", "not sent for want of a route"),
    ("Ip", "ReasmReqds", "fragments received"),
    ("Ip", "ReasmOKs", "packets put together of fragments"),
    ("Ip", "ReasmFails", "packets that could not be put together"),
    ("Ip", "ReasmTimeout", "fragments given up after a time"),
    ("Ip", "FragOKs", "packets cut into fragments"),
    ("Ip", "FragFails", "packets that could not be cut"),
    ("Ip", "FragCreates", "fragments made"),
    ("Ip", "OutTransmits", "packets handed to interfaces"),
    ("Ip", "DefaultTTL", "hops that a packet may take (a setting)"),
    ("Ip", "Forwarding", "1: forwards packets of others, 2: does not (a setting)"),
    ("Icmp", "InMsgs", "messages received"),
    ("Icmp", "InErrors", "received with errors"),
    ("Icmp", "InDestUnreachs", "received: destination unreachable"),
    ("Icmp", "InEchos", "received: echo requests (ping)"),
    ("Icmp", "InEchoReps", "received: echo replies"),
    ("Icmp", "OutMsgs", "messages sent"),
    ("Icmp", "OutErrors", "could not be sent"),
    ("Icmp", "OutDestUnreachs", "sent: destination unreachable"),
    ("Icmp", "OutEchos", "sent: echo requests (ping)"),
    ("Icmp", "OutEchoReps", "sent: echo replies"),
    ("Tcp", "ActiveOpens", "connections opened from here (connect)"),
    ("Tcp", "PassiveOpens", "connections taken by listeners"),
    ("Tcp", "AttemptFails", "attempts that failed"),
    ("Tcp", "EstabResets", "connections ended by a reset"),
    ("Tcp", "CurrEstab", "connections established now"),
    ("Tcp", "InSegs", "segments received"),
    ("Tcp", "OutSegs", "segments sent"),
    ("Tcp", "RetransSegs", "segments sent again"),
    ("Tcp", "InErrs", "segments received with errors"),
    ("Tcp", "OutRsts", "resets sent"),
    ("Tcp", "InCsumErrors", "segments with a wrong checksum"),
    ("Udp", "InDatagrams", "datagrams delivered"),
    ("Udp", "NoPorts", "to a port that nobody listens on"),
    ("Udp", "InErrors", "could not be delivered"),
    ("Udp", "OutDatagrams", "datagrams sent"),
    ("Udp", "RcvbufErrors", "lost to a full receive buffer"),
    ("Udp", "SndbufErrors", "not sent for a full send buffer"),
    ("Udp", "InCsumErrors", "with a wrong checksum"),
    ("TcpExt", "ListenOverflows", "times that a listener's queue was full"),
    ("TcpExt", "ListenDrops", "connection requests that a listener dropped"),
    ("TcpExt", "TCPTimeouts", "retransmission timers that ran out"),
    ("TcpExt", "TCPLossProbes", "probes sent for a lost tail"),
    ("TcpExt", "TCPFastRetrans", "segments sent again without waiting for the timer"),
    ("TcpExt", "TCPSynRetrans", "SYNs sent again"),
    ("TcpExt", "TCPAbortOnData", "connections reset because data came after close()"),
    ("TcpExt", "TCPAbortOnClose", "connections reset because data was left unread at close()"),
    ("TcpExt", "TCPAbortOnTimeout", "connections given up after a time"),
    ("TcpExt", "TW", "connections that went through TIME_WAIT"),
    ("TcpExt", "DelayedACKs", "acknowledgements sent late on purpose"),
    ("TcpExt", "TCPOFOQueue", "segments that came out of order"),
    ("TcpExt", "TCPDSACKRecv", "duplicates that the other side told of"),
    ("IpExt", "InOctets", "bytes received"),
    ("IpExt", "OutOctets", "bytes sent"),
    ("IpExt", "InNoECTPkts", "packets received without ECN"),
];

/// A heading for each protocol and a line for each counter: value, meaning, name.
pub fn text(counters: &[Counter], unicode: bool, out: &mut Vec<u8>) {
    let mut heading = "";
    for counter in counters {
        if counter.value == 0 && !ALWAYS.contains(&counter.protocol.as_str()) {
            continue;
        }
        if heading != counter.protocol {
            heading = &counter.protocol;
            put_name(out, heading.as_bytes(), unicode);
            out.extend_from_slice(b":\n");
        }
        put(out, format_args!("    {} ", counter.value));
        match counter.meaning() {
            Some(meaning) => {
                put(out, format_args!("{meaning} ("));
                put_name(out, counter.name.as_bytes(), unicode);
                out.extend_from_slice(b")\n");
            }
            None => {
                put_name(out, counter.name.as_bytes(), unicode);
                out.push(b'\n');
            }
        }
    }
}

/// The counters out of the kernel's files with pairs of lines: names, then values, both
/// after the protocol.
pub fn parse_pairs(text: &str) -> Vec<Counter> {
    let mut lines = text.lines();
    let mut all = Vec::new();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (Some((protocol, names)), Some((again, values))) =
            (names.split_once(':'), values.split_once(':'))
        else {
            break;
        };
        if protocol != again {
            break;
        }
        let pairs = names.split_whitespace().zip(values.split_whitespace());
        all.extend(pairs.filter_map(|(name, value)| {
            let value = value.parse().ok()?;
            Some(Counter { protocol: protocol.to_owned(), name: name.to_owned(), value })
        }));
    }
    all
}

/// The counters out of the kernel's file for IPv6: a name and a value a line, where the
/// name begins with the protocol.
pub fn parse_lines(text: &str) -> Vec<Counter> {
    const PROTOCOLS: [&str; 4] = ["UdpLite6", "Icmp6", "Udp6", "Ip6"];
    text.lines()
        .filter_map(|line| {
            let (whole, value) = line.split_once(char::is_whitespace)?;
            let protocol = PROTOCOLS.iter().find(|protocol| whole.starts_with(**protocol))?;
            let name = whole.strip_prefix(*protocol)?;
            let value = value.trim().parse().ok()?;
            Some(Counter { protocol: (*protocol).to_owned(), name: name.to_owned(), value })
        })
        .collect()
}

pub const KEYS: [&str; 4] = ["protocol", "name", "value", "meaning"];

#[rustfmt::skip]
pub static COLUMNS: [Column<Counter>; 4] = [
    Column::plain("protocol", "PROTOCOL", "protocol", 8, &[&PROTOCOL]),
    Column::plain("name", "NAME", "the kernel's name", 24, &[&NAME]),
    Column::plain("value", "VALUE", "its value", 12, &[&VALUE]).right(),
    Column::plain("meaning", "MEANING", "what it counts", 40, &[&MEANING]),
];

const PROTOCOL: Field<Counter> =
    Field { key: "protocol", read: |counter| Cell::Name(counter.protocol.as_bytes()) };
const NAME: Field<Counter> =
    Field { key: "name", read: |counter| Cell::Name(counter.name.as_bytes()) };
const VALUE: Field<Counter> = Field {
    key: "value",
    read: |counter| match u64::try_from(counter.value) {
        Ok(value) => Cell::Number(value),
        // -1 is "no limit" among settings.
        Err(_) => Cell::Absent,
    },
};
const MEANING: Field<Counter> =
    Field { key: "meaning", read: |counter| counter.meaning().map_or(Cell::Absent, Cell::Word) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let text = "Ip: Forwarding InReceives\nIp: 2 7\nTcp: MaxConn InSegs\nTcp: -1 9\n";
        let counters = parse_pairs(text);
        let get = |protocol: &str, name: &str| {
            counters.iter().find(|c| c.protocol == protocol && c.name == name).unwrap().value
        };
        assert_eq!((counters.len(), get("Ip", "InReceives"), get("Tcp", "MaxConn")), (4, 7, -1));
        let six = parse_lines("Ip6InReceives  \t5\nUdpLite6InErrors 1\nnonsense\nOther 3\n");
        assert_eq!(six.len(), 2);
        assert_eq!((six[0].protocol.as_str(), six[0].name.as_str()), ("Ip6", "InReceives"));
        assert_eq!(six[1].protocol, "UdpLite6");
        assert!(parse_pairs("broken").is_empty() && parse_pairs("Ip: A\nTcp: 1\n").is_empty());
    }
}
