//! What tracers write: how many events, how many they say were lost, and how late.

use std::io::{BufRead, BufReader, Read, Result};

use super::process_clock;

/// How a tracer's output is to be read.
#[derive(Clone, Copy)]
pub enum Dialect {
    /// netbreath's jsonl.
    Events,
    /// A line an event, after a header that begins so.
    Lines { header: &'static str },
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A state transition of the load, with the time it has, in wall-clock nanoseconds.
    Event {
        at: Option<u64>,
    },
    /// So many were lost, the tracer says.
    Lost(u64),
    Other,
}

/// What came out of a tracer.
#[derive(Debug, Default)]
pub struct Seen {
    pub events: u64,
    pub lost: u64,
    /// From the kernel's time of each event to when we had its line, in nanoseconds.
    pub delays: Vec<f64>,
}

/// Reads to the end of it.
pub fn read(pipe: impl Read, dialect: Dialect, netns: u64) -> Result<Seen> {
    // Why as large as a pipe: what one read gives has one time of arrival.
    let mut pipe = BufReader::with_capacity(64 * 1024, Arriving { pipe, at: 0 });
    let netns = format!("\"netns\":{netns}");
    let mut seen = Seen::default();
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line)? > 0 {
        let parsed = match dialect {
            Dialect::Events => event_line(&line, netns.as_bytes()),
            Dialect::Lines { header } => plain_line(&line, header),
        };
        match parsed {
            Line::Event { at } => {
                seen.events += 1;
                seen.delays.extend(at.map(|at| pipe.get_ref().at.saturating_sub(at) as f64));
            }
            Line::Lost(count) => seen.lost += count,
            Line::Other => {}
        }
        line.clear();
    }
    Ok(seen)
}

/// Notes when bytes arrive.
struct Arriving<R> {
    pipe: R,
    at: u64,
}

impl<R: Read> Read for Arriving<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.pipe.read(buffer)?;
        self.at = process_clock::wall().map_err(std::io::Error::other)?;
        Ok(count)
    }
}

/// Why not a JSON parser: it would take the CPU that the tracer needs. Names from outside
/// cannot be mistaken for keys, since quotes within strings have a backslash before them.
fn event_line(line: &[u8], netns: &[u8]) -> Line {
    let is = |event: &[u8]| position(line, event).is_some();
    // TIME_WAIT stands in the place of the kernel's CLOSE; its own end is no transition of
    // the load.
    let of_load = is(b"\"via\":\"kernel\"") || is(b"\"new\":\"TIME_WAIT\"");
    if is(b"\"event\":\"state\"") && of_load {
        let after = position(line, netns).and_then(|at| line.get(at + netns.len()));
        // Why: a longer number is another namespace.
        if after.is_some_and(|byte| !byte.is_ascii_digit()) {
            return Line::Event { at: number(line, b"\"at\":") };
        }
    } else if is(b"\"event\":\"gap\"")
        && let Some(count) = number(line, b"\"count\":")
    {
        return Line::Lost(count);
    }
    Line::Other
}

fn plain_line(line: &[u8], header: &str) -> Line {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(header.as_bytes()) {
        return Line::Other;
    }
    // Why first: it is cheap, and nearly no line is about a loss.
    if line.starts_with(b"Lost ") || line.starts_with(b"lost ") {
        return lost(&String::from_utf8_lossy(line)).map_or(Line::Other, Line::Lost);
    }
    Line::Event { at: None }
}

/// Out of `Lost 12 events`, or `34 events, 12 lost, 1 gap; 2 sockets still open`.
pub fn lost(line: &str) -> Option<u64> {
    let words: Vec<_> = line
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let place = words.iter().position(|word| word.eq_ignore_ascii_case("lost"))?;
    let number = |place: Option<usize>| words.get(place?)?.parse().ok();
    number(place.checked_sub(1)).or_else(|| number(place.checked_add(1)))
}

fn number(line: &[u8], key: &[u8]) -> Option<u64> {
    let rest = &line[position(line, key)? + key.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Why libc: xtask is built without optimization, and libc was not.
fn position(line: &[u8], what: &[u8]) -> Option<usize> {
    // SAFETY: both are live slices with their own lengths.
    let found =
        unsafe { libc::memmem(line.as_ptr().cast(), line.len(), what.as_ptr().cast(), what.len()) };
    (!found.is_null()).then(|| found.addr() - line.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = concat!(
        r#"{"at":1763830000123456789,"event":"state","via":"kernel","socket":"138858","#,
        r#""proto":"tcp","family":4,"local":"127.0.0.1:8080","remote":"127.0.0.1:46712","#,
        r#""old":"SYN_RECV","new":"ESTABLISHED","netns":4026531833,"born":true}"#,
        "\n"
    );

    fn event(line: &str) -> Line {
        event_line(line.as_bytes(), b"\"netns\":4026531833")
    }

    #[test]
    fn transitions_of_the_load_are_events() {
        let at = Some(1_763_830_000_123_456_789);
        assert_eq!(event(STATE), Line::Event { at });
        assert_eq!(event(&STATE.replace(r#","born":true"#, "")), Line::Event { at });
    }

    #[test]
    fn others_are_not() {
        for line in [
            String::new(),
            STATE.replace("\"state\"", "\"accept\""),
            STATE.replace("4026531833", "40265318331"),
            STATE.replace("4026531833", "4026531834"),
            STATE.replace("kernel", "snapshot"),
        ] {
            assert_eq!(event(&line), Line::Other, "{line}");
        }
    }

    #[test]
    fn gaps_are_losses() {
        let gap = r#"{"at":5,"event":"gap","what":"records","count":12}"#;
        assert_eq!(event(gap), Line::Lost(12));
    }

    #[test]
    fn lines_of_others_are_counted() {
        let text = "SKADDR PID COMM\n\
                    ffff888 12 curl 127.0.0.1 1 127.0.0.2 2 CLOSE -> SYN_SENT 0.000\n\n\
                    Lost 12 events\n";
        let dialect = Dialect::Lines { header: "SKADDR" };
        let seen = read(text.as_bytes(), dialect, 1).expect("a count");
        assert_eq!((seen.events, seen.lost), (1, 12));
        assert!(seen.delays.is_empty());
    }

    #[test]
    fn delays_are_from_the_event_to_its_arrival() {
        let before = process_clock::wall().expect("the time");
        let line = STATE.replace("1763830000123456789", &(before - 1_000_000).to_string());
        let seen = read(line.as_bytes(), Dialect::Events, 4_026_531_833).expect("a count");
        assert_eq!(seen.events, 1);
        assert!(seen.delays[0] >= 1_000_000.0 && seen.delays[0] < 60e9);
    }

    #[test]
    fn what_was_lost_is_understood() {
        assert_eq!(lost("lost 7 events on CPU #0!"), Some(7));
        assert_eq!(lost("Lost 12 events"), Some(12));
        assert_eq!(lost("34 events, 5 lost, 1 gap; 2 still open"), Some(5));
        assert_eq!(lost("1 event, 0 lost, 2 gaps; 0 still open"), Some(0));
        assert_eq!(lost("nothing"), None);
        assert_eq!(lost("all is lost"), None);
    }
}
