//! Lessons: what a word means that netbreath or a classic tool shows. The texts are in
//! `docs/lesson`, one file for each kind and language, and are part of the program.
//!
//! A topic is a section of such a file: its name, other names for it, a paragraph that says
//! what it is, and five points.

use std::sync::OnceLock;

use netbreath_common::tcp::TcpState;

use crate::event::{Body, Cause, Errno};
use crate::filter::EventKind;

pub mod language;
pub mod line;
pub mod page;
pub use language::Language;

/// What kind of word a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    State,
    Transition,
    Flag,
    Errno,
    Column,
    Event,
    Cause,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::State,
        Kind::Transition,
        Kind::Flag,
        Kind::Errno,
        Kind::Column,
        Kind::Event,
        Kind::Cause,
    ];

    /// What it is called, as a heading.
    pub const fn title(self, language: Language) -> &'static str {
        match (self, language) {
            (Kind::State, Language::En) => "state of TCP",
            (Kind::State, Language::Ja) => "TCP の状態",
            (Kind::Transition, Language::En) => "transition",
            (Kind::Transition, Language::Ja) => "状態遷移",
            (Kind::Flag, Language::En) => "flag of a segment",
            (Kind::Flag, Language::Ja) => "セグメントのフラグ",
            (Kind::Errno, Language::En) => "error of a socket call",
            (Kind::Errno, Language::Ja) => "ソケット呼び出しのエラー",
            (Kind::Column, Language::En) => "column",
            (Kind::Column, Language::Ja) => "列",
            (Kind::Event, Language::En) => "event",
            (Kind::Event, Language::Ja) => "イベント",
            (Kind::Cause, Language::En) => "end of a connection",
            (Kind::Cause, Language::Ja) => "接続の終わり方",
        }
    }

    const fn text(self, language: Language) -> &'static str {
        macro_rules! text {
            ($language:literal, $name:literal) => {
                include_str!(concat!("../../../docs/lesson/", $language, "/", $name, ".md"))
            };
        }
        match (self, language) {
            (Kind::State, Language::En) => text!("en", "state"),
            (Kind::State, Language::Ja) => text!("ja", "state"),
            (Kind::Transition, Language::En) => text!("en", "transition"),
            (Kind::Transition, Language::Ja) => text!("ja", "transition"),
            (Kind::Flag, Language::En) => text!("en", "flag"),
            (Kind::Flag, Language::Ja) => text!("ja", "flag"),
            (Kind::Errno, Language::En) => text!("en", "errno"),
            (Kind::Errno, Language::Ja) => text!("ja", "errno"),
            (Kind::Column, Language::En) => text!("en", "column"),
            (Kind::Column, Language::Ja) => text!("ja", "column"),
            (Kind::Event, Language::En) => text!("en", "event"),
            (Kind::Event, Language::Ja) => text!("ja", "event"),
            (Kind::Cause, Language::En) => text!("en", "cause"),
            (Kind::Cause, Language::Ja) => text!("ja", "cause"),
        }
    }
}

/// A topic in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    pub kind: Option<Kind>,
    /// The same in both languages.
    pub topic: &'static str,
    /// Other names.
    pub also: Vec<&'static str>,
    /// What it is: a sentence or two.
    pub what: &'static str,
    pub who: &'static str,
    pub normal: &'static str,
    /// What to look at next.
    pub next: &'static str,
    /// Where Linux differs from the book.
    pub linux: &'static str,
    pub rfc: &'static str,
}

/// All lessons, kind by kind, in the order of the files.
pub fn all(language: Language) -> &'static [Lesson] {
    static ENGLISH: OnceLock<Vec<Lesson>> = OnceLock::new();
    static JAPANESE: OnceLock<Vec<Lesson>> = OnceLock::new();
    match language {
        Language::En => ENGLISH.get_or_init(|| read(Language::En)),
        Language::Ja => JAPANESE.get_or_init(|| {
            let mut lessons = read(Language::Ja);
            // Names are the same everywhere; they stand in one place.
            for lesson in &mut lessons {
                let english = all(Language::En)
                    .iter()
                    .find(|one| one.kind == lesson.kind && one.topic == lesson.topic);
                lesson.also = english.map(|english| english.also.clone()).unwrap_or_default();
            }
            lessons
        }),
    }
}

