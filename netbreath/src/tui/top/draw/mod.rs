//! From the model to the screen: a pure function of the model and the size. What it finds
//! out on its way, where rows and titles are, it gives back for keys and clicks.

use netbreath_common::tcp::TcpState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::model::{Model, Pane, SortKey, Target, World};

mod brush;
mod help;
mod life;
mod pane;

use brush::{Brush, Ink};

/// Where things are on the screen.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    pub tabs: Vec<(Rect, Pane)>,
    /// Titles of columns to sort by.
    pub titles: Vec<(Rect, SortKey)>,
    pub rows: Rect,
    /// What the rows on the screen are.
    pub targets: Vec<Target>,
    /// Of the row with the cursor.
    pub index: usize,
    /// Of the first row on the screen.
    pub offset: usize,
    pub total: usize,
    /// Rows that fit.
    pub height: usize,
}

impl Hits {
    /// The connections that can be seen, for what is asked about them.
    pub fn sockets(&self) -> impl Iterator<Item = crate::event::SocketId> {
        self.targets.iter().filter_map(|target| match target {
            Target::Socket(id) => Some(*id),
            _ => None,
        })
    }
}

/// Lines above the table: the head, two of states, a finding, the tabs.
const HEAD: u16 = 5;
/// Lines below: what we take, and keys.
const FOOT: u16 = 2;
/// From so many lines on, the latest events are shown below every table.
const ROOMY: u16 = 34;
const TICKER: u16 = 9;

/// Draws all of it.
pub fn draw(model: &Model, buffer: &mut Buffer) -> Hits {
    let area = buffer.area;
    let mut brush = Brush::new(buffer, &model.look);
    let mut hits = Hits::default();
    if area.width < 40 || area.height < 10 {
        brush.put(0, 0, area.width, "netbreath top needs 40x10", Ink::Warn);
        return hits;
    }
    let world = model.shown();
    head(model, world, &mut brush);
    states(world, &mut brush);
    finding(world, &mut brush);
    tabs(model, world, &mut brush, &mut hits);
    let ticker = if area.height >= ROOMY && model.pane != Pane::Events && model.open.is_none() {
        TICKER
    } else {
        0
    };
    let body =
        Rect { x: 0, y: HEAD, width: area.width, height: area.height - HEAD - FOOT - ticker };
    match model.open {
        Some(id) => life::draw(model, world, id, body, &mut brush, &mut hits),
        None => pane::draw(model, world, body, &mut brush, &mut hits),
    }
    if ticker > 0 {
        let below = Rect { y: body.bottom(), height: ticker, ..body };
        pane::ticker(world, below, &mut brush);
    }
    foot(model, world, &mut brush);
    if model.help {
        help::draw(&mut brush);
    }
    hits
}

fn head(model: &Model, world: &World, brush: &mut Brush<'_>) {
    let width = brush.area().width;
    let mut at = brush.put(0, 0, width, "netbreath top", Ink::Title);
    let open = world.tables.connections().open();
    let text = format!(
        "  {}  {} open  {} findings",
        brush.clock(world.boot, world.now, 12).get(..8).unwrap_or_default(),
        brush::grouped(open as u64),
        brush::grouped(world.found),
    );
    at = brush.put(at, 0, width - at, &text, Ink::Plain);
    let right = match (&model.playing, model.paused()) {
        (_, true) => " PAUSED: Space goes on ".to_owned(),
        (Some(playing), _) if playing.over => format!(" {}: its end ", playing.file),
        (Some(playing), _) => format!(" {} {}x ", playing.file, playing.speed),
        (None, false) => format!("{:.0} events/s ", model.own.events),
    };
    let ink = if model.paused() { Ink::Chosen } else { Ink::Aside };
    brush.put_right(at + 1, 0, width.saturating_sub(at + 1), &right, ink);
}

/// The states that the histogram has, each with others that are counted with it.
const STATES: [(&str, &[TcpState]); 8] = [
    ("ESTABLISHED", &[TcpState::Established]),
    ("SYN_SENT", &[TcpState::SynSent]),
    ("CLOSE_WAIT", &[TcpState::CloseWait]),
    ("TIME_WAIT", &[TcpState::TimeWait]),
    ("LISTEN", &[TcpState::Listen]),
    ("SYN_RECV", &[TcpState::SynRecv, TcpState::NewSynRecv]),
    ("FIN_WAIT", &[TcpState::FinWait1, TcpState::FinWait2]),
    ("LAST_ACK", &[TcpState::LastAck, TcpState::Closing]),
];

