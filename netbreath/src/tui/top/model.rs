//! What the screen shows, and what was asked of it. Messages and events change it;
//! nothing here draws, and no clock or operating system is called.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::event::network::Link;
use crate::event::{Body, Event, Gap, SocketId};
use crate::lint::{Finding, Lints, Name, Thresholds};
use crate::table::Tables;
use crate::table::connection::Limits;

use super::draw::Hits;
use super::input::Message;

/// A table on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    #[default]
    Connections,
    Processes,
    Hosts,
    Listeners,
    Interfaces,
    Events,
    Findings,
}

impl Pane {
    pub const ALL: [Pane; 7] = [
        Pane::Connections,
        Pane::Processes,
        Pane::Hosts,
        Pane::Listeners,
        Pane::Interfaces,
        Pane::Events,
        Pane::Findings,
    ];

    pub const fn title(self) -> &'static str {
        match self {
            Pane::Connections => "connections",
            Pane::Processes => "processes",
            Pane::Hosts => "hosts",
            Pane::Listeners => "listeners",
            Pane::Interfaces => "interfaces",
            Pane::Events => "events",
            Pane::Findings => "findings",
        }
    }

    fn turned(self, by: i32) -> Pane {
        let len = Pane::ALL.len() as i32;
        let at = Pane::ALL.iter().position(|pane| *pane == self).unwrap_or(0) as i32;
        Pane::ALL[(at + by).rem_euclid(len) as usize]
    }
}

/// What connections are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// How long they have been in their state; the latest first.
    #[default]
    Age,
    Process,
    Local,
    Remote,
    State,
    Rate,
    Rtt,
    Retransmits,
}

impl SortKey {
    pub const ALL: [SortKey; 8] = [
        SortKey::Process,
        SortKey::Local,
        SortKey::Remote,
        SortKey::State,
        SortKey::Age,
        SortKey::Rate,
        SortKey::Rtt,
        SortKey::Retransmits,
    ];
}

/// What a row is, so that the cursor stays on it when rows move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Socket(SocketId),
    Process(u32),
    Host(IpAddr),
    Link(u32),
    /// An event or a finding, by its number.
    Number(u64),
}

/// Where the cursor is in a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Of the row, where `on` does not say.
    pub index: usize,
    /// The row that it is on; nothing if it stays at its place.
    pub on: Option<Target>,
    /// The first row that is shown.
    pub offset: usize,
}

/// What the kernel said of a connection when it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    pub at: u64,
    /// Smoothed round-trip time, in nanoseconds; 0 if never measured.
    pub rtt: u64,
    /// Bytes that the peer has acknowledged, and that came.
    pub sent: u64,
    pub received: u64,
    /// Congestion window, in segments.
    pub cwnd: u32,
    /// Of a listener: connections that wait, and how many may.
    pub queue: Option<(u32, u32)>,
}

/// Samples of one connection.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub VecDeque<Sample>);

impl Samples {
    const MOST: usize = 60;

    pub fn last(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// Bytes a second: sent, and received; unknown before the second sample.
    pub fn rates(&self) -> Option<(f64, f64)> {
        let last = self.0.back()?;
        let before = self.0.get(self.0.len().checked_sub(2)?)?;
        let time = last.at.checked_sub(before.at).filter(|time| *time > 0)? as f64 / 1e9;
        let rate = |now: u64, was: u64| now.saturating_sub(was) as f64 / time;
        Some((rate(last.sent, before.sent), rate(last.received, before.received)))
    }

    fn push(&mut self, sample: Sample) {
        if self.0.len() >= Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }
}

/// What we take ourselves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// Of one CPU, in per cent.
    pub cpu: f32,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Events a second.
    pub events: f32,
    /// Nanoseconds in the kernel for each call of a program, where that is measured.
    pub kernel: Option<u64>,
}

/// How the screen is to look.
#[derive(Clone, Debug)]
pub struct Look {
    pub colour: bool,
    /// Characters beyond ASCII can be shown.
    pub unicode: bool,
    pub timezone: jiff::tz::TimeZone,
}

/// Events that can be scrolled back to.
const TICKER: usize = 10_000;
const FINDINGS: usize = 500;
const GAPS: usize = 100;
/// Connections with samples.
const SAMPLED: usize = 512;