/// The words before the points, in the files.
const POINTS: [[&str; 5]; 2] = [
    ["Who", "Normal", "Next", "Linux", "RFC"],
    ["動かすのは", "普通か", "次に見る", "Linux では", "RFC"],
];

fn read(language: Language) -> Vec<Lesson> {
    let points = POINTS[usize::from(language == Language::Ja)];
    let mut lessons: Vec<Lesson> = Vec::new();
    for kind in Kind::ALL {
        for line in kind.text(language).lines() {
            if let Some(topic) = line.strip_prefix("## ") {
                lessons.push(Lesson { kind: Some(kind), topic, ..Lesson::default() });
                continue;
            }
            let Some(lesson) = lessons.last_mut().filter(|lesson| lesson.kind == Some(kind)) else {
                continue;
            };
            if let Some(also) = line.strip_prefix("Also:") {
                lesson.also =
                    also.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            } else if let Some((point, text)) =
                line.strip_prefix("- ").and_then(|line| line.split_once(": "))
            {
                match points.iter().position(|known| *known == point) {
                    Some(0) => lesson.who = text,
                    Some(1) => lesson.normal = text,
                    Some(2) => lesson.next = text,
                    Some(3) => lesson.linux = text,
                    Some(4) => lesson.rfc = text,
                    _ => {}
                }
            } else if lesson.what.is_empty() {
                lesson.what = line;
            }
        }
    }
    lessons
}

/// The lesson of this kind with exactly this name.
fn named(kind: Kind, topic: &str, language: Language) -> Option<&'static Lesson> {
    all(language).iter().find(|lesson| lesson.kind == Some(kind) && lesson.topic == topic)
}

/// The lesson about a state.
pub fn of_state(state: TcpState, language: Language) -> Option<&'static Lesson> {
    let name = match state {
        TcpState::NewSynRecv => TcpState::SynRecv.name(),
        TcpState::BoundInactive => TcpState::Close.name(),
        state => state.name(),
    };
    named(Kind::State, name, language)
}

/// The lesson about a transition; of one that has none, about the state that is entered.
pub fn of_transition(old: TcpState, new: TcpState, language: Language) -> Option<&'static Lesson> {
    let topic = format!("{} -> {}", old.name(), new.name());
    named(Kind::Transition, &topic, language).or_else(|| of_state(new, language))
}

/// The lesson about an error.
pub fn of_errno(errno: Errno, language: Language) -> Option<&'static Lesson> {
    named(Kind::Errno, errno.name(), language)
}

/// The lesson about what ended a connection.
pub fn of_cause(cause: Cause, language: Language) -> Option<&'static Lesson> {
    let topic = match cause {
        // Words that are an event's name already.
        Cause::Exit => "process exit",
        Cause::Reset => "peer reset",
        cause => cause.name(),
    };
    named(Kind::Cause, topic, language)
}

/// The lesson about a kind of event.
pub fn of_event(body: &Body, language: Language) -> Option<&'static Lesson> {
    named(Kind::Event, body.name(), language)
}

/// The same, by what `--event` calls it.
pub fn of_event_kind(kind: EventKind, language: Language) -> Option<&'static Lesson> {
    named(Kind::Event, kind.name(), language)
}

/// The lessons about the flags of a segment, as tcpdump writes them (`S.`, `P.`, `SEW`,
/// `none`): one about the combination, if there is one, else one for each letter.
pub fn of_flags(flags: &str, language: Language) -> Vec<&'static Lesson> {
    let flags = flags.trim_start_matches('[').trim_end_matches(']');
    let known = |flags: &str| {
        named(Kind::Flag, flags, language).or_else(|| {
            let is =
                |lesson: &&Lesson| lesson.kind == Some(Kind::Flag) && lesson.also.contains(&flags);
            all(language).iter().find(is)
        })
    };
    if let Some(lesson) = known(flags) {
        return vec![lesson];
    }
    let mut letters = [0; 4];
    flags.chars().filter_map(|letter| known(letter.encode_utf8(&mut letters))).collect()
}

