//! TCP (RFC 9293).

use std::fmt::Write as _;

use super::field::tcp;
use super::stream::{Analysis, Flags, Segment};
use super::tree::push_number;
use super::{Buf, Context, Group, Result, Severity, Value, column, data, http, info, option, tls};

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;
const URG: u16 = 32;

/// Flags by their bits, with their short names and letters.
const NAMES: [(u16, &str); 9] = [
    (1, "FIN"),
    (2, "SYN"),
    (4, "RST"),
    (8, "PSH"),
    (16, "ACK"),
    (32, "URG"),
    (64, "ECE"),
    (128, "CWR"),
    (256, "AE"),
];

/// What is written before a summary, of what is odd.
const ODD: [(Flags, &str); 15] = [
    (Flags::REUSED_PORTS, "[TCP Port numbers reused] "),
    (Flags::SPURIOUS, "[TCP Spurious Retransmission] "),
    (Flags::RETRANSMISSION, "[TCP Retransmission] "),
    (Flags::FAST_RETRANSMISSION, "[TCP Fast Retransmission] "),
    (Flags::OUT_OF_ORDER, "[TCP Out-Of-Order] "),
    (Flags::LOST, "[TCP Previous segment not captured] "),
    (Flags::ACK_LOST, "[TCP ACKed unseen segment] "),
    (Flags::WINDOW_UPDATE, "[TCP Window Update] "),
    (Flags::WINDOW_FULL, "[TCP Window Full] "),
    (Flags::KEEP_ALIVE, "[TCP Keep-Alive] "),
    (Flags::KEEP_ALIVE_ACK, "[TCP Keep-Alive ACK] "),
    (Flags::DUPLICATE_ACK, "[TCP Dup ACK "),
    (Flags::ZERO_WINDOW_PROBE, "[TCP ZeroWindowProbe] "),
    (Flags::ZERO_WINDOW_PROBE_ACK, "[TCP ZeroWindowProbeAck] "),
    (Flags::ZERO_WINDOW, "[TCP ZeroWindow] "),
];

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "TCP";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("TCP");
        c.columns.info.clear();
    }
    let (from, to) = (buf.u16(0)?, buf.u16(2)?);
    if c.wants_columns() {
        let info = &mut c.columns.info;
        push_number(info, from.into());
        info.push_str(" → ");
        push_number(info, to.into());
    }
    c.enter(tcp::SELF, buf, 0);
    let whole = c.place();
    c.label(format_args!("Transmission Control Protocol, Src Port: {from}, Dst Port: {to}"));
    c.open();
    c.add(tcp::SRCPORT, buf, 0, 2, Value::Uint(from.into()));
    c.add(tcp::DSTPORT, buf, 2, 2, Value::Uint(to.into()));
    c.hide(tcp::PORT, buf, 0, 2, Value::Uint(from.into()));
    c.hide(tcp::PORT, buf, 2, 2, Value::Uint(to.into()));
    c.ports = (from, to);
    // An error message has eight bytes of it often.
    if c.in_error && buf.kept().len() < 20 {
        if let Ok(seq) = buf.u32(4) {
            c.add(tcp::SEQ, buf, 4, 4, Value::Uint(seq.into()));
        }
        if let Some(node) = c.node(whole) {
            node.len = buf.kept().len().min(8) as u32;
        }
        c.close();
        return Ok(());
    }
    let (seq, ack) = (buf.u32(4)?, buf.u32(8)?);
    let word = buf.u16(12)?;
    let head = usize::from(word >> 12) * 4;
    let flags = word & 0xfff;
    let window = buf.u16(14)?;
    // In an error message the length on the wire is not known.
    let len = buf.len().saturating_sub(head) as u32;
    let options = option::scan(buf, head);
    let segment = Segment {
        number: c.meta.number,
        time: c.meta.time,
        seq,
        ack,
        flags,
        window,
        len,
        scale: options.scale,
        sacks: options.sacks,
        options_cut: options.cut,
    };
    let a = if c.in_error {
        match c.state.known(c.pair, from, to) {
            Some((known, side)) => Analysis {
                stream: known.stream,
                side,
                seq: known.relative(side, seq),
                ack: known.relative(side ^ 1, ack),
                window: window.into(),
                scale: -1,
                ..Analysis::default()
            },
            None => Analysis { seq, ack, window: window.into(), scale: -1, ..Analysis::default() },
        }
    } else {
        c.state.tcp(c.pair, from, to, &segment)
    };
    c.stream = a.stream;
    c.generate(tcp::STREAM, buf, Value::Uint(a.stream.into()));
    c.generate(tcp::COMPLETENESS, buf, Value::Uint(a.completeness.into()));
    if c.wants_labels() {
        let text = completeness(a.completeness);
        c.label(format_args!("Conversation completeness: {text}"));
    }
    c.generate(tcp::LEN, buf, Value::Uint(len.into()));
    c.add(tcp::SEQ, buf, 4, 4, Value::Uint(a.seq.into()));
    c.label(format_args!("Sequence Number: {}    (relative sequence number)", a.seq));
    c.add(tcp::SEQ_RAW, buf, 4, 4, Value::Uint(seq.into()));
    if head < 20 {
        c.label_at(
            whole,
            format_args!(
                "Transmission Control Protocol, Src Port: {from}, Dst Port: {to}, Seq: {}",
                a.seq
            ),
        );
        before_summary(c, &a);
        if c.wants_columns() {
            let info = &mut c.columns.info;
            info.push_str(" [");
            flag_names(flags, info);
            info.push_str("] Seq=");
            push_number(info, a.seq.into());
            if flags & ACK != 0 {
                info.push_str(" Ack=");
                push_number(info, a.ack.into());
            }
            info.push_str(" Win=");
            push_number(info, a.window.into());
        }
        info!(c, ", bogus TCP header length ({head}, must be at least 20)");
        bogus(c, buf, head, word, whole);
        return Ok(());
    }
    c.generate(tcp::NXTSEQ, buf, Value::Uint(a.next_seq.into()));
    c.label(format_args!("Next Sequence Number: {}    (relative sequence number)", a.next_seq));
    if let Some(node) = c.node(whole) {
        node.len = head as u32;
    }
    c.label_at(
        whole,
        format_args!(
            "Transmission Control Protocol, Src Port: {from}, Dst Port: {to}, Seq: {}{}, Len: {len}",
            a.seq,
            Acked(flags & ACK != 0, a.ack),
        ),
    );
    c.add(tcp::ACK, buf, 8, 4, Value::Uint(a.ack.into()));
    if flags & ACK != 0 {
        c.label(format_args!("Acknowledgment Number: {}    (relative ack number)", a.ack));
    }
    c.add(tcp::ACK_RAW, buf, 8, 4, Value::Uint(ack.into()));
    if flags & ACK == 0 && ack != 0 {
        c.expert(
            tcp::ACK_NONZERO,
            buf.from(8),
            Severity::Note,
            Group::Protocol,
            format_args!(
                "The acknowledgment number field is nonzero while the ACK flag is not set"
            ),
        );
    }
    c.add(tcp::HDR_LEN, buf, 12, 1, Value::Uint(head as u64));
    c.label(format_args!("{:04b} .... = Header Length: {head} bytes ({})", head / 4, head / 4));
    summary(c, buf, &a, flags, len);
    flag_rows(c, buf, flags, &a, (from, to));
    c.add(tcp::WINDOW_SIZE_VALUE, buf, 14, 2, Value::Uint(window.into()));
    c.add(tcp::WINDOW_SIZE, buf, 14, 2, Value::Uint(a.window.into()));
    c.last(|node| node.generated = true);
    if flags & SYN == 0 {
        c.add(tcp::WINDOW_SIZE_SCALEFACTOR, buf, 14, 2, scale_value(a.scale));
        c.last(|node| node.generated = true);
        match a.scale {
            -1 => c.label(format_args!("Window size scaling factor: -1 (unknown)")),
            -2 => c.label(format_args!("Window size scaling factor: -2 (no window scaling used)")),
            _ => {}
        }
    }
    let sum = buf.u16(16)?;
    c.add(tcp::CHECKSUM, buf, 16, 2, Value::Uint(sum.into()));
    c.label(format_args!("Checksum: 0x{sum:04x} [unverified]"));
    c.generate(tcp::CHECKSUM_STATUS, buf.from(16), Value::Uint(2));
    c.label(format_args!("Checksum Status: Unverified"));
    let urgent = buf.u16(18)?;
    c.add(tcp::URGENT_POINTER, buf, 18, 2, Value::Uint(urgent.into()));
    if flags & URG == 0 && urgent != 0 {
        c.expert(
            tcp::URGENT_POINTER_NON_ZERO,
            buf.from(18),
            Severity::Note,
            Group::Protocol,
            format_args!("The urgent pointer field is nonzero while the URG flag is not set"),
        );
    }
    let mut options_cut = Ok(());
    if head > 20 {
        options_cut = option::tcp(c, buf, head, flags & SYN != 0);
    }
    if !c.in_error {
        c.title(buf, 0, 0, format_args!("Timestamps"));
        c.last(|node| node.generated = true);
        c.open();
        c.generate(tcp::TIME_RELATIVE, buf, Value::Rel(a.since_first));
        c.generate(tcp::TIME_DELTA, buf, Value::Rel(a.since_last));
        c.close();
    }
    // Where options are cut away, nothing of what follows is shown.
    options_cut?;
    if !c.in_error {
        analysis_rows(c, buf, &a);
    }
    let rest = buf.from(head);
    let kept = rest.kept().len();
    if kept > 0 {
        let many = if kept == 1 { "" } else { "s" };
        c.add(tcp::PAYLOAD, rest, 0, kept, Value::Bytes);
        c.label(format_args!("TCP payload ({kept} byte{many})"));
    }
    if flags & RST != 0 && kept > 0 {
        let text = c.lossy(rest.kept());
        c.add(tcp::RESET_CAUSE, rest, 0, kept, text);
        c.close();
        return Ok(());
    }
    c.close();
    if rest.is_empty() || kept == 0 && !c.in_error && rest.get(0, 1).is_ok() {
        return Ok(());
    }
    payload(c, rest, &a, (from, to))
}