/// What is true now, as far as the screen can show it.
#[derive(Clone)]
pub struct World {
    pub tables: Tables,
    /// Wall-clock time of boot, in nanoseconds since the epoch.
    pub boot: i64,
    /// Nanoseconds since boot.
    pub now: u64,
    /// The latest events, and the number of the first.
    pub ticker: VecDeque<Event>,
    pub ticked: u64,
    pub findings: VecDeque<Told>,
    pub found: u64,
    pub gaps: VecDeque<Gap>,
    /// Events that gaps say are missing.
    pub missing: u64,
    pub samples: HashMap<SocketId, Samples>,
    /// Interfaces with their counters, where somebody asked: now, and the time before.
    pub links: Vec<Counted>,
}

/// Interfaces with their counters at a time.
#[derive(Clone, Debug)]
pub struct Counted {
    pub at: u64,
    pub links: Vec<Link>,
}

/// A finding, and how often the same was found of the same process.
#[derive(Clone, Debug)]
pub struct Told {
    pub number: u64,
    pub finding: Finding,
    pub times: u64,
}

/// See the module.
pub struct Model {
    pub world: World,
    /// While it is paused: the world as it was.
    frozen: Option<Box<World>>,
    lints: Lints,
    pub look: Look,
    pub own: Own,
    pub pane: Pane,
    pub cursors: HashMap<Pane, Cursor>,
    pub sort: SortKey,
    pub reverse: bool,
    pub filter: String,
    pub typing: bool,
    /// The connection whose life is shown, and how far it is scrolled.
    pub open: Option<SocketId>,
    pub open_offset: usize,
    pub ended: bool,
    pub help: bool,
    /// What was said last, and when.
    pub said: Option<(u64, String)>,
    /// The recording that is being written.
    pub recording: Option<String>,
    /// A recording is played: so many times as fast; its end was reached.
    pub playing: Option<Playing>,
}

/// How a recording is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Playing {
    pub file: String,
    pub speed: f64,
    pub over: bool,
}

/// What the loop has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    None,
    Quit,
    Suspend,
    Redraw,
    /// Begins or ends a recording.
    Record,
}

/// How much is remembered.
pub const fn limits(max_sockets: usize) -> Limits {
    Limits { open: max_sockets, ended: 2000, steps: 64 }
}

impl Model {
    pub fn new(look: Look, thresholds: Thresholds, max_sockets: usize) -> Model {
        Model {
            world: World {
                tables: Tables::remembering(max_sockets, limits(max_sockets)),
                boot: 0,
                now: 0,
                ticker: VecDeque::new(),
                ticked: 0,
                findings: VecDeque::new(),
                found: 0,
                gaps: VecDeque::new(),
                missing: 0,
                samples: HashMap::new(),
                links: Vec::new(),
            },
            frozen: None,
            lints: Lints::new(thresholds),
            look,
            own: Own::default(),
            pane: Pane::default(),
            cursors: HashMap::new(),
            sort: SortKey::default(),
            reverse: false,
            filter: String::new(),
            typing: false,
            open: None,
            open_offset: 0,
            ended: false,
            help: false,
            said: None,
            recording: None,
            playing: None,
        }
    }

    /// The world to show: as it is, or as it was when it was paused.
    pub fn shown(&self) -> &World {
        self.frozen.as_deref().unwrap_or(&self.world)
    }

    pub const fn paused(&self) -> bool {
        self.frozen.is_some()
    }

    pub fn cursor(&self) -> Cursor {
        self.cursors.get(&self.pane).copied().unwrap_or_default()
    }

    /// Takes in an event.
    pub fn event(&mut self, event: Event) {
        let mut findings = Vec::new();
        self.lints.event(&event, &mut findings);
        let world = &mut self.world;
        world.now = world.now.max(event.at);
        world.tables.apply(&event);
        match &event.body {
            Body::Clock { boot } => world.boot = *boot,
            Body::Gap(gap) => {
                world.missing = world.missing.saturating_add(gap.count);
                if world.gaps.len() >= GAPS {
                    world.gaps.pop_front();
                }
                world.gaps.push_back(gap.clone());
            }
            Body::State(state) if state.new == netbreath_common::tcp::TcpState::Close => {
                world.samples.remove(&state.socket.id);
            }
            _ => {}
        }
        let present = event.body.change() == Some(crate::event::network::Change::Present);
        if !present && !matches!(event.body, Body::Clock { .. } | Body::Seed(_)) {
            if world.ticker.len() >= TICKER {
                world.ticker.pop_front();
            }
            world.ticker.push_back(event);
            world.ticked += 1;
        }
        self.found(findings);
    }