/// The lessons that are meant by `typed`, the likeliest first: a topic's name or another
/// name of it, in any case, a transition with any arrow, flags in brackets.
pub fn find(typed: &str, language: Language) -> Vec<&'static Lesson> {
    let typed = typed.trim();
    let mut found: Vec<&Lesson> = Vec::new();
    let mut add = |fits: &dyn Fn(&Lesson) -> bool| {
        for lesson in all(language).iter().filter(|lesson| fits(lesson)) {
            if !found.contains(&lesson) {
                found.push(lesson);
            }
        }
    };
    let wanted = key(typed);
    // As written, before any case: CLOSE is a state, `close` what a process does.
    add(&|lesson| lesson.topic == typed || lesson.also.contains(&typed));
    add(&|lesson| key(lesson.topic) == wanted);
    add(&|lesson| lesson.also.iter().any(|name| key(name) == wanted));
    if found.is_empty()
        && let Some((old, new)) = wanted.split_once("->")
    {
        let state = |word: &str| {
            let is = |lesson: &&Lesson| {
                lesson.kind == Some(Kind::State)
                    && (key(lesson.topic) == word
                        || lesson.also.iter().any(|name| key(name) == word))
            };
            all(language).iter().find(is).map(|lesson| lesson.topic)
        };
        if let (Some(old), Some(new)) = (state(old), state(new)) {
            found.extend(named(Kind::Transition, &format!("{old} -> {new}"), language));
        }
    }
    let letters = typed.trim_start_matches('[').trim_end_matches(']');
    if found.is_empty() && !letters.is_empty() && letters.chars().all(|c| "SFPRUWE.".contains(c)) {
        found = of_flags(letters, language);
    }
    found
}

/// A name in the form that is compared.
fn key(name: &str) -> String {
    let name = name.trim().to_uppercase().replace('→', "->").replace(" TO ", "->");
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let sides: Vec<String> = name
        .split("->")
        .map(|side| side.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>())
        .map(|words| words.join("_"))
        .collect();
    sides.join("->")
}