fn states(world: &World, brush: &mut Brush<'_>) {
    let counts = world.tables.connections().states();
    let count = |states: &[TcpState]| -> u64 {
        states.iter().map(|state| u64::from(counts[*state as usize - 1])).sum()
    };
    let most = STATES.iter().map(|(_, states)| count(states)).max().unwrap_or(0);
    let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let cell = brush.area().width / 4;
    for (place, (name, states)) in STATES.into_iter().enumerate() {
        let (x, y) = ((place as u16 % 4) * cell, 1 + place as u16 / 4);
        let count = count(states);
        // Few of these are normal; many are a sign.
        let odd = matches!(name, "SYN_SENT" | "CLOSE_WAIT" | "SYN_RECV")
            && count >= 10
            && count * 10 >= total;
        let ink = match (odd, count) {
            (true, _) => Ink::Warn,
            (false, 0) => Ink::Aside,
            _ => Ink::Plain,
        };
        let mark = if odd { "!" } else { " " };
        let text = format!("{mark}{name:<11}{:>5} ", brush::short(count));
        let used = brush.put(x, y, cell, &text, ink);
        brush.bar(used, y, (x + cell).saturating_sub(used), count, most, ink);
    }
}

fn finding(world: &World, brush: &mut Brush<'_>) {
    let width = brush.area().width;
    let latest = world.findings.iter().rev().find(|told| told.finding.lint.is_fault());
    if let Some(told) = latest {
        let line = format!("! {}", brush.finding(told));
        brush.put(0, 3, width, &line, Ink::Warn);
        return;
    }
    if let Some(gap) = world.gaps.back() {
        let line = format!("! gap: {}", brush.safe(gap.what.as_bytes()));
        brush.put(0, 3, width, &line, Ink::Warn);
    }
}

fn tabs(model: &Model, world: &World, brush: &mut Brush<'_>, hits: &mut Hits) {
    let width = brush.area().width;
    if model.typing || !model.filter.is_empty() {
        let end = if model.typing { "_" } else { "" };
        let filter = format!("filter: {}{end}", brush.safe(model.filter.as_bytes()));
        let ink = if model.typing { Ink::Chosen } else { Ink::Warn };
        let taken = brush.put(0, 4, width / 2, &format!("{} ", model.pane.title()), Ink::Title);
        brush.put(taken, 4, width - taken, &filter, ink);
        return;
    }
    // Where room is short, the numbers stay and names are cut.
    let names: u16 = Pane::ALL.iter().map(|pane| pane.title().len() as u16 + 3).sum();
    let most = if names <= width { usize::MAX } else { usize::from(width / 7).saturating_sub(3) };
    let mut x = 0;
    for (place, pane) in Pane::ALL.into_iter().enumerate() {
        let title: String = pane.title().chars().take(most).collect();
        let chosen = pane == model.pane;
        let ink = match (chosen, pane) {
            (true, _) => Ink::Chosen,
            (false, Pane::Findings) if world.found > 0 => Ink::Warn,
            _ => Ink::Aside,
        };
        let end = brush.put(x, 4, width - x, &format!("{} {title} ", place + 1), ink);
        hits.tabs.push((Rect { x, y: 4, width: end - x, height: 1 }, pane));
        x = end;
    }
}

fn foot(model: &Model, world: &World, brush: &mut Brush<'_>) {
    let area = brush.area();
    let (width, y) = (area.width, area.height - 2);
    let own = model.own;
    let gaps = world.tables.counts().gaps;
    let evicted = world.tables.connections().evicted();
    let mut text = format!(
        "{gaps} gaps  {} lost  own: {:.1}% CPU, {} MB",
        brush::grouped(world.missing),
        own.cpu,
        own.memory >> 20,
    );
    if let Some(kernel) = own.kernel {
        text.push_str(&format!(", {kernel} ns a call in the kernel"));
    }
    if evicted > 0 {
        text.push_str(&format!("  {evicted} found no room"));
    }
    let ink = if world.missing + evicted > 0 { Ink::Warn } else { Ink::Aside };
    let at = brush.put(0, y, width, &text, ink);
    if let Some(recording) = &model.recording {
        let recording = brush.safe(recording.as_bytes());
        let text = format!("  writing {recording} (w ends)");
        brush.put(at, y, width - at, &text, Ink::Title);
    }
    /// How long a word stays.
    const STAYS: u64 = 6_000_000_000;
    match &model.said {
        Some((at, text)) if model.world.now.saturating_sub(*at) < STAYS => {
            let text = brush.safe(text.as_bytes());
            brush.put(0, y + 1, width, &text, Ink::Title);
        }
        _ => {
            let keys = match (model.typing, model.open.is_some()) {
                (true, _) => "type what must be there; Enter keeps it, Esc drops it",
                (_, true) => "Esc back  j k scroll  Space pause  ? help  q quit",
                _ => {
                    "q quit  / filter  Enter open  Tab next  > sort  Space pause  w record  ? help"
                }
            };
            brush.put(0, y + 1, width, keys, Ink::Aside);
        }
    }
}
