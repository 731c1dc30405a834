//! What `netbreath tshark` means.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use super::capture::To;
use crate::capture::rotation::Rotation;
use crate::cli::{CaptureArgs, TsharkArgs};
use crate::packet::display::{self, Filter};
use crate::packet::dissect::field::protocols;
use crate::view::tshark::{Fields, Form, Occurrence, Quote, Show, Statistic, Timestamp};

/// Lists of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glossary {
    Protocols,
    Fields,
}

/// What makes sense.
#[derive(Debug)]
pub enum Plan {
    List(Glossary),
    /// The interfaces.
    Interfaces,
    Read {
        path: PathBuf,
        show: Box<Show>,
        count: Option<NonZeroU64>,
    },
    /// Packets of a file into another.
    Copy {
        path: PathBuf,
        show: Box<Show>,
        count: Option<NonZeroU64>,
        to: To,
    },
    Live {
        capture: Box<CaptureArgs>,
        show: Box<Show>,
        rotation: Rotation,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this is no display filter: {0}")]
    Filter(#[from] display::Error),
    #[error("-{option} {value:?}: {mend}")]
    Wrong { option: char, value: String, mend: &'static str },
    #[error("-e {name:?}: there is no such field; `netbreath tshark -G fields` lists all")]
    NoField { name: String },
    #[error("-O {name:?}: there is no such protocol; `netbreath tshark -G protocols` lists all")]
    NoProtocol { name: String },
    #[error("-T fields shows the fields that -e names: give -e FIELD, several times if you like")]
    NoFields,
    #[error("-e names fields for -T fields, json or ek: give one of them")]
    FieldsOfNothing,
    #[error("a display filter was given twice: with -Y, and behind the options")]
    TwoFilters,
    #[error(
        "-Y chooses what is shown, and -w writes what is captured: choose by -f FILTER, or write \
         first and read the file with -r and -Y"
    )]
    WriteLive,
    #[error("-{option} is for packets on the wire, not with -r")]
    LiveOnly { option: char },
}

pub fn tshark(args: &TsharkArgs) -> Result<Plan, Error> {
    let wrong = |option, value: &str, mend| Error::Wrong { option, value: value.to_owned(), mend };
    match args.glossary.as_deref() {
        Some("protocols") => return Ok(Plan::List(Glossary::Protocols)),
        Some("fields") => return Ok(Plan::List(Glossary::Fields)),
        Some(other) => return Err(wrong('G', other, "there are protocols and fields")),
        None => {}
    }
    if args.list {
        return Ok(Plan::Interfaces);
    }
    let typed = args.filter.join(" ");
    // What stands behind the options is a capture filter, if something is captured.
    let (behind, live) = match &args.read {
        Some(_) => (typed.trim(), ""),
        None => ("", typed.trim()),
    };
    let text = match (&args.display_filter, behind) {
        (Some(_), more) if !more.is_empty() => return Err(Error::TwoFilters),
        (Some(filter), _) => Some(filter.as_str()),
        (None, "") => None,
        (None, more) => Some(more),
    };
    // An empty filter lets everything through.
    let filter = text.filter(|t| !t.trim().is_empty()).map(Filter::parse).transpose()?;
    let mut statistics = Vec::new();
    for one in &args.statistics {
        statistics.push(Statistic::parse(one).map_err(|mend| wrong('z', one, mend))?);
    }
    let mut fields = Fields::default();
    for name in &args.fields {
        if !fields.ask(name) {
            return Err(Error::NoField { name: name.clone() });
        }
    }
    for option in &args.field_options {
        field_option(&mut fields, option).map_err(|mend| wrong('E', option, mend))?;
    }
    let only = only(&args.only)?;
    let asked = !fields.asked.is_empty();
    let form = match args.format.as_deref() {
        Some("fields") if !asked => return Err(Error::NoFields),
        Some("fields") => Form::Fields(fields),
        Some("json") => Form::Json(only, asked.then_some(fields)),
        Some("ek") => Form::Ek(only),
        Some("pdml") => Form::Pdml(only),
        Some("tabs") if args.tree || only.is_some() => Form::Tree(only),
        Some("tabs") => Form::Tabs,
        None | Some("text") if args.tree || only.is_some() => Form::Tree(only),
        None if asked => return Err(Error::FieldsOfNothing),
        None | Some("text") if args.quiet => Form::Quiet,
        None | Some("text") => Form::Summary,
        Some(other) => {
            return Err(wrong('T', other, "there are fields, json, ek, pdml, tabs and text"));
        }
    };
    let form = if args.quiet { Form::Quiet } else { form };
    let time = match args.time.as_deref() {
        None | Some("r") => Timestamp::Relative,
        Some("a") => Timestamp::Absolute,
        Some("ad") => Timestamp::AbsoluteDate,
        Some("d") => Timestamp::Delta,
        Some("dd") => Timestamp::DeltaShown,
        Some("e") => Timestamp::Epoch,
        Some("u") => Timestamp::Utc,
        Some("ud") => Timestamp::UtcDate,
        Some(other) => return Err(wrong('t', other, "there are r, a, ad, d, dd, e, u and ud")),
    };
    let has_filter = filter.is_some();
    let show =
        Box::new(Show { form, summary: args.summary, hex: args.hex, time, filter, statistics });
    let to = match &args.write {
        None => To::Lines,
        Some(path) => To::File {
            path: Some(path.clone()).filter(|path| path != Path::new("-")),
            pcap: match args.file_type.as_deref() {
                None | Some("pcapng") => false,
                Some("pcap") => true,
                Some(other) => return Err(wrong('F', other, "there are pcapng and pcap")),
            },
            comments: false,
        },
    };
    let Some(path) = args.read.clone() else {
        if has_filter && args.write.is_some() {
            return Err(Error::WriteLive);
        }
        return live_plan(args, live, show);
    };
    for (option, given) in [('i', !args.interface.is_empty()), ('f', args.capture_filter.is_some())]
    {
        if given {
            return Err(Error::LiveOnly { option });
        }
    }
    let count = args.count;
    Ok(match to {
        To::Lines => Plan::Read { path, show, count },
        to => {
            let show = Box::new(Show { form: Form::Quiet, ..*show });
            Plan::Copy { path, show, count, to }
        }
    })
}

fn live_plan(args: &TsharkArgs, behind: &str, show: Box<Show>) -> Result<Plan, Error> {
    let wrong = |option, value: &str, mend| Error::Wrong { option, value: value.to_owned(), mend };
    let filter = match (&args.capture_filter, behind) {
        (Some(_), more) if !more.is_empty() => return Err(Error::TwoFilters),
        (Some(filter), _) => Some(filter.clone()),
        (None, "") => None,
        (None, more) => Some(more.to_owned()),
    };
    let mut capture = CaptureArgs {
        filter: filter.into_iter().collect(),
        interface: args.interface.clone(),
        snap_len: if args.snap_len == 0 { 262_144 } else { args.snap_len },
        ring_size: args.buffer.map_or("32M".to_owned(), |mib| format!("{mib}M")),
        write: args.write.clone(),
        pcap: args.file_type.as_deref() == Some("pcap"),
        count: args.count,
        ready_file: args.ready_file.clone(),
        ..CaptureArgs::default()
    };
    for typed in &args.autostop {
        const MEND: &str = "there are duration:SECONDS and packets:N";
        match typed.split_once(':') {
            Some(("duration", seconds)) if seconds.parse::<u32>().is_ok() => {
                capture.duration = Some(format!("{seconds}s"));
            }
            Some(("packets", count)) => {
                capture.count = Some(count.parse().map_err(|_| wrong('a', typed, MEND))?);
            }
            _ => return Err(wrong('a', typed, MEND)),
        }
    }
    let mut rotation = Rotation::default();
    for typed in &args.ring {
        const MEND: &str = "there are duration:SECONDS, filesize:KB and files:N";
        let bad = || wrong('b', typed, MEND);
        let (name, number) = typed.split_once(':').ok_or_else(bad)?;
        let number = number.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        match name {
            "duration" => rotation.seconds = Some(number),
            "filesize" => rotation.size = Some(u64::from(number) * 1_000),
            "files" => rotation.files = Some(number),
            _ => return Err(bad()),
        }
    }
    if !args.ring.is_empty() && args.write.as_deref().is_none_or(|path| path == Path::new("-")) {
        return Err(wrong('b', &args.ring[0], "give -w FILE, which names the files"));
    }
    Ok(Plan::Live { capture: Box::new(capture), show, rotation })
}

fn only(names: &[String]) -> Result<Option<HashSet<String>>, Error> {
    for name in names {
        if !protocols().any(|(_, protocol)| protocol.name == name) {
            return Err(Error::NoProtocol { name: name.clone() });
        }
    }
    Ok((!names.is_empty()).then(|| names.iter().cloned().collect()))
}

fn field_option(fields: &mut Fields, option: &str) -> Result<(), &'static str> {
    const MEND: &str =
        "there are header=y, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n, bom=y";
    let (name, value) = option.split_once('=').ok_or(MEND)?;
    let yes = |value: &str| match value {
        "y" => Ok(true),
        "n" => Ok(false),
        _ => Err(MEND),
    };
    let one = |value: &str| {
        let mut chars = value.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err("one character stands behind ="),
        }
    };
    match name {
        "header" => fields.header = yes(value)?,
        "bom" => fields.bom = yes(value)?,
        "separator" => {
            fields.separator = match value {
                "/t" => '\t',
                "/s" => ' ',
                other => one(other)?,
            };
        }
        "aggregator" => {
            fields.aggregate = match value {
                "/s" => ' ',
                other => one(other)?,
            };
        }
        "occurrence" => {
            fields.occurrence = match value {
                "f" => Occurrence::First,
                "l" => Occurrence::Last,
                "a" => Occurrence::All,
                _ => return Err("there are f, l and a"),
            };
        }
        "quote" => {
            fields.quote = match value {
                "d" => Quote::Double,
                "s" => Quote::Single,
                "n" => Quote::None,
                _ => return Err("there are d, s and n"),
            };
        }
        _ => return Err(MEND),
    }
    Ok(())
}

/// A list of what is known, as `tshark -G` writes it.
pub fn list(which: Glossary) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (_, protocol) in protocols() {
        if which == Glossary::Protocols {
            let _ = writeln!(text, "{}\t{}\t{}", protocol.title, protocol.short, protocol.name);
            continue;
        }
        let _ = writeln!(text, "P\t{}\t{}", protocol.title, protocol.name);
        for field in protocol.fields {
            let _ = writeln!(text, "{}", crate::view::tshark::glossary(protocol.name, field));
        }
    }
    text
}