fn payload(c: &mut Context<'_>, rest: Buf<'_>, a: &Analysis, (from, to): (u16, u16)) -> Result {
    if c.in_error {
        return c.inside(rest, data::dissect);
    }
    // What was there before is not looked into again.
    if a.flags.has(Flags::RETRANSMISSION) || a.flags.has(Flags::OUT_OF_ORDER) {
        return Ok(());
    }
    if http::is_port(from) || http::is_port(to) {
        if http::is_http(c, rest) {
            c.guarded(rest, http::dissect);
        }
        // What is on its port and something else stays closed.
        return Ok(());
    } else if tls::is_port(from) || tls::is_port(to) || tls::is_one(rest) {
        if tls::is_one(rest) || c.state.tls.contains_key(&c.stream) {
            c.guarded(rest, tls::dissect);
            return Ok(());
        }
    } else if http::begins(rest) {
        c.guarded(rest, http::dissect);
        return Ok(());
    } else if from == 53 || to == 53 {
        return super::dns::stream(c, rest);
    }
    c.inside(rest, data::dissect)
}

fn scale_value(scale: i16) -> Value {
    if scale < 0 { Value::Int(scale.into()) } else { Value::Uint(1 << scale.clamp(0, 14)) }
}

struct Acked(bool, u32);

