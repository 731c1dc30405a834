//! What `netbreath tshark` means.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::path::PathBuf;

use crate::cli::TsharkArgs;
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
    Read { path: PathBuf, show: Box<Show>, count: Option<NonZeroU64> },
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
    #[error("-r FILE is missing: what is on the wire now is not shown by this command yet")]
    NoFile,
}

pub fn tshark(args: &TsharkArgs) -> Result<Plan, Error> {
    let wrong = |option, value: &str, mend| Error::Wrong { option, value: value.to_owned(), mend };
    match args.glossary.as_deref() {
        Some("protocols") => return Ok(Plan::List(Glossary::Protocols)),
        Some("fields") => return Ok(Plan::List(Glossary::Fields)),
        Some(other) => return Err(wrong('G', other, "there are protocols and fields")),
        None => {}
    }
    let path = args.read.clone().ok_or(Error::NoFile)?;
    let typed = args.filter.join(" ");
    let text = match (&args.display_filter, typed.trim()) {
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
    let show = Show { form, summary: args.summary, hex: args.hex, time, filter, statistics };
    Ok(Plan::Read { path, show: Box::new(show), count: args.count })
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
