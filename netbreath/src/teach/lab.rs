//! `netbreath lab`: scenarios that make TCP do something, in a network namespace of their own.
//!
//! The process itself moves into a new namespace, and its actors end with it: whatever ends
//! it, the kernel takes the namespace and all that is in it away, so that nothing is left for
//! a next run to clean up.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use netbreath_common::tcp::TcpState;
use socket2::{Domain, Socket, Type};

use super::actor::{self, Actor};
use super::story::{self, Part};
use super::{screen, watch};
use crate::event::segment::Moment;
use crate::event::{Body, Event};
use crate::filter::Filter;
use crate::lesson::language::Both;
use crate::lesson::page::{pad, paragraph};
use crate::lesson::{self, Language};
use crate::view::ladder::ladders;

mod close;
mod open;
mod state;
mod trouble;

/// What must come comes in this time; the longest waits for timers of the kernel.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the servers of the scenarios listen: the namespace is theirs alone.
pub const AT: &str = "127.0.0.1:7000";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no scenario {typed:?}; `netbreath lab` lists them")]
    NoScenario { typed: String },
    #[error("cannot {what}: {source}")]
    Namespace { what: &'static str, source: io::Error },
    #[error("cannot set {name} to {value}: {source}")]
    Set { name: &'static str, value: &'static str, source: io::Error },
    #[error(transparent)]
    Actor(#[from] actor::Error),
    #[error(transparent)]
    Watch(#[from] watch::Error),
    #[error(transparent)]
    Screen(#[from] screen::Error),
    #[error("the {who} could {order:?}, which must fail: {value}")]
    Succeeded { who: &'static str, order: String, value: String },
    #[error("cannot write the recording: {source}")]
    Record { source: serde_json::Error },
    #[error("cannot write to standard output: {source}")]
    Write { source: io::Error },
}

impl Error {
    /// The exit code that stands for it.
    pub fn code(&self) -> u8 {
        match self {
            Error::NoScenario { .. } => 1,
            Error::Watch(error) if error.is_privilege() => 77,
            Error::Namespace { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                77
            }
            _ => 2,
        }
    }

    /// The reader of our output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Write { source } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Something that TCP is made to do.
pub struct Scenario {
    pub name: &'static str,
    /// What one will see.
    pub promise: Both,
    /// What to guess before.
    pub question: Both,
    pub answer: Both,
    /// Topics to remember.
    pub lessons: &'static [&'static str],
    play: fn(&mut Stage<'_>) -> Result<(), Error>,
}

/// Every scenario, in the order of the list.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    open::ALL.iter().chain(close::ALL).chain(trouble::ALL).chain(state::ALL)
}

/// The scenario with this name, in any case.
pub fn named(typed: &str) -> Result<&'static Scenario, Error> {
    let word = |name: &str| name.to_ascii_lowercase().replace(['_', ' '], "-");
    scenarios()
        .find(|scenario| word(scenario.name) == word(typed))
        .ok_or_else(|| Error::NoScenario { typed: typed.to_owned() })
}

/// Appends the list of scenarios.
pub fn list(language: Language, width: usize, out: &mut String) {
    let widest = scenarios().map(|scenario| scenario.name.len()).max().unwrap_or(0) + 4;
    for scenario in scenarios() {
        let mut first = String::new();
        pad(&format!("  {}", scenario.name), widest, &mut first);
        paragraph(scenario.promise.of(language), width, &first, &" ".repeat(widest), out);
    }
}

/// Orders that are no system calls.
const GLOSSES: [(&str, Both); 4] = [
    (
        "deaf",
        Both(
            "(a filter on this socket now drops all that comes in, or no longer does)",
            "(このソケットに届くパケットをすべて捨てるフィルターを付け外しします)",
        ),
    ),
    ("begin", Both("(connect() that does not wait)", "(待たない connect() です)")),
    (
        "fill",
        Both("(writes until the kernel takes no more)", "(カーネルが受け付けなくなるまで書きます)"),
    ),
    (
        "bare",
        Both(
            "(a segment without flags, by a raw socket)",
            "(raw ソケットでフラグなしのセグメントを送ります)",
        ),
    ),
];

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub language: Language,
    pub width: usize,
    /// Enter goes on after the question.
    pub stops: bool,
}

/// Where a scenario plays: its processes, and what is seen of them.
struct Stage<'a> {
    watch: watch::Watch,
    client: Actor,
    server: Actor,
    manner: Manner,
    out: &'a mut dyn Write,
    /// Orders that were explained already.
    glossed: Vec<&'static str>,
}

/// Plays a scenario in a new network namespace, into which this process moves. What was seen
/// comes back, as a recording.
pub fn play(
    scenario: &Scenario,
    manner: Manner,
    out: &mut dyn Write,
    pause: &mut dyn FnMut() -> bool,
) -> Result<Vec<u8>, Error> {
    let Manner { language, width, .. } = manner;
    let mut text = String::new();
    paragraph(
        &format!("{}: {}", scenario.name, scenario.promise.of(language)),
        width,
        "",
        "",
        &mut text,
    );
    text.push('\n');
    let question = language.choose("What do you expect? ", "予想してみましょう。");
    paragraph(&format!("{question}{}", scenario.question.of(language)), width, "", "", &mut text);
    put(out, &text)?;
    if manner.stops {
        put(out, language.choose("[Enter: run it, q: end] ", "[Enter: 実行, q: 終了] "))?;
        if !pause() {
            return Ok(Vec::new());
        }
    }
    let netns = move_to_new_namespace()?;
    let filter = Filter { netns: vec![netns], ..Filter::default() };
    let watch = watch::Watch::open(filter, "tcp")?;
    let (client, server) = (Actor::start("client")?, Actor::start("server")?);
    put(out, "\n")?;
    let mut stage = Stage { watch, client, server, manner, out, glossed: Vec::new() };
    (scenario.play)(&mut stage)?;
    stage.reveal(scenario)
}

fn put(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Write { source })
}

