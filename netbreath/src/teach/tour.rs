//! `netbreath tour`: the tutorial, performed live on this machine, or from the recording that
//! ships with the program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;
use netbreath_common::tcp::TcpState;

use super::actor::{self, Actor};
use super::story::{self, Part};
use super::{screen, watch};
use crate::cli::Timestamps;
use crate::event::segment::{Moment, Segment, tcpdump_line};
use crate::event::{Body, Event, State};
use crate::filter::Filter;
use crate::format::Format;
use crate::format::text::{Style, Text};
use crate::lesson::line::Explained;
use crate::lesson::page::{pad, paragraph};
use crate::lesson::{self, Language};
use crate::view::ladder::{Ladder, ladders};
use crate::view::trace::column_named;

mod text;
use text::{STEPS, Step, Word};

/// The recording that ships with the program.
pub const RECORDING: &str = include_str!("../../recording/tour.jsonl");

/// The port of the tutorial.
pub const PORT: u16 = 8080;

/// What must come comes in this time.
const LIMIT: Duration = Duration::from_secs(10);
/// TIME_WAIT is 60 seconds; the kernel's timers are coarse, and one more look is taken after.
const TIME_WAIT_LIMIT: Duration = Duration::from_secs(80);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Actor(#[from] actor::Error),
    #[error(transparent)]
    Watch(#[from] watch::Error),
    #[error(transparent)]
    Screen(#[from] screen::Error),
    #[error(transparent)]
    Recording(#[from] story::Error),
    #[error("cannot write the recording of the tour: {source}")]
    Record { source: serde_json::Error },
    #[error("the tour's recording has no step {step}")]
    NoStep { step: &'static str },
    #[error("{what} was expected, and was not seen")]
    Missing { what: &'static str },
    #[error("cannot write to standard output: {source}")]
    Write { source: io::Error },
}

impl Error {
    /// The reader of our output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Write { source } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    pub fn is_privilege(&self) -> bool {
        matches!(self, Error::Watch(error) if error.is_privilege())
    }
}

/// Where the tour takes place.
pub enum Place {
    Live(Box<Live>),
    /// What is left of the recording, and what privilege is missing.
    Recorded(std::vec::IntoIter<Part>),
}

/// The machine.
pub struct Live {
    watch: watch::Watch,
    server: Actor,
    client: Option<Actor>,
    /// The port that was asked for, if another had to be taken.
    instead: Option<u16>,
    at: SocketAddr,
    from: Option<SocketAddr>,
    parts: Vec<Part>,
}

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub language: Language,
    pub width: usize,
    /// Enter goes on; else it runs through.
    pub stops: bool,
    /// Characters beyond ASCII can be shown.
    pub unicode: bool,
    /// The end of TIME_WAIT is waited for.
    pub waits: bool,
}

impl Place {
    /// This machine, with a server at this port, or another if it is taken.
    pub fn live(port: u16) -> Result<Place, Error> {
        let mut server = Actor::start("tour-server")?;
        server.order("open listener")?;
        server.order("reuse listener")?;
        let mut instead = None;
        let at = format!("127.0.0.1:{port}");
        if server.ask(&format!("bind listener {at}"))?.is_err() {
            instead = Some(port);
            server.order("bind listener 127.0.0.1:0")?;
        }
        let at: SocketAddr = server
            .order("local listener")?
            .parse()
            .map_err(|_| Error::Missing { what: "the server's address" })?;
        let filter =
            Filter { port: vec![at.port()..=at.port()], netns: own_netns(), ..Filter::default() };
        let watch = watch::Watch::open(filter, &format!("tcp port {}", at.port()))?;
        // The clock: what came before the tour is only what it is reckoned by.
        let parts = watch.moments().iter().cloned().map(Part::Moment).collect();
        Ok(Place::Live(Box::new(Live {
            watch,
            server,
            client: None,
            instead,
            at,
            from: None,
            parts,
        })))
    }

    /// The recording that ships with the program.
    pub fn recorded() -> Result<Place, Error> {
        Ok(Place::Recorded(story::read(RECORDING)?.into_iter()))
    }

    /// What was seen and shown live, as a recording.
    pub fn recording(&self) -> Result<Vec<u8>, Error> {
        let Place::Live(live) = self else { return Ok(RECORDING.as_bytes().to_vec()) };
        let mut out = Vec::new();
        story::write(&live.parts, &mut out).map_err(|source| Error::Record { source })?;
        Ok(out)
    }

    /// Does what a step is about; what was seen meanwhile.
    fn act(&mut self, step: &'static str) -> Result<Vec<Moment>, Error> {
        match self {
            Place::Live(live) => {
                live.act(step)?;
                let news = live.watch.news();
                live.parts.push(Part::Step(step.to_owned()));
                live.parts.extend(news.iter().cloned().map(Part::Moment));
                Ok(news)
            }
            Place::Recorded(parts) => {
                let is = |part: &Part| matches!(part, Part::Step(name) if name == step);
                if !parts.any(|part| is(&part)) {
                    return Err(Error::NoStep { step });
                }
                let mut moments = Vec::new();
                while let Some(Part::Moment(moment)) = parts.as_slice().first() {
                    moments.push(moment.clone());
                    parts.next();
                }
                Ok(moments)
            }
        }
    }

    /// What `netbreath COMMAND` shows of the tour's own sockets.
    fn show(&mut self, command: &str, words: &[String]) -> Result<String, Error> {
        match self {
            Place::Live(live) => {
                let text = screen::show(command)?;
                let text = if words.is_empty() { text } else { screen::lines_with(&text, words) };
                live.parts.push(Part::Screen { name: command.to_owned(), text: text.clone() });
                Ok(text)
            }
            Place::Recorded(parts) => match parts.next() {
                Some(Part::Screen { text, .. }) => Ok(text),
                _ => Err(Error::Missing { what: "what a command has shown" }),
            },
        }
    }
}

fn own_netns() -> Vec<u32> {
    use crate::host::{Host, System};
    System.netns(std::path::Path::new("/proc/self/ns/net")).into_iter().collect()
}

/// A transition of the socket at this end.
fn went(moment: &Moment, local: SocketAddr, new: TcpState) -> bool {
    matches!(moment, Moment::Event(Event { body: Body::State(state), .. })
        if state.new == new && state.socket.flow.local.port == local.port()
            && state.socket.flow.remote.port != 0)
}

impl Live {
    fn act(&mut self, step: &str) -> Result<(), Error> {
        let at = self.at;
        match step {
            "listen" => {
                self.server.order("listen listener 5")?;
                self.server.order("serve listener")?;
                self.watch.until("LISTEN", LIMIT, |moments| moments.iter().any(is_listen))?;
            }
            "get" => {
                let client = self.client.insert(Actor::start("tour-client")?);
                client.order("open c")?;
                let from = client.order(&format!("connect c {at}"))?;
                let from: SocketAddr =
                    from.parse().map_err(|_| Error::Missing { what: "the client's address" })?;
                self.from = Some(from);
                client.order(&format!("get c {at}"))?;
                client.order("read c")?;
                self.watch.until("the answer", LIMIT, |moments| {
                    let accepted = |moment: &Moment| {
                        matches!(moment, Moment::Event(Event { body: Body::Accept(accept), .. })
                            if accept.socket.flow.remote.port == from.port())
                    };
                    let answer = moments.iter().find_map(|moment| match moment {
                        Moment::Segment(one) if one.from == at && one.to == from && one.len > 0 => {
                            Some(one.seq.wrapping_add(one.len))
                        }
                        _ => None,
                    });
                    let confirmed = |moment: &Moment| {
                        matches!(moment, Moment::Segment(one)
                            if one.from == from && Some(one.ack) == answer)
                    };
                    moments.iter().any(accepted)
                        && answer.is_some()
                        && moments.iter().any(confirmed)
                })?;
            }
            "close" => {
                let (Some(client), Some(from)) = (&mut self.client, self.from) else {
                    return Err(Error::Missing { what: "the client" });
                };
                client.order("close c")?;
                self.watch.until("the end of the connection", LIMIT, |moments| {
                    let fin = |from| {
                        moments.iter().any(
                            |moment| matches!(moment, Moment::Segment(one) if one.from == from && one.has('F')),
                        )
                    };
                    let last = moments.iter().any(|moment| went(moment, from, TcpState::TimeWait));
                    last && fin(from)
                        && fin(at)
                        && moments.iter().any(|moment| went(moment, at, TcpState::Close))
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits for the end of TIME_WAIT; whether it came. `tick` is called every second with
    /// how many are over, and says whether to go on.
    fn wait(&mut self, tick: &mut dyn FnMut(u64) -> io::Result<bool>) -> Result<bool, Error> {
        let Some(from) = self.from else { return Ok(false) };
        let second = Duration::from_secs(1);
        for over in 0..TIME_WAIT_LIMIT.as_secs() {
            if !tick(over).map_err(|source| Error::Write { source })? {
                return Ok(false);
            }
            let mut ended = |moments: &[Moment]| {
                moments.iter().any(|moment| {
                    matches!(moment, Moment::Event(Event { body: Body::State(state), .. })
                        if state.old == TcpState::TimeWait
                            && state.socket.flow.local.port == from.port())
                })
            };
            if self.watch.watch(second, &mut ended)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_listen(moment: &Moment) -> bool {
    matches!(moment, Moment::Event(Event { body: Body::State(state), .. })
        if state.new == TcpState::Listen)
}

/// The tour as it goes.
struct Tour<'a, W> {
    place: &'a mut Place,
    manner: Manner,
    out: W,
    moments: Vec<Moment>,
}

/// Gives the tour. `pause` waits until the reader wants to go on, and says whether at all.
pub fn give(
    place: &mut Place,
    manner: Manner,
    out: impl Write,
    mut pause: impl FnMut() -> bool,
) -> Result<(), Error> {
    let mut tour = Tour { place, manner, out, moments: Vec::new() };
    tour.introduce()?;
    for (number, step) in STEPS.iter().enumerate() {
        if manner.stops {
            tour.put(&format!("\n{} ", Word::Enter.of(manner.language)))?;
            if !pause() {
                return Ok(());
            }
        }
        tour.step(number, step)?;
    }
    tour.end()
}

impl<W: Write> Tour<'_, W> {
    fn put(&mut self, text: &str) -> Result<(), Error> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|source| Error::Write { source })
    }

    fn paragraph(&mut self, text: &str, indent: &str) -> Result<(), Error> {
        let mut lines = String::new();
        paragraph(text, self.manner.width, indent, indent, &mut lines);
        self.put(&lines)
    }

    fn introduce(&mut self) -> Result<(), Error> {
        let language = self.manner.language;
        self.paragraph(Word::Title.of(language), "")?;
        self.put("\n")?;
        let text = match &*self.place {
            Place::Recorded(_) => Word::Recorded.of(language).to_owned(),
            Place::Live(live) => {
                let mut text = Word::Live.of(language).to_owned();
                if let Some(port) = live.instead {
                    text.push_str(&Word::Taken.with(
                        language,
                        &[("{taken}", &port.to_string()), ("{port}", &live.at.port().to_string())],
                    ));
                }
                text
            }
        };
        self.paragraph(&text, "")
    }

    fn step(&mut self, number: usize, step: &Step) -> Result<(), Error> {
        let Manner { language, width, .. } = self.manner;
        let title = format!("{}/{}  {} ", number + 1, STEPS.len(), step.title.of(language));
        let mut rule = String::from("\n== ");
        rule.push_str(&title);
        let used = unicode_width::UnicodeWidthStr::width(title.as_str()) + 3;
        rule.extend(std::iter::repeat_n('=', width.saturating_sub(used)));
        rule.push_str("\n\n");
        self.put(&rule)?;
        let news = self.place.act(step.name)?;
        self.moments.extend(news.iter().cloned());
        let facts = self.facts()?;
        self.paragraph(&facts.put_in(step.text.of(language)), "")?;
        self.put("\n")?;
        for (label, command) in [
            (Word::Classic, step.classic),
            (Word::Modern, step.modern),
            (Word::Netbreath, step.netbreath),
        ] {
            if !command.is_empty() {
                let mut line = String::new();
                pad(&format!("  {}", label.of(language)), 16, &mut line);
                line.push_str(&facts.put_in(command));
                self.put(&format!("{line}\n"))?;
            }
        }
        for (command, whose) in step.screens {
            let words = facts.words(whose);
            let text = self.place.show(&facts.put_in(command), &words)?;
            self.put(&format!("\n  $ netbreath {}\n", facts.put_in(command)))?;
            for line in text.lines() {
                self.put(&format!("  {line}\n"))?;
            }
        }
        match step.name {
            "listen" => self.events(&news)?,
            "get" => self.packets(&news)?,
            "close" => self.ladder(&news)?,
            "wait" => self.wait()?,
            _ => {}
        }
        self.columns(step.columns)
    }

    /// What each column says.
    fn columns(&mut self, columns: &[&str]) -> Result<(), Error> {
        let Manner { language, width, .. } = self.manner;
        if columns.is_empty() {
            return Ok(());
        }
        let widest = columns.iter().map(|column| column.len()).max().unwrap_or(0);
        let mut text = String::from("\n");
        for column in columns {
            let Some(lesson) = lesson::find(column, language)
                .into_iter()
                .find(|lesson| lesson.kind == Some(lesson::Kind::Column))
            else {
                continue;
            };
            let mut first = String::new();
            pad(&format!("  {column}"), widest + 4, &mut first);
            paragraph(lesson.what, width, &first, &" ".repeat(widest + 4), &mut text);
        }
        self.put(&text)
    }

    /// Events as lines of trace, each explained.
    fn events(&mut self, news: &[Moment]) -> Result<(), Error> {
        let Manner { language, width, .. } = self.manner;
        let columns: Vec<_> = ["process", "local", "remote", "transition"]
            .iter()
            .filter_map(|key| column_named(key))
            .collect();
        let style = Style {
            colour: false,
            unicode: self.manner.unicode,
            timestamps: Timestamps::default(),
            timezone: TimeZone::UTC,
        };
        let mut lines = Text::new(&columns, &[], Some(width.saturating_sub(2)), style, None);
        let mut out = Vec::new();
        lines.begin(&mut out);
        for moment in news {
            if let Moment::Event(event) = moment
                && event.body.socket().is_some()
            {
                lines.row(event, &mut out);
                Explained::new(language, Some(width.saturating_sub(2))).event(event, &mut out);
            }
        }
        self.put("\n")?;
        for line in String::from_utf8_lossy(&out).lines() {
            self.put(format!("  {line}").trim_end())?;
            self.put("\n")?;
        }
        Ok(())
    }

    /// Segments as tcpdump writes them, then the ladder.
    fn packets(&mut self, news: &[Moment]) -> Result<(), Error> {
        let Manner { language, width, .. } = self.manner;
        let segments: Vec<&Segment> = news
            .iter()
            .filter_map(|moment| match moment {
                Moment::Segment(segment) => Some(segment),
                Moment::Event(_) => None,
            })
            .collect();
        let mut first = std::collections::HashMap::new();
        let mut text = String::from("\n");
        for segment in segments {
            if segment.has('S') {
                first.insert(segment.from, segment.seq);
            }
            let of = |end: &SocketAddr| first.get(end).copied().unwrap_or(0);
            let mut line = String::new();
            tcpdump_line(segment, (of(&segment.from), of(&segment.to)), &mut line);
            paragraph(&line, width, "  ", "      ", &mut text);
            let mut explained = Vec::new();
            Explained::new(language, Some(width)).flags(&segment.flags, &mut explained);
            for line in String::from_utf8_lossy(&explained).lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
        self.put(&text)?;
        self.ladder(news)
    }

    /// The ladder of what is new.
    fn ladder(&mut self, news: &[Moment]) -> Result<(), Error> {
        let Manner { language, width, .. } = self.manner;
        let since = news.iter().map(Moment::at).min().unwrap_or(0);
        let mut text = String::from("\n");
        let all: Vec<Ladder> = ladders(&self.moments);
        for ladder in &all {
            let begin = ladder.rungs.partition_point(|rung| rung.at < since);
            ladder.part(width, begin..ladder.rungs.len(), &mut text);
        }
        text.push('\n');
        paragraph(Word::Ladder.of(language), width, "  ", "  ", &mut text);
        self.put(&text)
    }

    fn wait(&mut self) -> Result<(), Error> {
        let Manner { language, waits, .. } = self.manner;
        let over = match self.place {
            Place::Live(live) if waits => {
                let out = &mut self.out;
                let over = live.wait(&mut |over| {
                    if over % 10 == 0 {
                        let left = 60_u64.saturating_sub(over).to_string();
                        writeln!(out, "  {}", Word::Left.with(language, &[("{left}", &left)]))?;
                        out.flush()?;
                    }
                    Ok(true)
                })?;
                live.parts.extend(live.watch.news().into_iter().map(Part::Moment));
                Some(over)
            }
            _ => None,
        };
        let text = match over {
            Some(true) => Word::Over,
            Some(false) => Word::NotOver,
            None => Word::Skipped,
        };
        self.paragraph(text.of(language), "  ")
    }

    fn end(&mut self) -> Result<(), Error> {
        let language = self.manner.language;
        self.put("\n")?;
        self.paragraph(Word::End.of(language), "")?;
        for command in [
            "netbreath explain TIME_WAIT",
            "sudo netbreath trace --explain -- curl -s http://example.com",
            "sudo netbreath lab",
        ] {
            self.put(&format!("  {command}\n"))?;
        }
        Ok(())
    }

    /// What is known so far, from the events alone.
    fn facts(&self) -> Result<Facts, Error> {
        let states = self.moments.iter().filter_map(|moment| match moment {
            Moment::Event(Event { body: Body::State(state), .. }) => Some(state),
            _ => None,
        });
        let mut facts = Facts::default();
        for State { socket, new, .. } in states {
            let pid = socket.owner.as_ref().map(|owner| owner.pid);
            match new {
                TcpState::Listen => {
                    facts.port = socket.flow.local.port;
                    facts.server = pid;
                }
                TcpState::SynSent => {
                    facts.client_port = Some(socket.flow.local.port);
                    facts.client = pid;
                }
                _ => {}
            }
        }
        match facts.port {
            0 => Err(Error::Missing { what: "the transition to LISTEN" }),
            _ => Ok(facts),
        }
    }
}

/// What the texts speak of.
#[derive(Debug, Default)]
struct Facts {
    port: u16,
    server: Option<u32>,
    client_port: Option<u16>,
    client: Option<u32>,
}

impl Facts {
    fn put_in(&self, text: &str) -> String {
        let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
        text.replace("{port}", &self.port.to_string())
            .replace("{server}", &number(self.server))
            .replace("{client}", &number(self.client))
            .replace("{client_port}", &number(self.client_port.map(u32::from)))
    }

    /// What stands in the lines that are meant.
    fn words(&self, whose: &str) -> Vec<String> {
        match whose {
            "listener" => vec![format!(":{} ", self.port)],
            "connection" => self.client_port.iter().map(|port| format!(":{port} ")).collect(),
            _ => Vec::new(),
        }
    }
}