impl std::fmt::Display for Acked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 { write!(f, ", Ack: {}", self.1) } else { Ok(()) }
    }
}

/// How complete a conversation is.
fn completeness(bits: u8) -> String {
    let text = match (bits & 31, bits & 15) {
        _ if bits & 48 != 0 && bits & 15 == 15 => "Complete, WITH_DATA",
        _ if bits & 48 != 0 && bits & 15 == 7 => "Complete, NO_DATA",
        (_, 15) => "Incomplete, DATA",
        (_, 7) => "Incomplete, ESTABLISHED",
        (_, 3) => "Incomplete, CLIENT_ESTABLISHED",
        (_, 1) if bits & 0x3e == 0 => "Incomplete, SYN_SENT",
        _ => "Incomplete",
    };
    format!("{text} ({bits})")
}

fn before_summary(c: &mut Context<'_>, a: &Analysis) {
    if !c.wants_columns() || a.flags.is_empty() {
        return;
    }
    let mut text = String::new();
    for (flag, words) in ODD {
        if a.flags.has(flag) {
            text.push_str(words);
            if flag == Flags::DUPLICATE_ACK {
                let _ = write!(text, "{}#{}] ", a.duplicate_of, a.duplicate);
            }
        }
    }
    c.columns.info.insert_str(0, &text);
}

