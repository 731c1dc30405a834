//! TLS records and hellos (RFC 8446, RFC 5246): which host is asked for (SNI, RFC 6066), by
//! which protocols (ALPN, RFC 7301). What is encrypted stays so.

use super::field::tls;
use super::{Buf, Context, Id, Result, Value, column, info};

/// Records of a segment: more are an attack.
const MOST: usize = 200;

pub fn is_port(port: u16) -> bool {
    matches!(port, 443 | 636 | 853 | 989 | 990 | 992 | 993 | 994 | 995 | 8443)
}

/// It begins as a record does.
pub fn is_one(buf: Buf<'_>) -> bool {
    match buf.kept() {
        [20..=23, 3, 0..=4, high, _, ..] => *high <= 0x48,
        _ => false,
    }
}

fn word(id: Id, value: u64) -> Option<&'static str> {
    id.field().and_then(|field| field.word(value))
}

fn version_name(version: u16) -> &'static str {
    match version {
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => "TLS",
    }
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "TLS";
    if c.wants_columns() {
        c.columns.info.clear();
        c.columns.protocol = column::Protocol::Name("TLS");
    }
    c.enter(tls::SELF, buf, buf.kept().len());
    c.open();
    let mut at = 0;
    let mut result = Ok(());
    for place in 0..MOST {
        let rest = buf.from(at);
        if rest.is_empty() || !is_one(rest) {
            break;
        }
        let len = 5 + usize::from(rest.u16(3)?);
        result = record(c, rest.first(len), place > 0);
        if result.is_err() {
            break;
        }
        at += len;
    }
    if c.wants_columns() {
        let known = c.state.tls.get(&c.stream).map_or(0, |tls| tls.version);
        c.columns.protocol = column::Protocol::Name(version_name(known));
    }
    c.close();
    result
}

/// Adds to the summary, behind what other records said.
fn tell(c: &mut Context<'_>, text: std::fmt::Arguments<'_>) {
    let first = c.columns.info.is_empty();
    info!(c, "{}{text}", if first { "" } else { ", " });
}

fn record(c: &mut Context<'_>, buf: Buf<'_>, _more: bool) -> Result {
    let (kind, version, len) = (buf.u8(0)?, buf.u16(1)?, buf.u16(3)?);
    let side = usize::from(c.ports.0 > c.ports.1);
    let stream = c.stream;
    let known = c.state.tls.entry(stream).or_default();
    if known.version == 0 {
        known.version = version;
    }
    let changed = known.changed[side];
    let name = word(tls::RECORD_CONTENT_TYPE, kind.into()).unwrap_or("Unknown");
    let current = version_name(known.version);
    c.add(tls::RECORD, buf, 0, buf.len(), Value::None);
    c.label(format_args!("{current} Record Layer: {name} Protocol"));
    c.open();
    c.add(tls::RECORD_CONTENT_TYPE, buf, 0, 1, Value::Uint(kind.into()));
    c.add(tls::RECORD_VERSION, buf, 1, 2, Value::Uint(version.into()));
    c.add(tls::RECORD_LENGTH, buf, 3, 2, Value::Uint(len.into()));
    let body = buf.from(5);
    match kind {
        20 => {
            c.add(tls::CHANGE_CIPHER_SPEC, body, 0, body.len(), Value::None);
            tell(c, format_args!("Change Cipher Spec"));
            if let Some(known) = c.state.tls.get_mut(&stream) {
                known.changed[side] = true;
            }
        }
        21 if body.len() == 2 => {
            let (level, description) = (body.u8(0)?, body.u8(1)?);
            let level_word = word(tls::ALERT_MESSAGE_LEVEL, level.into()).unwrap_or("Unknown");
            let text = word(tls::ALERT_MESSAGE_DESC, description.into()).unwrap_or("Unknown");
            c.add(tls::ALERT_MESSAGE, body, 0, 2, Value::None);
            c.open();
            c.add(tls::ALERT_MESSAGE_LEVEL, body, 0, 1, Value::Uint(level.into()));
            c.add(tls::ALERT_MESSAGE_DESC, body, 1, 1, Value::Uint(description.into()));
            c.close();
            tell(c, format_args!("Alert (Level: {level_word}, Description: {text})"));
        }
        21 => tell(c, format_args!("Encrypted Alert")),
        22 if changed => tell(c, format_args!("Encrypted Handshake Message")),
        22 => handshakes(c, body)?,
        23 => {
            c.add(tls::APP_DATA, body, 0, body.kept().len(), Value::Bytes);
            tell(c, format_args!("Application Data"));
        }
        _ => {}
    }
    c.close();
    Ok(())
}

