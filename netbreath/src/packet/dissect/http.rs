//! HTTP/1 (RFC 9112): the first line, headers, and where the body begins.

use super::field::http;
use super::stream::HttpRequest;
use super::{Buf, Context, Group, Id, Result, Severity, Value, column, data, info, text_lines};

/// Headers of a message: more are an attack.
const MOST_HEADERS: usize = 500;
/// Requests of a connection that wait for their responses.
const MOST_WAITING: usize = 64;
/// Connections that are remembered.
const MOST_CONNECTIONS: usize = 65_536;

const METHODS: [&str; 16] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
];

/// Ports on which HTTP is usual.
pub fn is_port(port: u16) -> bool {
    matches!(port, 80 | 3128 | 3132 | 5985 | 8080 | 8088 | 11371 | 1900 | 2869 | 2710)
}

/// It begins as a request or a response does.
pub fn begins(buf: Buf<'_>) -> bool {
    let bytes = buf.kept();
    if bytes.starts_with(b"HTTP/1.") {
        return true;
    }
    let is = |method: &&str| {
        bytes.strip_prefix(method.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' '))
    };
    METHODS.iter().any(|method| is(&method)) && {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.windows(8).any(|part| part == b" HTTP/1.")
    }
}

/// It begins so, or goes on with what began so.
pub fn is_http(c: &Context<'_>, buf: Buf<'_>) -> bool {
    begins(buf) || c.state.http.get(&c.stream).is_some_and(|http| http.is_http)
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "HTTP";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("HTTP");
        c.columns.info.clear();
    }
    if c.state.http.len() >= MOST_CONNECTIONS && !c.state.http.contains_key(&c.stream) {
        c.state.forgotten += c.state.http.len() as u64;
        c.state.http.clear();
    }
    c.state.http.entry(c.stream).or_default().is_http = true;
    if !begins(buf) {
        info!(c, "Continuation");
        c.enter(http::SELF, buf, buf.kept().len());
        c.open();
        let kept = buf.kept().len();
        file_data(c, buf, kept);
        c.close();
        return c.inside(buf, data::dissect);
    }
    let mut rest = buf;
    for place in 0..64 {
        if rest.kept().is_empty() || !begins(rest) {
            break;
        }
        if place > 0 {
            info!(c, " ");
        }
        rest = message(c, rest)?;
    }
    Ok(())
}

/// A line, and where the next begins.
fn line(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = &rest[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), at + end + 1)
        }
        None => (rest, bytes.len()),
    }
}

/// Text with its control characters spelt out.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 4);
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[derive(Default)]
struct Headers {
    host: Option<String>,
    kind: Option<String>,
    length: Option<u64>,
    chunked: bool,
}

/// One message; gives what follows it.
fn message<'b>(c: &mut Context<'_>, buf: Buf<'b>) -> std::result::Result<Buf<'b>, super::Cut> {
    let bytes = buf.kept();
    let (first, mut at) = line(bytes, 0);
    let first_len = at;
    let text = String::from_utf8_lossy(first).into_owned();
    let is_response = first.starts_with(b"HTTP/");
    info!(c, "{text} ");
    c.enter(http::SELF, buf, bytes.len());
    let whole = c.place();
    c.open();
    let written = escaped(&bytes[..first_len]);
    c.title(buf, 0, first_len, format_args!("{written}"));
    c.expert(http::CHAT, buf, Severity::Chat, Group::Sequence, format_args!("{written}"));
    c.open();
    let parts: Vec<&str> = text.splitn(3, ' ').collect();
    let uri = if is_response {
        response_line(c, buf, &parts);
        String::new()
    } else {
        request_line(c, buf, &parts);
        parts.get(1).map_or("", |uri| uri).to_owned()
    };
    c.close();
    let mut headers = Headers::default();
    let line_id = if is_response { http::RESPONSE_LINE } else { http::REQUEST_LINE };
    for _ in 0..MOST_HEADERS {
        if at >= bytes.len() {
            break;
        }
        let (header, next) = line(bytes, at);
        if header.is_empty() {
            let written = escaped(&bytes[at..next]);
            c.title(buf, at, next - at, format_args!("{written}"));
            at = next;
            break;
        }
        self::header(c, buf, (at, next), header, line_id, &mut headers);
        at = next;
    }
    let rest = buf.from(at);
    let body = match headers.length {
        Some(length) => length.min(rest.len() as u64) as usize,
        None if is_response => rest.len(),
        None => 0,
    };
    let (number, time) = (c.meta.number, c.meta.time);
    let state = c.state.http.entry(c.stream).or_default();
    if is_response {
        respond(c, buf);
    } else {
        let method = parts.first().map_or("", |method| method).to_owned();
        let full = full_uri(&method, &uri, headers.host.as_deref());
        let count = state.requests_seen + 1;
        let last = std::mem::replace(&mut state.last_request, number);
        state.requests_seen = count;
        if let Some(full) = &full {
            state.last_uri.clone_from(full);
        }
        let uri = state.last_uri.clone();
        if state.requests.len() < MOST_WAITING {
            state.requests.push(HttpRequest { number, time, uri, method });
        }
        if let Some(full) = full {
            let value = c.text(format_args!("{full}"));
            c.generate(http::REQUEST_FULL_URI, buf, value);
        }
        c.hide(http::REQUEST, buf, 0, 0, Value::Bool(true));
        c.last(|node| node.generated = true);
        c.generate(http::REQUEST_NUMBER, buf, Value::Uint(count.into()));
        c.label(format_args!("HTTP request {count}/{count}"));
        if last > 0 {
            c.generate(http::PREV_REQUEST_IN, buf, Value::Uint(last));
            c.label(format_args!("Prev request in frame: {last}"));
        }
    }
    if body > 0 && !rest.kept().is_empty() {
        file_data(c, rest, body);
    }
    if let Some(node) = c.node(whole) {
        node.len = at as u32;
    }
    c.close();
    if body == 0 {
        return Ok(rest);
    }
    let inside = rest.first(body);
    let kind = headers.kind.as_deref().unwrap_or_default();
    let bare = kind.split(';').next().unwrap_or_default().trim();
    if !bare.is_empty() && is_response || !bare.is_empty() && bare != "application/octet-stream" {
        info!(c, " ({bare})");
    }
    if text_lines::is_text(bare) && !headers.chunked {
        c.inside(inside, |c, buf| text_lines::dissect(c, buf, bare))?;
    } else {
        c.inside(inside, data::dissect)?;
    }
    Ok(rest.from(body))
}

