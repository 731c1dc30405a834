//! What `ss -i` and `ss -m` tell of a socket, word by word (`struct tcp_info` of
//! `linux/tcp.h`, `SK_MEMINFO_*` of `linux/sock_diag.h`).

use std::fmt::Write;

use netbreath_common::tcp::TcpState;

use crate::format::put;
use crate::table::socket::{More, Socket};

/// ` skmem:(…)`.
pub fn memory(more: &More, out: &mut Vec<u8>) {
    let at = |place: usize| more.memory.get(place).copied().unwrap_or(0);
    if more.memory.is_empty() {
        return;
    }
    put(
        out,
        format_args!(
            " skmem:(r{},rb{},t{},tb{},f{},w{},o{}",
            at(0),
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6)
        ),
    );
    for (place, name) in [(7, "bl"), (8, "d")] {
        if more.memory.len() > place {
            put(out, format_args!(",{name}{}", at(place)));
        }
    }
    out.push(b')');
}

/// The fields of `struct tcp_info`, by their offsets.
struct Info<'a>(&'a [u8]);

impl Info<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn long(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// Microseconds as milliseconds.
    fn millis(&self, at: usize) -> f64 {
        f64::from(self.word(at)) / 1000.0
    }
}

/// ` cubic wscale:7,7 rto:204 …`; with `options`, those of TCP first.
pub fn tcp(socket: &Socket, more: &More, options: bool, numeric: bool, out: &mut Vec<u8>) {
    if more.tcp_info.is_empty() {
        return;
    }
    let info = Info(&more.tcp_info);
    // TCPI_OPT_*.
    let has = |bit: u8| info.byte(5) & bit != 0;
    if options {
        for (bit, word) in
            [(1, " ts"), (2, " sack"), (8, " ecn"), (16, " ecnseen"), (32, " fastopen")]
        {
            if has(bit) {
                out.extend_from_slice(word.as_bytes());
            }
        }
    }
    if let Some(name) = more.congestion.as_deref().filter(|name| !name.is_empty()) {
        out.push(b' ');
        crate::format::put_name(out, name.as_bytes(), true);
    }
    if has(4) {
        put(out, format_args!(" wscale:{},{}", info.byte(6) & 15, info.byte(6) >> 4));
    }
    let rto = info.word(8);
    if rto != 0 && rto != 3_000_000 {
        general(out, " rto:", info.millis(8));
    }
    number(out, " backoff:", info.byte(4).into());
    if info.word(68) != 0 {
        general(out, " rtt:", info.millis(68));
        general(out, "/", info.millis(72));
    }
    if info.word(12) != 0 {
        general(out, " ato:", info.millis(12));
    }
    number(out, " mss:", info.word(16).into());
    number(out, " pmtu:", info.word(60).into());
    number(out, " rcvmss:", info.word(20).into());
    number(out, " advmss:", info.word(84).into());
    number(out, " cwnd:", info.word(80).into());
    if info.word(76) < 0xffff {
        number(out, " ssthresh:", info.word(76).into());
    }
    number(out, " bytes_sent:", info.long(200));
    number(out, " bytes_retrans:", info.long(208));
    number(out, " bytes_acked:", info.long(120));
    number(out, " bytes_received:", info.long(128));
    number(out, " segs_out:", info.word(136).into());
    number(out, " segs_in:", info.word(140).into());
    number(out, " data_segs_out:", info.word(156).into());
    number(out, " data_segs_in:", info.word(152).into());
    bbr(more, numeric, out);
    let rtt = f64::from(info.word(68));
    let (mss, cwnd) = (f64::from(info.word(16)), f64::from(info.word(80)));
    if rtt > 0.0 && mss > 0.0 && cwnd > 0.0 {
        bandwidth(out, " send ", cwnd * mss * 8_000_000.0 / rtt, numeric);
    }
    number(out, " lastsnd:", info.word(44).into());
    number(out, " lastrcv:", info.word(52).into());
    number(out, " lastack:", info.word(56).into());
    let (rate, most) = (info.long(104), info.long(112));
    if rate != 0 && rate != u64::MAX {
        bandwidth(out, " pacing_rate ", rate as f64 * 8.0, numeric);
        if most != 0 && most != u64::MAX {
            bandwidth(out, "/", most as f64 * 8.0, numeric);
        }
    }
    if info.long(160) != 0 {
        bandwidth(out, " delivery_rate ", info.long(160) as f64 * 8.0, numeric);
    }
    number(out, " delivered:", info.word(192).into());
    number(out, " delivered_ce:", info.word(196).into());
    if info.byte(7) & 1 != 0 {
        out.extend_from_slice(b" app_limited");
    }
    let busy = info.long(168);
    if busy != 0 {
        put(out, format_args!(" busy:{}ms", busy / 1000));
        for (at, word) in [(176, "rwnd_limited"), (184, "sndbuf_limited")] {
            let limited = info.long(at);
            if limited != 0 {
                let share = 100.0 * limited as f64 / busy as f64;
                put(out, format_args!(" {word}:{}ms({share:.1}%)", limited / 1000));
            }
        }
    }
    number(out, " unacked:", info.word(24).into());
    if info.word(36) != 0 || info.word(100) != 0 {
        put(out, format_args!(" retrans:{}/{}", info.word(36), info.word(100)));
    }
    number(out, " lost:", info.word(32).into());
    if socket.state != TcpState::Listen {
        number(out, " sacked:", info.word(28).into());
    }
    number(out, " dsack_dups:", info.word(216).into());
    number(out, " fackets:", info.word(40).into());
    if info.word(88) != 3 {
        put(out, format_args!(" reordering:{}", info.word(88)));
    }
    number(out, " reord_seen:", info.word(220).into());
    if info.word(92) != 0 {
        general(out, " rcv_rtt:", info.millis(92));
    }
    number(out, " rcv_space:", info.word(96).into());
    number(out, " rcv_ssthresh:", info.word(64).into());
    number(out, " notsent:", info.word(144).into());
    if info.word(148) != 0 && info.word(148) != u32::MAX {
        general(out, " minrtt:", info.millis(148));
    }
    number(out, " rcv_ooopack:", info.word(224).into());
    number(out, " snd_wnd:", info.word(228).into());
}

