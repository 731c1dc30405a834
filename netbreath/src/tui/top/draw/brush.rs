//! How text comes onto the screen: its room, its ink, and nothing that could steer the
//! terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::Timestamps;
use crate::event::{Comm, Endpoint, Owner};
use crate::format::put_name;
use crate::format::text::{Clock, put_duration};
use crate::tui::top::model::{Look, Told};

/// What a colour says. None is told by its colour alone: there is always a mark or a word.
/// Cyan, yellow and magenta differ for the colour-blind too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Title,
    Aside,
    Good,
    Warn,
    Bad,
    Name,
    Chosen,
}

pub struct Brush<'a> {
    buffer: &'a mut Buffer,
    look: &'a Look,
}

impl<'a> Brush<'a> {
    pub fn new(buffer: &'a mut Buffer, look: &'a Look) -> Brush<'a> {
        Brush { buffer, look }
    }

    pub const fn area(&self) -> Rect {
        self.buffer.area
    }

    pub const fn unicode(&self) -> bool {
        self.look.unicode
    }

    fn style(&self, ink: Ink) -> Style {
        let style = Style::default();
        let coloured = |colour| if self.look.colour { style.fg(colour) } else { style };
        match ink {
            Ink::Plain => style,
            Ink::Title => style.add_modifier(Modifier::BOLD),
            Ink::Aside => style.add_modifier(Modifier::DIM),
            Ink::Good | Ink::Name => coloured(Color::Cyan),
            Ink::Warn => coloured(Color::Yellow).add_modifier(Modifier::BOLD),
            Ink::Bad => coloured(Color::Magenta).add_modifier(Modifier::BOLD),
            Ink::Chosen => style.add_modifier(Modifier::REVERSED),
        }
    }

    /// Writes text, cut at its end if it has no room; the column behind it.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, ink: Ink) -> u16 {
        let text = cut(text, width.into(), self.look.unicode);
        let style = self.style(ink);
        let width = width.min(self.buffer.area.width.saturating_sub(x));
        if width == 0 || y >= self.buffer.area.height {
            return x;
        }
        self.buffer.set_stringn(x, y, text, width.into(), style).0
    }

    /// The same at the right end of its room.
    pub fn put_right(&mut self, x: u16, y: u16, width: u16, text: &str, ink: Ink) {
        let text = cut(text, width.into(), self.look.unicode);
        let taken = text.width().min(width.into()) as u16;
        self.put(x + width - taken, y, taken, &text, ink);
    }

    /// Without its beginning, if it has no room: of addresses, the end says more.
    pub fn put_end(&mut self, x: u16, y: u16, width: u16, text: &str, ink: Ink) {
        let width_of = text.width();
        if width_of <= usize::from(width) {
            self.put(x, y, width, text, ink);
            return;
        }
        let mark = self.ellipsis();
        let room = usize::from(width).saturating_sub(mark.width());
        let mut kept = 0;
        let mut start = text.len();
        for (at, c) in text.char_indices().rev() {
            kept += c.width().unwrap_or(0);
            if kept > room {
                break;
            }
            start = at;
        }
        self.put(x, y, width, &format!("{mark}{}", &text[start..]), ink);
    }

    /// A bar for `part` of `whole`: something is never nothing.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, part: u64, whole: u64, ink: Ink) {
        if whole == 0 || width == 0 || part == 0 {
            return;
        }
        let eighths = (part.min(whole) * u64::from(width) * 8).div_ceil(whole);
        let mut text = String::new();
        if self.look.unicode {
            const PARTS: [char; 8] = ['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
            text.extend((0..eighths / 8).map(|_| '█'));
            if !eighths.is_multiple_of(8) {
                text.push(PARTS[(eighths % 8) as usize]);
            }
        } else {
            text.extend((0..eighths.div_ceil(8)).map(|_| '#'));
        }
        self.put(x, y, width, &text, ink);
    }

    /// Values over time, the latest at the right.
    pub fn sparks(&mut self, x: u16, y: u16, width: u16, values: &[f64], ink: Ink) {
        const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const PLAIN: [&str; 8] = ["_", "_", ".", ".", "-", "=", "*", "#"];
        let most = values.iter().copied().fold(0.0, f64::max);
        let shown = &values[values.len().saturating_sub(width.into())..];
        let levels = if self.look.unicode { LEVELS } else { PLAIN };
        let text: String = shown
            .iter()
            .map(|value| {
                let level = if most > 0.0 { (value / most * 7.0).round() } else { 0.0 };
                levels[(level as usize).min(7)]
            })
            .collect();
        self.put(x, y, width, &text, ink);
    }

    /// Everything in `area` in reverse: the row with the cursor.
    pub fn choose(&mut self, area: Rect) {
        let style = self.style(Ink::Chosen);
        self.buffer.set_style(area, style);
    }

    pub fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom().min(self.buffer.area.height) {
            for x in area.left()..area.right().min(self.buffer.area.width) {
                self.buffer[(x, y)].reset();
            }
        }
    }

    pub const fn ellipsis(&self) -> &'static str {
        if self.look.unicode { "…" } else { ".." }
    }

    /// A name from outside, harmless.
    pub fn safe(&self, name: &[u8]) -> String {
        let mut out = Vec::new();
        put_name(&mut out, name, self.look.unicode);
        String::from_utf8_lossy(&out).into_owned()
    }

    pub fn process(&self, pid: u32, comm: &Comm) -> String {
        format!("{}[{pid}]", self.safe(comm.bytes()))
    }

    pub fn owner(&self, owner: Option<&Owner>) -> String {
        owner.map_or_else(|| "-".to_owned(), |owner| self.process(owner.pid, &owner.comm))
    }

    pub fn duration(&self, nanos: u64) -> String {
        let mut out = Vec::new();
        put_duration(&mut out, nanos, self.look.unicode);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The time of day of `at`, in nanoseconds since boot.
    pub fn clock(&self, boot: i64, at: u64, width: usize) -> String {
        let mut clock = Clock::new(Timestamps::Wall, self.look.timezone.clone());
        clock.boot = boot;
        let mut out = Vec::new();
        clock.put(&mut out, at, width);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// One line about a finding.
    pub fn finding(&self, told: &Told) -> String {
        let finding = &told.finding;
        let mut text = format!("{}  ", finding.lint.name());
        if finding.owner.is_some() {
            text.push_str(&self.owner(finding.owner.as_ref()));
            text.push_str(": ");
        }
        text.push_str(&self.safe(finding.evidence.as_bytes()));
        if told.times > 1 {
            text.push_str(&format!(" ({} times)", told.times));
        }
        text
    }
}

/// What fits of `text`, with a mark if that is not all.
fn cut(text: &str, width: usize, unicode: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mark = if unicode { "…" } else { ".." };
    let room = width.saturating_sub(mark.width());
    let mut kept = 0;
    let mut out = String::new();
    for c in text.chars() {
        kept += c.width().unwrap_or(0);
        if kept > room {
            break;
        }
        out.push(c);
    }
    if mark.width() <= width {
        out.push_str(mark);
    }
    out
}

/// Three digits are a group: 12,345.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most five columns: 99999, 100k, 12.3M.
pub fn short(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// Bytes a second, in at most five columns.
pub fn rate(bytes: f64) -> String {
    match bytes {
        b if b < 0.5 => "0".to_owned(),
        b if b < 1000.0 => format!("{b:.0}B"),
        b if b < 10_000.0 => format!("{:.1}k", b / 1e3),
        b if b < 1e6 => format!("{:.0}k", b / 1e3),
        b if b < 10e6 => format!("{:.1}M", b / 1e6),
        b if b < 1e9 => format!("{:.0}M", b / 1e6),
        b => format!("{:.1}G", b / 1e9),
    }
}

/// As `ss` prints it.
pub fn endpoint(end: Endpoint) -> String {
    end.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_wide_characters_take_two_columns() {
        assert_eq!(cut("netbreath", 9, true), "netbreath");
        assert_eq!(cut("netbreath", 5, true), "netb…");
        assert_eq!(cut("日本語サーバ", 7, true), "日本語…");
        assert_eq!(cut("日本語サーバ", 6, true), "日本…");
        assert_eq!(cut("netbreath", 5, false), "net..");
        assert_eq!(cut("abc", 0, true), "");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
        assert_eq!(short(50_000), "50000");
        assert_eq!(short(1_234_567), "1234k");
        for (bytes, text) in
            [(0.0, "0"), (999.0, "999B"), (1500.0, "1.5k"), (52e3, "52k"), (1.26e9, "1.3G")]
        {
            assert_eq!(rate(bytes), text);
        }
    }
}