fn file_data(c: &mut Context<'_>, buf: Buf<'_>, len: usize) {
    let kept = buf.first(len).kept();
    let value = c.lossy(kept);
    c.add(http::FILE_DATA, buf, 0, kept.len(), value);
    let many = if len == 1 { "" } else { "s" };
    c.label(format_args!("File Data: {len} byte{many}"));
}

fn request_line(c: &mut Context<'_>, buf: Buf<'_>, parts: &[&str]) {
    let method = parts.first().map_or("", |part| part);
    let value = c.text(format_args!("{method}"));
    c.add(http::REQUEST_METHOD, buf, 0, method.len(), value);
    let Some(uri) = parts.get(1) else { return };
    let at = method.len() + 1;
    let value = c.text(format_args!("{uri}"));
    c.add(http::REQUEST_URI, buf, at, uri.len(), value);
    if let Some((path, query)) = uri.split_once('?') {
        c.open();
        let value = c.text(format_args!("{path}"));
        c.add(http::REQUEST_URI_PATH, buf, at, path.len(), value);
        let mut at = at + path.len() + 1;
        let value = c.text(format_args!("{query}"));
        c.add(http::REQUEST_URI_QUERY, buf, at, query.len(), value);
        c.open();
        for parameter in query.split('&') {
            let value = c.text(format_args!("{parameter}"));
            c.add(http::REQUEST_URI_QUERY_PARAMETER, buf, at, parameter.len(), value);
            at += parameter.len() + 1;
        }
        c.close();
        c.close();
    }
    if let Some(version) = parts.get(2) {
        let value = c.text(format_args!("{version}"));
        c.add(http::REQUEST_VERSION, buf, at + uri.len() + 1, version.len(), value);
    }
}

fn response_line(c: &mut Context<'_>, buf: Buf<'_>, parts: &[&str]) {
    let version = parts.first().map_or("", |part| part);
    let value = c.text(format_args!("{version}"));
    c.add(http::RESPONSE_VERSION, buf, 0, version.len(), value);
    let Some(code) = parts.get(1) else { return };
    let at = version.len() + 1;
    let Ok(number) = code.parse::<u16>() else { return };
    c.add(http::RESPONSE_CODE, buf, at, code.len(), Value::Uint(number.into()));
    c.label(format_args!("Status Code: {number}"));
    if let Some(word) = reason(number) {
        c.add(http::RESPONSE_CODE_DESC, buf, at, code.len(), Value::Word(word));
        c.last(|node| node.generated = true);
    }
    if let Some(phrase) = parts.get(2) {
        let value = c.text(format_args!("{phrase}"));
        c.add(http::RESPONSE_PHRASE, buf, at + code.len() + 1, phrase.len(), value);
    }
}

/// What a status code means (RFC 9110, section 15, and IANA's registry).
fn reason(code: u16) -> Option<&'static str> {
    Some(match code {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Request Range Not Satisfiable",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        _ => return None,
    })
}

