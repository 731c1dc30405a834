//! Wireshark's display filters: which packets to show, by what was found in them.
//!
//! `text -> tokens -> tree -> check and compile -> Filter`. The language is the one of
//! wireshark-filter(4), version 4.0. An error knows its place and shows it.

mod compile;
mod eval;
mod lex;
mod parse;

use std::fmt;

use super::dissect::Tree;

/// A filter that makes sense.
#[derive(Debug)]
pub struct Filter {
    test: compile::Test,
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Filter, Error> {
        let wrong = |problem: Problem| Error { text: text.to_owned(), problem };
        let tokens = lex::tokens(text).map_err(wrong)?;
        let tree = parse::parse(text, &tokens).map_err(wrong)?;
        let test = compile::compile(text, &tree).map_err(wrong)?;
        Ok(Filter { test })
    }

    /// Whether a packet passes.
    pub fn matches(&self, tree: &Tree, packet: &[u8]) -> bool {
        eval::test(&self.test, &eval::Packet { tree, bytes: packet })
    }
}

/// A part of a filter's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub start: usize,
    pub end: usize,
}

impl Place {
    fn to(self, other: Place) -> Place {
        Place { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Option<Place>,
    pub what: String,
}

fn problem(place: Place, what: impl Into<String>) -> Problem {
    Problem { place: Some(place), what: what.into() }
}

/// Why a text is no filter; it shows the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    text: String,
    pub problem: Problem,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem.what)?;
        let place = self.problem.place.unwrap_or(Place {
            start: self.text.trim_end().len(),
            end: self.text.trim_end().len() + 1,
        });
        // One line, whatever was typed.
        let line: String =
            self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let width = |text: &str| unicode_width::UnicodeWidthStr::width(text);
        let before = width(line.get(..place.start).unwrap_or(&line));
        let marked = width(line.get(place.start..place.end).unwrap_or("x")).max(1);
        write!(f, "\n    {line}\n    {}^{}", " ".repeat(before), "~".repeat(marked - 1))
    }
}

/// Filters inside each other: deeper ones are refused.
const DEEPEST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Filter::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_point_at_their_place() {
        assert_eq!(
            error("tcp.port == 80 and tcp.prt == 1"),
            "there is no field or protocol `tcp.prt`; near it: tcp.port\n    \
             tcp.port == 80 and tcp.prt == 1\n                       ^~~~~~~"
        );
        assert!(
            error("tcp.port == 80000").ends_with("    tcp.port == 80000\n                ^~~~~")
        );
        assert!(error("tcp.port ==").ends_with("    tcp.port ==\n               ^"));
        assert!(error("(tcp").contains("ends too early"));
    }

    /// Any text: no panic, no endless depth.
    #[test]
    fn any_text_is_a_filter_or_an_error() {
        let parts = [
            "tcp",
            "tcp.port",
            "==",
            "!=",
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            "0:3",
            "80",
            "\"x\"",
            "'c'",
            "in",
            "and",
            "or",
            "not",
            "!",
            "..",
            ",",
            "contains",
            "matches",
            "~",
            "&",
            "ip.src",
            "10.0.0.0/8",
            "::1",
            "len",
            "upper",
            "-",
            "+",
            "#",
            "any",
            "all",
            "\"",
            "\\",
            "é",
            "frame",
            "http.host",
            "eth.src",
            "02:00:00:00:00:01",
            "r\"(\"",
            " ",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..state % 9 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push_str(parts[(state % parts.len() as u64) as usize]);
                if state & 0x100 != 0 {
                    text.push(' ');
                }
            }
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if let Err(error) = Filter::parse(&text) {
                assert!(!error.to_string().is_empty());
            }
        }
        for text in
            ["(".repeat(10_000), "!".repeat(10_000), "not ".repeat(10_000), "-".repeat(9_000)]
        {
            assert!(Filter::parse(&text).is_err());
        }
    }
}