fn flag_names(flags: u16, out: &mut String) {
    let start = out.len();
    for (bit, name) in NAMES {
        if flags & bit != 0 {
            if out.len() > start {
                out.push_str(", ");
            }
            out.push_str(name);
        }
    }
    if flags & 0xe00 != 0 {
        if out.len() > start {
            out.push_str(", ");
        }
        out.push_str("Reserved");
    }
    if out.len() == start {
        out.push_str("<None>");
    }
}

fn summary(c: &mut Context<'_>, buf: Buf<'_>, a: &Analysis, flags: u16, len: u32) {
    if !c.wants_columns() {
        return;
    }
    before_summary(c, a);
    let info = &mut c.columns.info;
    info.push_str(" [");
    flag_names(flags, info);
    info.push_str("] Seq=");
    push_number(info, a.seq.into());
    if flags & ACK != 0 {
        info.push_str(" Ack=");
        push_number(info, a.ack.into());
    }
    info.push_str(" Win=");
    push_number(info, a.window.into());
    if flags & URG != 0 {
        match buf.u16(18) {
            Ok(urgent) => {
                info.push_str(" Urg=");
                push_number(info, urgent.into());
            }
            Err(_) => return,
        }
    }
    // The checksum and what follows it may be cut away.
    if buf.get(16, 4).is_ok() {
        info.push_str(" Len=");
        push_number(info, len.into());
    }
}

fn flag_rows(c: &mut Context<'_>, buf: Buf<'_>, flags: u16, a: &Analysis, (from, to): (u16, u16)) {
    if !c.wants_fields() {
        return;
    }
    c.add(tcp::FLAGS, buf, 12, 2, Value::Uint(flags.into()));
    if c.wants_labels() {
        let mut names = String::new();
        flag_names(flags, &mut names);
        c.label(format_args!("Flags: 0x{flags:03x} ({names})"));
    }
    c.open();
    let bit = |bit| Value::Bool(flags & bit != 0);
    c.add(tcp::FLAGS_RES, buf, 12, 1, bit(0xe00));
    c.add(tcp::FLAGS_AE, buf, 12, 1, bit(0x100));
    c.add(tcp::FLAGS_CWR, buf, 13, 1, bit(0x80));
    c.add(tcp::FLAGS_ECE, buf, 13, 1, bit(0x40));
    c.add(tcp::FLAGS_URG, buf, 13, 1, bit(0x20));
    c.add(tcp::FLAGS_ACK, buf, 13, 1, bit(0x10));
    c.add(tcp::FLAGS_PUSH, buf, 13, 1, bit(8));
    let at = buf.from(13);
    c.add(tcp::FLAGS_RESET, buf, 13, 1, bit(4));
    if flags & RST != 0 {
        c.expert(
            tcp::CONNECTION_RST,
            at,
            Severity::Warning,
            Group::Sequence,
            format_args!("Connection reset (RST)"),
        );
    }
    c.add(tcp::FLAGS_SYN, buf, 13, 1, bit(2));
    if flags & SYN != 0 {
        if flags & ACK != 0 {
            c.expert(
                tcp::CONNECTION_SYNACK,
                at,
                Severity::Chat,
                Group::Sequence,
                format_args!("Connection establish acknowledge (SYN+ACK): server port {from}"),
            );
        } else {
            c.expert(
                tcp::CONNECTION_SYN,
                at,
                Severity::Chat,
                Group::Sequence,
                format_args!("Connection establish request (SYN): server port {to}"),
            );
        }
    }
    c.add(tcp::FLAGS_FIN, buf, 13, 1, bit(1));
    if flags & FIN != 0 {
        c.expert(
            tcp::CONNECTION_FIN,
            at,
            Severity::Chat,
            Group::Sequence,
            format_args!("Connection finish (FIN)"),
        );
    }
    let mut letters = String::new();
    for (place, letter) in "RRRACEUAPRSF".char_indices() {
        letters.push(if flags >> (11 - place) & 1 == 1 { letter } else { '·' });
    }
    let text = c.text(format_args!("{letters}"));
    c.add(tcp::FLAGS_STR, buf, 12, 2, text);
    c.last(|node| node.generated = true);
    if flags & FIN != 0 {
        let at = buf.from(12);
        if a.peer_fin {
            c.expert(
                tcp::CONNECTION_FIN_PASSIVE,
                at,
                Severity::Note,
                Group::Sequence,
                format_args!("This frame undergoes the connection closing"),
            );
        } else {
            c.expert(
                tcp::CONNECTION_FIN_ACTIVE,
                at,
                Severity::Note,
                Group::Sequence,
                format_args!("This frame initiates the connection closing"),
            );
        }
    }
    c.close();
}