fn handshakes(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    let mut at = 0;
    for _ in 0..MOST {
        let rest = buf.from(at);
        if rest.is_empty() {
            break;
        }
        let kind = rest.u8(0)?;
        let len = rest.u24(1)? as usize;
        let Some(name) = word(tls::HANDSHAKE_TYPE, kind.into()) else {
            tell(c, format_args!("Encrypted Handshake Message"));
            break;
        };
        tell(c, format_args!("{name}"));
        let whole = rest.first(4 + len);
        c.add(tls::HANDSHAKE, whole, 0, 4 + len, Value::None);
        c.label(format_args!("Handshake Protocol: {name}"));
        c.open();
        c.add(tls::HANDSHAKE_TYPE, whole, 0, 1, Value::Uint(kind.into()));
        c.add(tls::HANDSHAKE_LENGTH, whole, 1, 3, Value::Uint(len as u64));
        if matches!(kind, 1 | 2) {
            hello(c, whole.from(4), kind == 1)?;
        }
        c.close();
        at += 4 + len;
    }
    Ok(())
}

fn hello(c: &mut Context<'_>, buf: Buf<'_>, is_client: bool) -> Result {
    let version = buf.u16(0)?;
    c.add(tls::HANDSHAKE_VERSION, buf, 0, 2, Value::Uint(version.into()));
    buf.get(2, 32)?;
    c.add(tls::HANDSHAKE_RANDOM, buf, 2, 32, Value::Bytes);
    let mut selected = version;
    let session = usize::from(buf.u8(34)?);
    c.add(tls::HANDSHAKE_SESSION_ID_LENGTH, buf, 34, 1, Value::Uint(session as u64));
    if session > 0 {
        buf.get(35, session)?;
        c.add(tls::HANDSHAKE_SESSION_ID, buf, 35, session, Value::Bytes);
    }
    let mut at = 35 + session;
    if is_client {
        let len = usize::from(buf.u16(at)?);
        c.add(tls::HANDSHAKE_CIPHER_SUITES_LENGTH, buf, at, 2, Value::Uint(len as u64));
        for suite in (at + 2..at + 2 + len).step_by(2) {
            let number = buf.u16(suite)?;
            c.add(tls::HANDSHAKE_CIPHERSUITE, buf, suite, 2, Value::Uint(number.into()));
        }
        at += 2 + len;
        let len = usize::from(buf.u8(at)?);
        at += 1 + len;
    } else {
        let number = buf.u16(at)?;
        c.add(tls::HANDSHAKE_CIPHERSUITE, buf, at, 2, Value::Uint(number.into()));
        at += 3;
    }
    if at + 2 <= buf.len() {
        let len = usize::from(buf.u16(at)?);
        c.add(tls::HANDSHAKE_EXTENSIONS_LENGTH, buf, at, 2, Value::Uint(len as u64));
        extensions(c, buf.part(at + 2, len), is_client, &mut selected)?;
    }
    // Which version it is, the server says.
    if !is_client {
        let stream = c.stream;
        c.state.tls.entry(stream).or_default().version = selected;
    }
    Ok(())
}

fn extensions(c: &mut Context<'_>, buf: Buf<'_>, is_client: bool, selected: &mut u16) -> Result {
    let mut at = 0;
    while at + 4 <= buf.len() {
        let (kind, len) = (buf.u16(at)?, usize::from(buf.u16(at + 2)?));
        let body = buf.part(at + 4, len);
        let name = word(tls::HANDSHAKE_EXTENSION_TYPE, kind.into()).unwrap_or("Unknown");
        c.title(buf, at, 4 + len, format_args!("Extension: {name} (len={len})"));
        c.open();
        c.add(tls::HANDSHAKE_EXTENSION_TYPE, buf, at, 2, Value::Uint(kind.into()));
        c.add(tls::HANDSHAKE_EXTENSION_LEN, buf, at + 2, 2, Value::Uint(len as u64));
        match kind {
            0 if is_client && len >= 5 => {
                let size = usize::from(body.u16(3)?);
                let value = c.lossy(body.get(5, size)?);
                c.add(tls::HANDSHAKE_EXTENSIONS_SERVER_NAME, body, 5, size, value);
            }
            16 if len >= 2 => {
                let mut from = 2;
                while from < len {
                    let size = usize::from(body.u8(from)?);
                    let value = c.lossy(body.get(from + 1, size)?);
                    c.add(tls::HANDSHAKE_EXTENSIONS_ALPN_STR, body, from + 1, size, value);
                    from += 1 + size;
                }
            }
            43 => {
                let begin = usize::from(is_client);
                for from in (begin..len.saturating_sub(1)).step_by(2) {
                    let version = body.u16(from)?;
                    let value = Value::Uint(version.into());
                    c.add(tls::HANDSHAKE_EXTENSIONS_SUPPORTED_VERSION, body, from, 2, value);
                    if !is_client {
                        *selected = version;
                    }
                }
            }
            _ => {}
        }
        c.close();
        at += 4 + len;
    }
    Ok(())
}
