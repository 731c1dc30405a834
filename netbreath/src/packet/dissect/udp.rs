//! UDP (RFC 768).

use super::field::udp;
use super::{
    Buf, Context, Group, Result, Severity, Value, column, data, dhcp, dns, info, ntp, quic, vxlan,
};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "UDP";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("UDP");
        c.columns.info.clear();
    }
    let (from, to) = (buf.u16(0)?, buf.u16(2)?);
    info!(c, "{from} → {to}");
    c.enter(udp::SELF, buf, 8);
    let whole = c.place();
    c.label(format_args!("User Datagram Protocol, Src Port: {from}, Dst Port: {to}"));
    c.open();
    c.add(udp::SRCPORT, buf, 0, 2, Value::Uint(from.into()));
    c.add(udp::DSTPORT, buf, 2, 2, Value::Uint(to.into()));
    c.hide(udp::PORT, buf, 0, 2, Value::Uint(from.into()));
    c.hide(udp::PORT, buf, 2, 2, Value::Uint(to.into()));
    let told = usize::from(buf.u16(4)?);
    let mut len = told;
    c.add(udp::LENGTH, buf, 4, 2, Value::Uint(told as u64));
    if told == 0 && buf.len() > 65_535 {
        len = buf.len();
    } else if told < 8 {
        c.label(format_args!("Length: {told} (bogus, must be >= 8)"));
        c.expert(
            udp::LENGTH_BAD,
            buf.from(4),
            Severity::Error,
            Group::Malformed,
            format_args!("Bad length value {told} < 8"),
        );
        info!(c, " [BAD UDP LENGTH {told} < 8]");
        c.close();
        return Ok(());
    } else if told > buf.len() && !c.fragment && !c.in_error {
        let there = buf.len();
        c.label(format_args!("Length: {told} (bogus, payload length {there})"));
        c.expert(
            udp::LENGTH_BAD,
            buf.from(4),
            Severity::Error,
            Group::Malformed,
            format_args!("Bad length value {told} > IP payload length"),
        );
        info!(c, " [BAD UDP LENGTH {told} > IP PAYLOAD LENGTH]");
    }
    info!(c, " Len={}", len.saturating_sub(8));
    let sum = buf.u16(6)?;
    c.add(udp::CHECKSUM, buf, 6, 2, Value::Uint(sum.into()));
    let beside = buf.from(6);
    if sum == 0 {
        c.label(format_args!("Checksum: 0x0000 [zero-value ignored]"));
        c.open();
        c.close();
        c.generate(udp::CHECKSUM_STATUS, beside, Value::Uint(3));
        c.label(format_args!("Checksum Status: Not present"));
    } else {
        c.label(format_args!("Checksum: 0x{sum:04x} [unverified]"));
        c.generate(udp::CHECKSUM_STATUS, beside, Value::Uint(2));
        c.label(format_args!("Checksum Status: Unverified"));
    }
    c.ports = (from, to);
    let times = c.state.udp(c.pair, from, to, c.meta.number, c.meta.time, c.in_error);
    if let Some(times) = times {
        c.stream = times.stream;
        c.generate(udp::STREAM, buf.from(8), Value::Uint(times.stream.into()));
        if !c.in_error {
            c.title(buf, 0, 0, format_args!("Timestamps"));
            c.last(|node| node.generated = true);
            c.open();
            c.generate(udp::TIME_RELATIVE, buf, Value::Rel(times.since_first));
            c.generate(udp::TIME_DELTA, buf, Value::Rel(times.since_last));
            c.close();
        }
    }
    super::ip::shorten(c, whole, buf.at + len.max(8));
    let rest = buf.first(len).from(8);
    let kept = rest.kept().len();
    if kept > 0 {
        let many = if kept == 1 { "" } else { "s" };
        c.add(udp::PAYLOAD, rest, 0, kept, Value::Bytes);
        c.label(format_args!("UDP payload ({kept} byte{many})"));
    }
    c.close();
    if rest.is_empty() {
        return Ok(());
    }
    // The lower port first, as it is more likely the service's.
    let (low, high) = (from.min(to), from.max(to));
    for port in [low, high] {
        match port {
            53 => return c.inside(rest, dns::datagram),
            5353 => return c.inside(rest, dns::multicast),
            67 | 68 => return c.inside(rest, dhcp::dissect),
            123 => return c.inside(rest, ntp::dissect),
            4789 if port == to || port == from => return c.inside(rest, vxlan::dissect),
            443 if quic::is_one(rest) => return c.inside(rest, quic::dissect),
            _ => {}
        }
    }
    if quic::is_one(rest) {
        return c.inside(rest, quic::dissect);
    }
    c.inside(rest, data::dissect)
}