fn bogus(c: &mut Context<'_>, buf: Buf<'_>, head: usize, word: u16, whole: usize) {
    c.add(tcp::HDR_LEN, buf, 12, 1, Value::Uint(head as u64));
    c.label(format_args!("{:04b} .... = Header Length: {head} bytes ({})", word >> 12, word >> 12));
    c.expert(
        tcp::BOGUS_HEADER_LENGTH,
        buf.from(12),
        Severity::Error,
        Group::Protocol,
        format_args!("Bogus TCP header length ({head}, must be at least 20)"),
    );
    if let Some(node) = c.node(whole) {
        node.len = buf.kept().len() as u32;
    }
    c.close();
}

fn analysis_rows(c: &mut Context<'_>, buf: Buf<'_>, a: &Analysis) {
    if !c.wants_fields() {
        return;
    }
    let flags = a.flags;
    let any = a.acks.is_some() || a.in_flight > 0 || !flags.is_empty();
    if !any {
        return;
    }
    c.generate(tcp::ANALYSIS, buf, Value::None);
    c.open();
    if let Some((number, time)) = a.acks {
        c.generate(tcp::ANALYSIS_ACKS_FRAME, buf, Value::Uint(number));
        c.label(format_args!("This is an ACK to the segment in frame: {number}"));
        c.generate(tcp::ANALYSIS_ACK_RTT, buf, Value::Rel(time));
    }
    if let Some(time) = a.handshake {
        c.generate(tcp::ANALYSIS_INITIAL_RTT, buf, Value::Rel(time));
    }
    if a.in_flight > 0 {
        c.generate(tcp::ANALYSIS_BYTES_IN_FLIGHT, buf, Value::Uint(a.in_flight.into()));
        c.generate(tcp::ANALYSIS_PUSH_BYTES_SENT, buf, Value::Uint(a.pushed.into()));
    }
    if !flags.is_empty() {
        c.generate(tcp::ANALYSIS_FLAGS, buf, Value::None);
        odd(c, buf, a);
        if flags.has(Flags::DUPLICATE_ACK) {
            c.generate(tcp::ANALYSIS_DUPLICATE_ACK_NUM, buf, Value::Uint(a.duplicate.into()));
            c.generate(tcp::ANALYSIS_DUPLICATE_ACK_FRAME, buf, Value::Uint(a.duplicate_of));
            c.expert(
                tcp::ANALYSIS_DUPLICATE_ACK,
                buf,
                Severity::Note,
                Group::Sequence,
                format_args!("Duplicate ACK (#{})", a.duplicate),
            );
        }
    }
    c.close();
}