/// `struct tcp_bbr_info`: bandwidth (low, high), least round trip, two gains.
fn bbr(more: &More, numeric: bool, out: &mut Vec<u8>) {
    if more.bbr.is_empty() {
        return;
    }
    let info = Info(&more.bbr);
    bandwidth(out, " bbr:(bw:", info.long(0) as f64 * 8.0, numeric);
    general(out, ",mrtt:", info.millis(8));
    for (at, word) in [(12, ",pacing_gain:"), (16, ",cwnd_gain:")] {
        if info.word(at) != 0 {
            general(out, word, f64::from(info.word(at)) / 256.0);
        }
    }
    out.push(b')');
}

/// Nothing for zero.
fn number(out: &mut Vec<u8>, word: &str, value: u64) {
    if value != 0 {
        put(out, format_args!("{word}{value}"));
    }
}

fn general(out: &mut Vec<u8>, word: &str, value: f64) {
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(significant(value, 6).as_bytes());
}

/// Bits a second.
fn bandwidth(out: &mut Vec<u8>, word: &str, value: f64, numeric: bool) {
    let text = match value {
        value if numeric => format!("{value:.0}"),
        value if value >= 1e12 => format!("{}T", significant(value / 1e12, 3)),
        value if value >= 1e9 => format!("{}G", significant(value / 1e9, 3)),
        value if value >= 1e6 => format!("{}M", significant(value / 1e6, 3)),
        value if value >= 1e3 => format!("{}k", significant(value / 1e3, 3)),
        value => significant(value, 6),
    };
    put(out, format_args!("{word}{text}bps"));
}

/// A number with so many significant digits and no zeros at its end, as printf's `%g`
/// writes it.
fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:.*e}", usize::try_from(digits - 1).unwrap_or(0), value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits {
        let mut text = trimmed(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing into a String cannot fail.
        let _infallible = write!(text, "e{sign}{:02}", exponent.abs());
        return text;
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        assert_eq!(significant(204.0, 6), "204");
        assert_eq!(significant(0.0335, 6), "0.0335");
        assert_eq!(significant(1234567.0, 6), "1.23457e+06");
        assert_eq!(significant(99.95, 3), "100");
        assert_eq!(significant(17.46, 3), "17.5");
        assert_eq!(significant(0.000_012, 6), "1.2e-05");
        assert_eq!(significant(0.0, 6), "0");
    }
}