/// Topics whose names look like `typed`, the nearest first.
pub fn near(typed: &str) -> Vec<&'static str> {
    let wanted = key(typed);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for lesson in all(Language::En) {
        let names = std::iter::once(&lesson.topic).chain(&lesson.also);
        let distance = names.map(|name| {
            let name = key(name);
            let part = |long: &str, short: &str| short.len() > 2 && long.contains(short);
            match part(&name, &wanted) || part(&wanted, &name) {
                // A part of a name is nearer than a slip.
                true => name.len().abs_diff(wanted.len()) / 4,
                false => strsim::damerau_levenshtein(&name, &wanted) * 2,
            }
        });
        let limit = wanted.chars().count().max(4);
        if let Some(distance) = distance.min().filter(|distance| *distance <= limit) {
            near.push((distance, lesson.topic));
        }
    }
    near.sort_by_key(|(distance, _)| *distance);
    near.truncate(5);
    near.into_iter().map(|(_, topic)| topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn both_languages_have_every_topic_with_every_point() {
        let (english, japanese) = (all(Language::En), all(Language::Ja));
        let names = |lessons: &[Lesson]| -> Vec<(Option<Kind>, &str)> {
            lessons.iter().map(|lesson| (lesson.kind, lesson.topic)).collect()
        };
        assert_eq!(names(english), names(japanese));
        for (lessons, japanese) in [(english, false), (japanese, true)] {
            for lesson in lessons {
                let Lesson { what, who, normal, next, linux, rfc, topic, .. } = lesson;
                for text in [what, who, normal, next, linux] {
                    assert!(!text.is_empty(), "{topic}: a point is missing");
                    assert_eq!(japanese, !text.is_ascii(), "{topic}: {text}");
                    let ends: &[char] = if japanese { &['。'] } else { &['.', '?'] };
                    assert!(text.ends_with(ends), "{topic}: no full stop: {text}");
                }
                assert!(!rfc.is_empty(), "{topic}: no RFC");
            }
        }
        assert!(english.len() > 100, "{}", english.len());
    }

    #[test]
    fn a_name_stands_once_in_its_kind() {
        let lessons = all(Language::En);
        for (place, lesson) in lessons.iter().enumerate() {
            let same = |other: &Lesson| other.kind == lesson.kind && other.topic == lesson.topic;
            assert!(!lessons[..place].iter().any(same), "{}", lesson.topic);
        }
    }

    #[test]
    fn everything_that_the_code_knows_has_a_topic() {
        for language in [Language::En, Language::Ja] {
            for state in TcpState::ALL {
                assert!(of_state(state, language).is_some(), "{}", state.name());
            }
            for kind in EventKind::value_variants().iter().filter(|kind| **kind != EventKind::All) {
                assert!(of_event_kind(*kind, language).is_some(), "{}", kind.name());
            }
            for cause in Cause::ALL {
                assert!(of_cause(cause, language).is_some(), "{}", cause.name());
            }
            for number in (0..200).filter_map(Errno::new).filter(|e| e.name() != "EUNKNOWN") {
                assert!(of_errno(number, language).is_some(), "{}", number.name());
            }
            for letter in ["S", "F", "P", "R", "U", "W", "E", ".", "none"] {
                assert_eq!(of_flags(letter, language).len(), 1, "{letter}");
            }
            for key in crate::view::trace::USUAL {
                let title = crate::view::trace::column_named(key).unwrap().title;
                assert!(!find(title, language).is_empty(), "{title}");
            }
            for old in TcpState::ALL.into_iter().take(11) {
                for new in TcpState::ALL.into_iter().take(11) {
                    if crate::life::legal::can_follow(old, new) && old != new {
                        let lesson = of_transition(old, new, language).unwrap();
                        assert_eq!(
                            lesson.kind,
                            Some(Kind::Transition),
                            "{} {}",
                            old.name(),
                            new.name()
                        );
                    }
                }
            }
        }
    }

    /// RFC 9293, figure 5 with its notes, in Linux's names.
    pub const FIGURE_5: [(TcpState, TcpState); 21] = {
        use TcpState::*;
        [
            (Close, Listen),
            (Close, SynSent),
            (Listen, Close),
            (SynSent, Close),
            (Listen, SynRecv),
            (Listen, SynSent),
            (SynSent, SynRecv),
            (SynSent, Established),
            (SynRecv, Established),
            (SynRecv, Listen),
            (SynRecv, FinWait1),
            (Established, FinWait1),
            (Established, CloseWait),
            (FinWait1, FinWait2),
            (FinWait1, Closing),
            (FinWait1, TimeWait),
            (FinWait2, TimeWait),
            (Closing, TimeWait),
            (CloseWait, LastAck),
            (LastAck, Close),
            (TimeWait, Close),
        ]
    };

    #[test]
    fn every_transition_of_the_figure_has_a_topic() {
        for (old, new) in FIGURE_5 {
            let lesson = of_transition(old, new, Language::Ja).unwrap();
            assert_eq!(lesson.topic, format!("{} -> {}", old.name(), new.name()));
        }
    }

    #[test]
    fn topics_are_found_by_what_people_type() {
        let first = |typed: &str| find(typed, Language::En).first().map(|lesson| lesson.topic);
        for (typed, topic) in [
            ("SYN_RECV", "SYN_RECV"),
            ("syn-recv", "SYN_RECV"),
            ("SYN-RECEIVED", "SYN_RECV"),
            ("FIN_WAIT_1", "FIN_WAIT1"),
            ("ESTAB", "ESTABLISHED"),
            ("CLOSED", "CLOSE"),
            ("closed", "closed"),
            ("CLOSE", "CLOSE"),
            ("close", "close"),
            ("SYN_SENT->ESTABLISHED", "SYN_SENT -> ESTABLISHED"),
            ("syn-sent → estab", "SYN_SENT -> ESTABLISHED"),
            ("fin-wait-1 to closing", "FIN_WAIT1 -> CLOSING"),
            ("S.", "S."),
            ("[S.]", "S."),
            ("Flags [P.]", "P"),
            ("none", "none"),
            ("econnrefused", "ECONNREFUSED"),
            ("connection refused", "ECONNREFUSED"),
            ("recv-q", "Recv-Q"),
            ("PID/Program name", "PID/Program name"),
            ("reset", "reset"),
            ("half-open", "half_open"),
        ] {
            assert_eq!(first(typed), Some(topic), "{typed}");
        }
        let letters: Vec<&str> =
            find("[SEW]", Language::En).iter().map(|lesson| lesson.topic).collect();
        assert_eq!(letters, ["S", "E", "W"]);
        assert!(find("nothing", Language::En).is_empty());
        assert!(find("", Language::En).is_empty());
    }

    #[test]
    fn unknown_topics_have_near_ones() {
        assert_eq!(near("ESTABLISHD").first(), Some(&"ESTABLISHED"));
        assert_eq!(near("econrefused").first(), Some(&"ECONNREFUSED"));
        assert!(near("wait").contains(&"TIME_WAIT"), "{:?}", near("wait"));
        assert!(near("xyzzyxyzzy").is_empty());
    }
}