/// A response is told with its request.
fn respond(c: &mut Context<'_>, buf: Buf<'_>) {
    let (number, time) = (c.meta.number, c.meta.time);
    let state = c.state.http.entry(c.stream).or_default();
    state.responses += 1;
    let count = state.responses;
    let last = std::mem::replace(&mut state.last_response, number);
    let request = if state.requests.is_empty() { None } else { Some(state.requests.remove(0)) };
    let before = std::mem::replace(
        &mut state.answered_request,
        request.as_ref().map_or(0, |request| request.number),
    );
    c.hide(http::RESPONSE, buf, 0, 0, Value::Bool(true));
    c.last(|node| node.generated = true);
    c.generate(http::RESPONSE_NUMBER, buf, Value::Uint(count.into()));
    c.label(format_args!("HTTP response {count}/{count}"));
    let Some(request) = request else { return };
    c.generate(http::TIME, buf, Value::Rel(time - request.time));
    if before > 0 {
        c.generate(http::PREV_REQUEST_IN, buf, Value::Uint(before));
        c.label(format_args!("Prev request in frame: {before}"));
    }
    if last > 0 {
        c.generate(http::PREV_RESPONSE_IN, buf, Value::Uint(last));
        c.label(format_args!("Prev response in frame: {last}"));
    }
    c.generate(http::REQUEST_IN, buf, Value::Uint(request.number));
    c.label(format_args!("Request in frame: {}", request.number));
    if !request.uri.is_empty() {
        let value = c.text(format_args!("{}", request.uri));
        c.generate(http::RESPONSE_FOR_URI, buf, value);
    }
}

fn full_uri(method: &str, uri: &str, host: Option<&str>) -> Option<String> {
    if method == "CONNECT" || uri.starts_with("http://") || uri.starts_with("https://") {
        return Some(uri.to_owned());
    }
    let host = host?;
    Some(if uri == "*" { format!("http://{host}") } else { format!("http://{host}{uri}") })
}

fn header(
    c: &mut Context<'_>,
    buf: Buf<'_>,
    (at, next): (usize, usize),
    bytes: &[u8],
    line_id: Id,
    headers: &mut Headers,
) {
    let text = String::from_utf8_lossy(bytes);
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, value.trim()),
        None => (&*text, ""),
    };
    let lower = name.trim().to_ascii_lowercase();
    match lower.as_str() {
        "host" => headers.host = Some(value.to_owned()),
        "content-type" => headers.kind = Some(value.to_ascii_lowercase()),
        "content-length" => headers.length = value.parse().ok(),
        "transfer-encoding" => headers.chunked = value.eq_ignore_ascii_case("chunked"),
        _ => {}
    }
    if !c.wants_fields() {
        return;
    }
    let len = next - at;
    let whole = String::from_utf8_lossy(buf.kept().get(at..next).unwrap_or_default());
    let line = c.text(format_args!("{whole}"));
    let Some(id) = known(&lower) else {
        c.add(line_id, buf, at, len, line);
        c.label(format_args!("{whole}"));
        return;
    };
    let content = c.text(format_args!("{value}"));
    c.add(id, buf, at, len, content);
    c.label(format_args!("{whole}"));
    match lower.as_str() {
        "content-length" => {
            if let Some(length) = headers.length {
                c.open();
                c.generate(http::CONTENT_LENGTH, buf, Value::Uint(length));
                c.last(|node| {
                    node.at += at as u32;
                    node.len = len as u32;
                });
                c.close();
            }
        }
        "cookie" => {
            c.open();
            let mut from = at + text.find(value).unwrap_or(0);
            for pair in value.split(';') {
                let trimmed = pair.trim_start();
                let begin = from + (pair.len() - trimmed.len());
                let one = c.text(format_args!("{trimmed}"));
                c.add(http::COOKIE_PAIR, buf, begin, trimmed.len(), one);
                from += pair.len() + 1;
            }
            c.close();
        }
        _ => {}
    }
    c.hide(line_id, buf, at, len, line);
    c.label(format_args!("{whole}"));
}

/// Headers that have a field of their own.
fn known(name: &str) -> Option<Id> {
    Some(match name {
        "host" => http::HOST,
        "user-agent" => http::USER_AGENT,
        "accept" => http::ACCEPT,
        "accept-language" => http::ACCEPT_LANGUAGE,
        "accept-encoding" => http::ACCEPT_ENCODING,
        "authorization" => http::AUTHORIZATION,
        "cache-control" => http::CACHE_CONTROL,
        "connection" => http::CONNECTION,
        "content-encoding" => http::CONTENT_ENCODING,
        "content-length" => http::CONTENT_LENGTH_HEADER,
        "content-type" => http::CONTENT_TYPE,
        "cookie" => http::COOKIE,
        "date" => http::DATE,
        "last-modified" => http::LAST_MODIFIED,
        "location" => http::LOCATION,
        "proxy-authenticate" => http::PROXY_AUTHENTICATE,
        "proxy-authorization" => http::PROXY_AUTHORIZATION,
        "referer" => http::REFERER,
        "sec-websocket-accept" => http::SEC_WEBSOCKET_ACCEPT,
        "sec-websocket-key" => http::SEC_WEBSOCKET_KEY,
        "sec-websocket-protocol" => http::SEC_WEBSOCKET_PROTOCOL,
        "sec-websocket-version" => http::SEC_WEBSOCKET_VERSION,
        "server" => http::SERVER,
        "set-cookie" => http::SET_COOKIE,
        "transfer-encoding" => http::TRANSFER_ENCODING,
        "upgrade" => http::UPGRADE,
        "www-authenticate" => http::WWW_AUTHENTICATE,
        "x-forwarded-for" => http::X_FORWARDED_FOR,
        _ => return None,
    })
}