/// Moves this process into a network namespace of its own, with lo up; its inode number. To be
/// called before there are further threads: they would stay where they are.
fn move_to_new_namespace() -> Result<u32, Error> {
    let failed = |what| move |source| Error::Namespace { what, source };
    // SAFETY: takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(failed("make a network namespace")(io::Error::last_os_error()));
    }
    bring_lo_up().map_err(failed("bring lo up in a new network namespace"))?;
    let file = File::open("/proc/self/ns/net").and_then(|file| file.metadata());
    let inode = file.map_err(failed("look at the new network namespace"))?.ino();
    u32::try_from(inode).map_err(|error| failed("number the namespace")(io::Error::other(error)))
}

fn bring_lo_up() -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Stage<'_> {
    /// The client does this; it must succeed.
    fn client(&mut self, order: &str) -> Result<String, Error> {
        let value = self.client.order(order)?;
        self.tell("client", order, &value)?;
        Ok(value)
    }

    fn server(&mut self, order: &str) -> Result<String, Error> {
        let value = self.server.order(order)?;
        self.tell("server", order, &value)?;
        Ok(value)
    }

    /// The client does this, and it must fail; with which error.
    fn client_fails(&mut self, order: &str) -> Result<String, Error> {
        let answer = self.client.ask(order)?;
        self.fails("client", order, answer)
    }

    fn server_fails(&mut self, order: &str) -> Result<String, Error> {
        let answer = self.server.ask(order)?;
        self.fails("server", order, answer)
    }

    fn fails(
        &mut self,
        who: &'static str,
        order: &str,
        answer: Result<String, String>,
    ) -> Result<String, Error> {
        match answer {
            Err(error) => {
                self.tell(who, order, &error)?;
                Ok(error)
            }
            Ok(value) => Err(Error::Succeeded { who, order: order.to_owned(), value }),
        }
    }

    /// What a process did, and what came of it.
    fn tell(&mut self, who: &str, order: &str, value: &str) -> Result<(), Error> {
        // What only makes it possible is of no interest.
        const SILENT: [&str; 5] = ["open", "reuse", "syns", "send-buffer", "receive-buffer"];
        let verb = order.split(' ').next().unwrap_or_default();
        if SILENT.contains(&verb) {
            return Ok(());
        }
        let mut line = String::new();
        pad(&format!("  {who}:"), 11, &mut line);
        line.push_str(order);
        if !value.is_empty() {
            line.push_str(&format!("  = {value}"));
        }
        line.push('\n');
        put(self.out, &line)?;
        let new = GLOSSES.iter().find(|(of, _)| *of == verb && !self.glossed.contains(of));
        let Some((of, gloss)) = new else { return Ok(()) };
        self.glossed.push(of);
        let Manner { language, width, .. } = self.manner;
        let (mut text, indent) = (String::new(), " ".repeat(11));
        paragraph(gloss.of(language), width, &indent, &indent, &mut text);
        put(self.out, &text)
    }

    /// A setting of the namespace, below `net.ipv4`.
    fn set(&mut self, name: &'static str, value: &'static str) -> Result<(), Error> {
        std::fs::write(format!("/proc/self/net/../sys/net/ipv4/{name}"), value)
            .or_else(|_| std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value))
            .map_err(|source| Error::Set { name, value, source })?;
        put(self.out, &format!("  sysctl:  net.ipv4.{name} = {value}\n"))
    }

    /// A server at its address, and so many may wait for accept().
    fn listen(&mut self, backlog: u32) -> Result<(), Error> {
        self.server("open l")?;
        self.server("reuse l")?;
        self.server(&format!("bind l {AT}"))?;
        self.server(&format!("listen l {backlog}"))?;
        Ok(())
    }

    /// The client's socket `c` connected to the server's `s`.
    fn meet(&mut self) -> Result<(), Error> {
        self.listen(5)?;
        self.client("open c")?;
        self.client(&format!("connect c {AT}"))?;
        self.server("accept l s")?;
        Ok(())
    }

    /// Waits until a socket has gone into this state; which one, `who` says: its own port and
    /// its peer's.
    fn see(&mut self, what: &str, done: impl Fn(&Event) -> bool) -> Result<(), Error> {
        let seen = |moments: &[Moment]| {
            moments.iter().any(|moment| matches!(moment, Moment::Event(event) if done(event)))
        };
        Ok(self.watch.until(what, LIMIT, seen)?)
    }

    /// Waits until this transition was seen so many times.
    fn see_transition(&mut self, old: TcpState, new: TcpState, times: usize) -> Result<(), Error> {
        let what = format!("{} -> {}", old.name(), new.name());
        let seen = |moments: &[Moment]| {
            let is = |moment: &&Moment| {
                matches!(moment, Moment::Event(Event { body: Body::State(state), .. })
                    if state.old == old && state.new == new)
            };
            moments.iter().filter(is).count() >= times
        };
        Ok(self.watch.until(&what, LIMIT, seen)?)
    }

    /// Waits until a segment with these flags was seen.
    fn see_flags(&mut self, flags: &str) -> Result<(), Error> {
        let is =
            |moment: &Moment| matches!(moment, Moment::Segment(segment) if segment.flags == flags);
        let what = format!("a segment with [{flags}]");
        Ok(self.watch.until(&what, LIMIT, |moments| moments.iter().any(is))?)
    }

    /// The table of sockets, as it is now.
    fn table(&mut self) -> Result<(), Error> {
        let text = screen::show("netstat -antpo")?;
        put(self.out, "\n  $ netstat -antpo\n")?;
        for line in text.lines().skip(1) {
            put(self.out, &format!("  {line}\n"))?;
        }
        put(self.out, "\n")
    }

    /// Ends it: what was seen, what it means, what to remember.
    fn reveal(mut self, scenario: &Scenario) -> Result<Vec<u8>, Error> {
        self.watch.finish()?;
        let Manner { language, width, .. } = self.manner;
        let mut text = String::new();
        let all = ladders(self.watch.moments());
        // Of a crowd, the first few tell it all.
        const MOST: usize = 4;
        for ladder in all.iter().take(MOST) {
            text.push('\n');
            ladder.text(width, &mut text);
        }
        if all.len() > MOST {
            let more = all.len() - MOST;
            text.push_str(&match language {
                Language::En => format!("\n  ... and {more} more connections\n"),
                Language::Ja => format!("\n  ... ほかに {more} 本の接続\n"),
            });
        }
        text.push('\n');
        paragraph(scenario.answer.of(language), width, "", "", &mut text);
        text.push_str(language.choose("\nRemember:\n", "\n覚えておくこと:\n"));
        for topic in scenario.lessons {
            if let Some(lesson) = lesson::find(topic, language).first() {
                let line = format!("{}: {}", lesson.topic, lesson.what);
                paragraph(&line, width, "  - ", "    ", &mut text);
            }
        }
        put(self.out, &text)?;
        let mut parts: Vec<Part> = self.watch.moments().iter().cloned().map(Part::Moment).collect();
        // The clock first: it is what the others are reckoned by.
        parts.sort_by_key(|part| match part {
            Part::Moment(Moment::Event(Event { body: Body::Clock { .. }, .. })) => 0,
            Part::Moment(moment) => moment.at().max(1),
            _ => 0,
        });
        let mut recording = Vec::new();
        story::write(&parts, &mut recording).map_err(|source| Error::Record { source })?;
        Ok(recording)
    }
}