    /// It is `now`, in nanoseconds since boot.
    pub fn advance(&mut self, now: u64) {
        if now > self.world.now {
            self.world.now = now;
            let mut findings = Vec::new();
            self.lints.advance(now, &mut findings);
            self.found(findings);
        }
    }

    fn found(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let world = &mut self.world;
            let pid = |finding: &Finding| finding.owner.as_ref().map(|owner| owner.pid);
            world.found += 1;
            // What repeats itself is one line, with the latest evidence.
            let same = |told: &Told| {
                finding.lint != Name::WildcardListener
                    && told.finding.lint == finding.lint
                    && pid(&told.finding) == pid(&finding)
            };
            let times = match world.findings.iter().position(same) {
                Some(place) => world.findings.remove(place).map_or(0, |told| told.times),
                None => 0,
            };
            if world.findings.len() >= FINDINGS {
                world.findings.pop_front();
            }
            world.findings.push_back(Told { number: world.found, finding, times: times + 1 });
        }
    }

    pub fn sampled(&mut self, id: SocketId, sample: Sample) {
        let samples = &mut self.world.samples;
        if samples.len() >= SAMPLED && !samples.contains_key(&id) {
            samples.clear();
        }
        samples.entry(id).or_default().push(sample);
    }

    /// Interfaces with their counters.
    pub fn linked(&mut self, at: u64, links: Vec<Link>) {
        self.world.links.insert(0, Counted { at, links });
        self.world.links.truncate(2);
    }

    pub fn say(&mut self, text: String) {
        self.said = Some((self.world.now, text));
    }

    /// What the last drawing has found out: where the rows are.
    pub fn settle(&mut self, hits: &Hits) {
        if self.open.is_some() {
            self.open_offset = hits.offset;
            return;
        }
        let cursor = self.cursors.entry(self.pane).or_default();
        cursor.index = hits.index;
        cursor.offset = hits.offset;
    }

    /// Does what a person wants, given where things are on the screen.
    pub fn update(&mut self, message: Message, hits: &Hits) -> Action {
        match message {
            Message::Quit => {
                if !self.typing && !self.help {
                    return Action::Quit;
                }
                self.back();
            }
            Message::Suspend => return Action::Suspend,
            Message::Redraw => return Action::Redraw,
            Message::Record => return Action::Record,
            Message::Back => self.back(),
            Message::Help => self.help = !self.help,
            _ if self.help => self.help = false,
            Message::Move(by) | Message::Scroll(by) => self.go(by, hits),
            Message::Page(halves) => {
                let half = i32::try_from(hits.height / 2).unwrap_or(1).max(1);
                self.go(halves * half, hits);
            }
            Message::First => self.jump(0, hits),
            Message::Last => self.jump(usize::MAX, hits),
            Message::Open => self.enter(hits),
            Message::Pane(pane) => self.turn(pane),
            Message::Turn(by) => self.turn(self.pane.turned(by)),
            Message::Sort(key) => self.sort_by(key),
            Message::SortBy(by) => {
                let len = SortKey::ALL.len() as i32;
                let at = SortKey::ALL.iter().position(|key| *key == self.sort).unwrap_or(0) as i32;
                self.sort = SortKey::ALL[(at + by).rem_euclid(len) as usize];
                self.reverse = false;
            }
            Message::Reverse => self.reverse = !self.reverse,
            Message::Filter => {
                self.typing = true;
                self.open = None;
            }
            Message::Typed(c) => {
                if !c.is_control() && self.filter.len() < 200 {
                    self.filter.push(c);
                    self.cursors.remove(&self.pane);
                }
            }
            Message::Erase => {
                self.filter.pop();
            }
            Message::EraseAll => self.filter.clear(),
            Message::Done => self.typing = false,
            Message::Pause => match self.frozen.take() {
                Some(_) => {}
                None => self.frozen = Some(Box::new(self.world.clone())),
            },
            Message::Ended => self.ended = !self.ended,
            Message::Faster(by) => {
                if let Some(playing) = &mut self.playing {
                    let speed = playing.speed * if by > 0 { 2.0 } else { 0.5 };
                    playing.speed = speed.clamp(1.0 / 64.0, 1024.0);
                }
            }
            Message::Click { column, row } => self.click(column, row, hits),
        }
        Action::None
    }

    fn back(&mut self) {
        if self.help {
            self.help = false;
        } else if self.typing {
            self.typing = false;
            self.filter.clear();
        } else if self.open.is_some() {
            self.open = None;
        } else if !self.filter.is_empty() {
            self.filter.clear();
        } else {
            self.frozen = None;
        }
    }

    fn turn(&mut self, pane: Pane) {
        self.pane = pane;
        self.open = None;
    }

    fn sort_by(&mut self, key: SortKey) {
        self.reverse = self.sort == key && !self.reverse;
        self.sort = key;
    }

    fn go(&mut self, by: i32, hits: &Hits) {
        let at = if self.open.is_some() { hits.offset } else { hits.index };
        self.jump(at.saturating_add_signed(by as isize), hits);
    }

    /// To the row with this index, or the last.
    fn jump(&mut self, index: usize, hits: &Hits) {
        if self.open.is_some() {
            self.open_offset = index.min(hits.total.saturating_sub(hits.height));
            return;
        }
        let index = index.min(hits.total.saturating_sub(1));
        let cursor = self.cursors.entry(self.pane).or_default();
        cursor.index = index;
        // At the top it stays, whatever comes in; elsewhere it goes with its row, where
        // that is known already.
        let row = index.checked_sub(hits.offset).and_then(|row| hits.targets.get(row));
        cursor.on = row.copied().filter(|_| index > 0);
    }

    fn enter(&mut self, hits: &Hits) {
        if self.open.is_some() {
            return;
        }
        let row = hits.index.checked_sub(hits.offset).and_then(|row| hits.targets.get(row));
        match row.copied() {
            Some(Target::Socket(id)) => self.open(id),
            Some(Target::Process(pid)) => self.only(format!("[{pid}]")),
            Some(Target::Host(addr)) => self.only(match addr {
                IpAddr::V4(addr) => format!("{addr}:"),
                IpAddr::V6(addr) => format!("[{addr}]:"),
            }),
            Some(Target::Number(number)) => {
                let world = self.shown();
                let socket = match self.pane {
                    Pane::Findings => world
                        .findings
                        .iter()
                        .find(|told| told.number == number)
                        .and_then(|told| told.finding.socket),
                    _ => {
                        let first = world.ticked - world.ticker.len() as u64;
                        let place = number.checked_sub(first).and_then(|n| n.try_into().ok());
                        place
                            .and_then(|place: usize| world.ticker.get(place))
                            .and_then(|event| event.body.socket())
                            .map(|socket| socket.id)
                    }
                };
                match socket {
                    Some(id) if world.tables.connections().get(id).is_some() => self.open(id),
                    _ => self.say("nothing more is known of its connection".to_owned()),
                }
            }
            Some(Target::Link(_)) | None => {}
        }
    }

    fn open(&mut self, id: SocketId) {
        self.open = Some(id);
        self.open_offset = 0;
    }

    /// The connections that match.
    fn only(&mut self, filter: String) {
        self.filter = filter;
        self.pane = Pane::Connections;
        self.cursors.remove(&Pane::Connections);
    }

    fn click(&mut self, column: u16, row: u16, hits: &Hits) {
        let inside = |area: &ratatui::layout::Rect| area.contains((column, row).into());
        if let Some((_, pane)) = hits.tabs.iter().find(|(area, _)| inside(area)) {
            return self.turn(*pane);
        }
        if let Some((_, key)) = hits.titles.iter().find(|(area, _)| inside(area)) {
            return self.sort_by(*key);
        }
        if self.open.is_some() || !inside(&hits.rows) {
            return;
        }
        let index = hits.offset + usize::from(row - hits.rows.y);
        if index >= hits.total {
            return;
        }
        // A second click opens what the first has chosen.
        if index == hits.index {
            self.enter(hits);
        } else {
            self.jump(index, hits);
        }
    }
}