/// Remarks on what is odd.
fn odd(c: &mut Context<'_>, buf: Buf<'_>, a: &Analysis) {
    use Severity::{Note, Warning};
    let rows = [
        (
            Flags::RETRANSMISSION,
            tcp::ANALYSIS_RETRANSMISSION,
            Note,
            "This frame is a (suspected) retransmission",
        ),
        (
            Flags::FAST_RETRANSMISSION,
            tcp::ANALYSIS_FAST_RETRANSMISSION,
            Note,
            "This frame is a (suspected) fast retransmission",
        ),
        (
            Flags::FAST_RETRANSMISSION,
            tcp::ANALYSIS_RETRANSMISSION,
            Note,
            "This frame is a (suspected) retransmission",
        ),
        (
            Flags::SPURIOUS,
            tcp::ANALYSIS_SPURIOUS_RETRANSMISSION,
            Note,
            "This frame is a (suspected) spurious retransmission",
        ),
        (
            Flags::SPURIOUS,
            tcp::ANALYSIS_RETRANSMISSION,
            Note,
            "This frame is a (suspected) retransmission",
        ),
        (
            Flags::OUT_OF_ORDER,
            tcp::ANALYSIS_OUT_OF_ORDER,
            Warning,
            "This frame is a (suspected) out-of-order segment",
        ),
        (
            Flags::REUSED_PORTS,
            tcp::ANALYSIS_REUSED_PORTS,
            Note,
            "A new tcp session is started with the same ports as an earlier session in this trace",
        ),
        (
            Flags::LOST,
            tcp::ANALYSIS_LOST_SEGMENT,
            Warning,
            "Previous segment(s) not captured (common at capture start)",
        ),
        (
            Flags::ACK_LOST,
            tcp::ANALYSIS_ACK_LOST_SEGMENT,
            Warning,
            "ACKed segment that wasn't captured (common at capture start)",
        ),
        (Flags::WINDOW_UPDATE, tcp::ANALYSIS_WINDOW_UPDATE, Severity::Chat, "TCP window update"),
        (
            Flags::WINDOW_FULL,
            tcp::ANALYSIS_WINDOW_FULL,
            Warning,
            "TCP window specified by the receiver is now completely full",
        ),
        (Flags::KEEP_ALIVE, tcp::ANALYSIS_KEEP_ALIVE, Note, "TCP keep-alive segment"),
        (
            Flags::KEEP_ALIVE_ACK,
            tcp::ANALYSIS_KEEP_ALIVE_ACK,
            Note,
            "ACK to a TCP keep-alive segment",
        ),
        (Flags::ZERO_WINDOW_PROBE, tcp::ANALYSIS_ZERO_WINDOW_PROBE, Note, "TCP Zero Window Probe"),
        (Flags::ZERO_WINDOW, tcp::ANALYSIS_ZERO_WINDOW, Warning, "TCP Zero Window segment"),
        (
            Flags::ZERO_WINDOW_PROBE_ACK,
            tcp::ANALYSIS_ZERO_WINDOW_PROBE_ACK,
            Note,
            "ACK to a TCP Zero Window Probe",
        ),
    ];
    for (flag, id, severity, message) in rows {
        if a.flags.has(flag) {
            c.expert(id, buf, severity, Group::Sequence, format_args!("{message}"));
            if flag == Flags::RETRANSMISSION
                && let Some((time, number)) = a.rto
            {
                c.open();
                c.generate(tcp::ANALYSIS_RTO, buf, Value::Rel(time));
                c.generate(tcp::ANALYSIS_RTO_FRAME, buf, Value::Uint(number));
                c.label(format_args!("RTO based on delta from frame: {number}"));
                c.close();
            }
        }
    }
    if a.flags.has(Flags::DUPLICATE_ACK) {
        c.open();
        c.generate(tcp::ANALYSIS_DUPLICATE_ACK, buf, Value::None);
        c.label(format_args!("This is a TCP duplicate ack"));
        c.close();
    }
}