/// Whether it is a transition of a socket at this address.
fn enters(event: &Event, address: SocketAddr, state: TcpState) -> bool {
    matches!(&event.body, Body::State(change)
        if change.new == state && change.socket.flow.local.port == address.port()
            && change.socket.flow.remote.port != 0)
}

/// The server's end of a connection has gone into this state.
fn server_in(state: TcpState) -> impl Fn(&Event) -> bool {
    move |event| AT.parse().is_ok_and(|at| enters(event, at, state))
}

/// A client's end has.
fn client_in(state: TcpState) -> impl Fn(&Event) -> bool {
    move |event| {
        matches!(&event.body, Body::State(change)
            if change.new == state && AT.ends_with(&format!(":{}", change.socket.flow.remote.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_have_names_of_their_own_and_lessons_that_exist() {
        let names: Vec<&str> = scenarios().map(|scenario| scenario.name).collect();
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name), "{name}");
            assert_eq!(named(name).unwrap().name, *name);
        }
        for scenario in scenarios() {
            assert!(!scenario.lessons.is_empty(), "{}", scenario.name);
            for topic in scenario.lessons {
                assert!(!lesson::find(topic, Language::En).is_empty(), "{topic}");
            }
            for text in [scenario.promise, scenario.question, scenario.answer] {
                assert!(text.of(Language::En).is_ascii() && !text.of(Language::Ja).is_ascii());
            }
        }
        assert_eq!(named("STATE closing").unwrap().name, "state CLOSING");
        assert!(named("nothing").is_err());
    }
}
