//! A filter's text in tokens.

use super::{Place, Problem, problem};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name, a number, an address: whatever stands without quotes.
    Word(String),
    /// In double quotes: bytes, since escapes can make any.
    Text(Vec<u8>),
    Char(u8),
    Sign(&'static str),
    /// What stands between brackets.
    Slice(String),
}

pub type Tokens = Vec<(Token, Place)>;

/// Longer first.
const SIGNS: [&str; 27] = [
    "===", "!==", "==", "!=", "~=", ">=", "<=", "&&", "||", "..", "=", ">", "<", "~", "!", "&",
    "|", "(", ")", "{", "}", ",", "+", "-", "*", "/", "%",
];

pub fn tokens(text: &str) -> Result<Tokens, Problem> {
    let mut tokens: Tokens = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let token = match c {
            '"' => quoted(text, &mut at, false)?,
            'r' | 'R' if bytes.get(at + 1) == Some(&b'"') => {
                at += 1;
                quoted(text, &mut at, true)?
            }
            '\'' => character(text, &mut at)?,
            '[' => {
                let Some(len) = text[at..].find(']') else {
                    return Err(problem(Place { start, end: text.len() }, "the slice has no end"));
                };
                let inside = text[at + 1..at + len].to_owned();
                at += len + 1;
                Token::Slice(inside)
            }
            '#' => {
                at += 1;
                Token::Sign("#")
            }
            c if c.is_ascii_alphanumeric()
                || matches!(c, '_' | '.' | ':') && !text[at..].starts_with("..") =>
            {
                word(text, &mut at)
            }
            _ => match SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
                Some(sign) => {
                    at += sign.len();
                    Token::Sign(sign)
                }
                None => {
                    let end = at + c.len_utf8();
                    return Err(problem(
                        Place { start, end },
                        format!("`{}` has no meaning here", c.escape_debug()),
                    ));
                }
            },
        };
        tokens.push((token, Place { start, end: at }));
    }
    Ok(tokens)
}

fn word(text: &str, at: &mut usize) -> Token {
    let start = *at;
    let bytes = text.as_bytes();
    let follows = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    while let Some(byte) = bytes.get(*at) {
        let so_far = &text[start..*at];
        let goes_on = match byte {
            b'.' => bytes.get(*at + 1) != Some(&b'.'),
            b'_' | b':' => true,
            // A minus between the parts of a name or of an Ethernet address.
            b'-' => follows(*at + 1) && !so_far.is_empty() && is_dashed(so_far),
            // The length of a prefix.
            b'/' => {
                follows(*at + 1)
                    && so_far.contains(['.', ':'])
                    && so_far.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'))
            }
            byte => byte.is_ascii_alphanumeric(),
        };
        if !goes_on {
            break;
        }
        *at += 1;
    }
    Token::Word(text[start..*at].to_owned())
}

/// A name goes on after a minus, a number does not; parts of Ethernet addresses have two
/// digits.
fn is_dashed(so_far: &str) -> bool {
    let last = so_far.rsplit('-').next().unwrap_or(so_far);
    let pair = last.len() == 2 && last.bytes().all(|b| b.is_ascii_hexdigit());
    pair || so_far.starts_with("data-text")
        || so_far.contains(".duplicate")
        || so_far.contains("packet-")
}

fn quoted(text: &str, at: &mut usize, raw: bool) -> Result<Token, Problem> {
    let start = *at;
    *at += 1;
    let mut value = Vec::new();
    let bytes = text.as_bytes();
    loop {
        let unended = || problem(Place { start, end: text.len() }, "the text in quotes has no end");
        match bytes.get(*at) {
            None => return Err(unended()),
            Some(b'"') => {
                *at += 1;
                return Ok(Token::Text(value));
            }
            Some(b'\\') if raw => {
                value.push(b'\\');
                *at += 1;
                // A quote behind it does not end the text.
                if let Some(next) = bytes.get(*at) {
                    value.push(*next);
                    *at += 1;
                }
            }
            Some(b'\\') => {
                *at += 1;
                escape(text, at, &mut value).ok_or_else(unended)?;
            }
            Some(byte) => {
                value.push(*byte);
                *at += 1;
            }
        }
    }
}

/// What stands behind a backslash.
fn escape(text: &str, at: &mut usize, value: &mut Vec<u8>) -> Option<()> {
    let bytes = text.as_bytes();
    let byte = *bytes.get(*at)?;
    *at += 1;
    let simple = match byte {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => 10,
        b'r' => 13,
        b't' => 9,
        b'v' => 11,
        b'x' => {
            let digits = text
                .get(*at..)
                .map_or(0, |rest| rest.bytes().take(2).take_while(u8::is_ascii_hexdigit).count());
            let number = u8::from_str_radix(text.get(*at..*at + digits)?, 16).unwrap_or(b'x');
            *at += digits;
            number
        }
        b'0'..=b'7' => {
            let mut number = u32::from(byte - b'0');
            for _ in 0..2 {
                match bytes.get(*at) {
                    Some(digit @ b'0'..=b'7') => {
                        number = number * 8 + u32::from(digit - b'0');
                        *at += 1;
                    }
                    _ => break,
                }
            }
            number as u8
        }
        other => other,
    };
    value.push(simple);
    Some(())
}

fn character(text: &str, at: &mut usize) -> Result<Token, Problem> {
    let start = *at;
    *at += 1;
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    let wrong = |end| problem(Place { start, end }, "between single quotes stands one character");
    match bytes.get(*at) {
        Some(b'\\') => {
            *at += 1;
            escape(text, at, &mut value).ok_or_else(|| wrong(text.len()))?;
        }
        Some(byte) if byte.is_ascii() => {
            value.push(*byte);
            *at += 1;
        }
        _ => return Err(wrong(text.len())),
    }
    match (bytes.get(*at), value.first()) {
        (Some(b'\''), Some(byte)) => {
            *at += 1;
            Ok(Token::Char(*byte))
        }
        _ => Err(wrong(text.len())),
    }
}
