//! What the keys do.

use ratatui::layout::Rect;

use super::brush::{Brush, Ink};

const KEYS: [(&str, &str); 16] = [
    ("q, Ctrl-C", "quit"),
    ("1 to 7, Tab", "another table; a click on its name too"),
    ("j k, arrows, wheel", "move"),
    ("d u, f b, Page keys", "half a page, a page"),
    ("g G, Home End", "to the first, to the last"),
    ("Enter, click twice", "open: a connection's life, a process's connections"),
    ("Esc", "back; drops the filter"),
    ("/", "filter: each word must be there (nginx close_wait :443)"),
    ("> <, click a title", "sort by another column"),
    ("P S T R", "sort by process, state, age, retransmits"),
    ("r", "the other way round"),
    ("e", "show connections that are over, too"),
    ("Space, p", "pause: all stays as it is, also to scroll back in"),
    ("w", "write what happens to a file, until w again"),
    ("+ -", "a recording: faster, slower"),
    ("Ctrl-L, Ctrl-Z", "draw anew; to the shell, fg comes back"),
];

const MARKS: [&str; 4] = [
    "!  waits for its process to close, or for an answer, for long",
    "q  established, and nobody has accepted it",
    "x  is over",
    "Rates and round-trip times are asked for, for what is on the screen.",
];

pub fn draw(brush: &mut Brush<'_>) {
    let area = brush.area();
    let width = 76.min(area.width);
    let height = (KEYS.len() + MARKS.len() + 4).min(area.height.into()) as u16;
    let x = (area.width - width) / 2;
    let y = (area.height - height) / 2;
    brush.clear(Rect { x, y, width, height });
    brush.put(x, y, width, &format!("{:<76}", " Keys (any of them closes this)"), Ink::Chosen);
    let bottom = y + height - 1;
    let mut line = y + 1;
    for (keys, what) in KEYS {
        if line >= bottom {
            break;
        }
        brush.put(x + 1, line, 21, keys, Ink::Title);
        brush.put(x + 22, line, width.saturating_sub(23), what, Ink::Plain);
        line += 1;
    }
    line += 1;
    for mark in MARKS {
        if line >= bottom {
            break;
        }
        brush.put(x + 1, line, width.saturating_sub(2), mark, Ink::Aside);
        line += 1;
    }
    brush.put(
        x,
        bottom,
        width,
        &format!("{:<76}", " netbreath top --help tells more"),
        Ink::Chosen,
    );
}
