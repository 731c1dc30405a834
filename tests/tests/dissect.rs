//! What `netbreath tshark` makes of captures, next to what tshark makes of the same:
//! `cargo test -p netbreath-tests --test dissect [NAME]`.
//!
//! Lines, trees and fields are compared byte by byte. Where the two differ on purpose, that
//! stands in docs/differences.md, by the name that it has here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use netbreath_tests::comparison::{self, Case};
use netbreath_tests::dissect::build::{Capture, ETHERNET};
use netbreath_tests::dissect::{Folder, both, capture, filter, netbreath, tshark};

/// Fewer would mean that something was not compared.
const LEAST_CHECKS: u64 = 25_000;

static CASES: [Case; 12] = [
    ("a_line_for_each_packet", lines),
    ("the_tree_row_by_row", trees),
    ("json_line_by_line", json),
    ("json_for_bulk_import", ek),
    ("xml_line_by_line", pdml),
    ("statistics", statistics),
    ("fields_one_by_one", fields),
    ("filters_select_the_same_packets", accepted),
    ("wrong_filters_are_refused_with_their_place", refused),
    ("names_and_types_of_fields", glossary),
    ("hostile_packets_do_not_steer_a_terminal", hostile),
    ("every_difference_is_written_down", documented),
];

fn main() -> ExitCode {
    comparison::run(&CASES, "rows and fields", LEAST_CHECKS, String::new)
}

/// Differences that are meant, by their names in docs/differences.md: what becomes of a line
/// of either.
type Rule = (&'static str, fn(&str) -> String);

const RULES: [Rule; 4] = [
    ("xml-begin", |line| {
        let begins = ["<pdml ", "<?xml-style", "<!-- You can"];
        if begins.iter().any(|b| line.starts_with(b)) { String::new() } else { line.to_owned() }
    }),
    ("xml-places", |line| {
        let line = line.trim_end();
        let is_xml = line.trim_start().starts_with(['<', '"']) && line.ends_with('>');
        if is_xml { without_places(line) } else { line.to_owned() }
    }),
    ("ek-options", |line| {
        if line.contains("\"ip_options_record_route\"") { String::new() } else { line.to_owned() }
    }),
    // tshark is asked for the same: see `dissect::tshark`.
    ("reassembly", str::to_owned),
];

fn plain(line: &str) -> String {
    RULES.iter().fold(line.to_owned(), |line, (_, rule)| rule(&line))
}

/// Compares two texts line by line, and says where they part.
fn same(what: &str, theirs: &str, ours: &str) -> Result<u64> {
    let lines = |text: &str| -> Vec<String> { text.lines().map(plain).collect() };
    // What begins a file may be another number of lines.
    let lines = |text: &str| -> Vec<String> {
        lines(text).into_iter().skip_while(String::is_empty).filter(|l| !l.is_empty()).collect()
    };
    let (theirs, ours) = (lines(theirs), lines(ours));
    if theirs == ours {
        return Ok(theirs.len() as u64);
    }
    let count = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
    let show = |lines: &[String]| {
        let from = count.saturating_sub(3);
        lines.iter().skip(from).take(8).map(|l| format!("    {l}\n")).collect::<String>()
    };
    let differ = theirs.iter().zip(&ours).filter(|(a, b)| a != b).count();
    bail!(
        "{what}: from line {} on, tshark has\n{}netbreath has\n{}({differ} of {} and {} lines)",
        count + 1,
        show(&theirs),
        show(&ours),
        theirs.len(),
        ours.len()
    )
}

fn compare(args: &[&str]) -> Result<u64> {
    let folder = Folder::new(&format!("dissect{}", args.join("")))?;
    let mut count = 0;
    let mut wrong = Vec::new();
    let mut captures = capture::all();
    // Of TLS and DHCP not all fields are read.
    if args.is_empty() {
        captures.push(capture::session());
    }
    for capture in captures {
        // XML of theirs has line ends in attributes, which no line can be compared by.
        if args.contains(&"pdml") && capture.name == "http" {
            continue;
        }
        let file = folder.write(&capture)?;
        let (theirs, ours) = both(&file, args)?;
        match same(&format!("{} {args:?}", capture.name), &theirs, &ours) {
            Ok(rows) => count += rows,
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(count)
}

fn lines() -> Result<u64> {
    compare(&[])
}

fn trees() -> Result<u64> {
    compare(&["-V"])
}

fn json() -> Result<u64> {
    compare(&["-T", "json"])
}

fn ek() -> Result<u64> {
    compare(&["-T", "ek", "-l"])
}

fn pdml() -> Result<u64> {
    compare(&["-T", "pdml", "-l", "-p"])
}

/// Attributes of XML that tell where something stands.
fn without_places(line: &str) -> String {
    let mut line = line.to_owned();
    let hidden = line.contains(" hide=\"yes\"");
    let title = if hidden { " showname=\"" } else { " size=\"" };
    for name in [title, " size=\"", " pos=\"", " value=\"", " unmaskedvalue=\""] {
        while let Some(at) = line.find(name) {
            let begin = at + name.len();
            let len = line[begin..].find('"').unwrap_or(line.len() - begin - 1);
            line.replace_range(at..=begin + len, "");
        }
    }
    line
}

/// What is counted, and what a stream said.
fn statistics() -> Result<u64> {
    const ALL: [&str; 12] = [
        "conv,tcp",
        "conv,udp",
        "conv,ip",
        "conv,ipv6",
        "conv,eth",
        "io,stat,0",
        "io,stat,0.01",
        "io,stat,0.001,tcp,ip.addr==10.0.0.1",
        "follow,tcp,ascii,0",
        "follow,tcp,hex,0",
        "follow,tcp,raw,1",
        "follow,udp,ascii,0",
    ];
    let mut args = vec!["-q"];
    for one in ALL {
        args.extend(["-z", one]);
    }
    let folder = Folder::new("statistics")?;
    let mut count = 0;
    for capture in capture::all() {
        if !["tcp", "ip"].contains(&capture.name) {
            continue;
        }
        let file = folder.write(&capture)?;
        let (theirs, ours) = both(&file, &args)?;
        count += same(&format!("{} -z", capture.name), &theirs, &ours)?;
    }
    Ok(count)
}

/// Every field that netbreath knows and tshark too, in one call for each capture.
fn fields() -> Result<u64> {
    let known = ours_and_theirs()?.0;
    let names: Vec<&String> = known.keys().collect();
    let mut args = vec!["-T", "fields", "-E", "separator=|"];
    for name in &names {
        args.extend(["-e", name.as_str()]);
    }
    let folder = Folder::new("fields")?;
    let mut count = 0;
    let mut wrong = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for capture in capture::all() {
        let file = folder.write(&capture)?;
        let (theirs, ours) = both(&file, &args)?;
        ensure!(theirs.lines().count() == ours.lines().count(), "{}: lines", capture.name);
        for (number, (a, b)) in theirs.lines().zip(ours.lines()).enumerate() {
            for (name, (a, b)) in names.iter().zip(a.split('|').zip(b.split('|'))) {
                if a == b {
                    if !a.is_empty() {
                        seen.insert(name);
                        count += 1;
                    }
                } else if wrong.len() < 40 {
                    wrong.push(format!(
                        "{} {}: {name}: tshark {a:?}, netbreath {b:?}",
                        capture.name,
                        number + 1
                    ));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A field that no capture has is not compared.
    ensure!(seen.len() >= 300, "only {} fields have a value somewhere", seen.len());
    Ok(count)
}

type Rows = BTreeMap<String, String>;

/// Lines of `-G fields` by the name of their field, without descriptions: those of fields
/// that both know, and those that only netbreath knows.
fn ours_and_theirs() -> Result<(Rows, BTreeSet<String>)> {
    let list = |program: &mut Command| -> Result<Rows> {
        let output = program.output().context("list fields")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut rows = Rows::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            let end = cells.len().min(7);
            if let (Some(name), Some(row)) = (cells.get(2), cells.get(..end)) {
                rows.entry((*name).to_owned()).or_insert_with(|| row.join("\t"));
            }
        }
        Ok(rows)
    };
    let binary = netbreath_tests::tracer::binary()?;
    let ours = list(Command::new(binary).args(["tshark", "-G", "fields"]))?;
    let theirs = list(Command::new("tshark").args(["-G", "fields"]))?;
    ensure!(ours.len() > 300, "netbreath lists {} fields", ours.len());
    let alone = ours.keys().filter(|name| !theirs.contains_key(*name)).cloned().collect();
    let mut wrong = Vec::new();
    for (name, row) in &ours {
        if let Some(other) = theirs.get(name)
            && other != row
        {
            wrong.push(format!("tshark    {other}\nnetbreath {row}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known = ours.into_iter().filter(|(name, _)| theirs.contains_key(name)).collect();
    Ok((known, alone))
}

fn glossary() -> Result<u64> {
    let (known, alone) = ours_and_theirs()?;
    let own: BTreeSet<String> = alone
        .into_iter()
        .filter(|name| {
            !name.starts_with("frame.process_info.") && name != "tcp.state" && name != "owner"
        })
        .collect();
    ensure!(own.is_empty(), "Wireshark does not know {own:?}");
    Ok(known.len() as u64)
}

/// All packets over Ethernet in one capture.
fn all() -> Capture {
    let mut all = Capture::new("all", ETHERNET);
    for capture in capture::all() {
        if capture.link_type == ETHERNET && !capture.name.contains("cut") {
            for (_, _, bytes) in capture.packets {
                all.add(bytes);
            }
        }
    }
    // Statistics of intervals leave the last packet out.
    all.add(vec![0; 20]);
    all
}

const NUMBERS: [&str; 4] = ["-T", "fields", "-e", "frame.number"];

fn accepted() -> Result<u64> {
    let folder = Folder::new("accepted")?;
    let all = all();
    let file = folder.write(&all)?;
    let mut count = 0;
    let mut wrong = Vec::new();
    let last = all.packets.len() as u64;
    let theirs = selected(&file, all.packets.len())?;
    for (text, mut theirs) in filter::ACCEPTED.iter().zip(theirs) {
        let ours = netbreath(&file, &[&["-Y", text][..], &NUMBERS].concat())?;
        let mut packets: BTreeSet<u64> =
            ours.out.lines().filter_map(|line| line.parse().ok()).collect();
        packets.remove(&last);
        theirs.remove(&last);
        if !ours.good {
            wrong.push(format!("{text}: {}", ours.talk));
        } else if packets != theirs {
            let only = |a: &BTreeSet<u64>, b: &BTreeSet<u64>| {
                a.difference(b).take(5).map(u64::to_string).collect::<Vec<_>>().join(" ")
            };
            wrong.push(format!(
                "{text}: tshark alone selects {}, netbreath alone {}",
                only(&theirs, &packets),
                only(&packets, &theirs)
            ));
        }
        count += 1;
    }
    ensure!(count >= 150, "only {count} filters");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(count)
}

/// Which packets tshark selects by each filter. It takes half a second to start, so many
/// filters go in one call: each is asked to put a mark of its own into the summary.
fn selected(file: &std::path::Path, packets: usize) -> Result<Vec<BTreeSet<u64>>> {
    let mut all = vec![BTreeSet::new(); filter::ACCEPTED.len()];
    let several: Vec<usize> =
        (0..all.len()).filter(|at| !filter::ACCEPTED[*at].contains(',')).collect();
    // One interval for each packet, one column for each filter.
    for part in several.chunks(24) {
        let filters: Vec<&str> = part.iter().map(|at| filter::ACCEPTED[*at]).collect();
        let statistic = format!("io,stat,0.001234,{}", filters.join(","));
        let said = tshark(file, &["-q", "-z", &statistic])?;
        ensure!(said.good, "tshark {statistic}: {}", said.talk);
        let rows: Vec<&str> = said.out.lines().filter(|line| line.contains("<>")).collect();
        ensure!(
            !rows.is_empty() && rows.len() <= packets + 1,
            "{} rows in\n{}",
            rows.len(),
            said.out
        );
        for (number, row) in (1..).zip(rows) {
            let cells: Vec<&str> = row.split('|').map(str::trim).skip(2).collect();
            for (place, at) in part.iter().enumerate() {
                let frames = cells.get(2 * place).context("a column")?;
                match *frames {
                    "0" => {}
                    "1" => {
                        all[*at].insert(number);
                    }
                    other => bail!("{other} frames in a row of\n{row}"),
                }
            }
        }
    }
    for (at, text) in filter::ACCEPTED.iter().enumerate() {
        if text.contains(',') {
            let said = tshark(file, &[&["-Y", text][..], &NUMBERS].concat())?;
            ensure!(said.good, "tshark {text}: {}", said.talk);
            all[at] = said.out.lines().filter_map(|line| line.parse().ok()).collect();
        }
    }
    Ok(all)
}

fn refused() -> Result<u64> {
    let folder = Folder::new("refused")?;
    let mut capture = all();
    capture.packets.truncate(1);
    let file = folder.write(&capture)?;
    let mut count = 0;
    for text in filter::REFUSED {
        let theirs = tshark(&file, &["-Y", text])?;
        ensure!(!theirs.good, "tshark takes {text}");
        let ours = netbreath(&file, &["-Y", text])?;
        ensure!(!ours.good, "netbreath takes {text}");
        let lines: Vec<&str> = ours.talk.lines().collect();
        ensure!(lines.len() >= 3, "{text}: no place in\n{}", ours.talk);
        let caret = lines[lines.len() - 1].trim();
        ensure!(
            caret.starts_with('^') && caret[1..].bytes().all(|byte| byte == b'~'),
            "{text}: no place in\n{}",
            ours.talk
        );
        ensure!(lines[lines.len() - 2].trim() == text.trim(), "{text}: not in\n{}", ours.talk);
        count += 2;
    }
    Ok(count)
}

/// No control character of a packet comes out.
fn hostile() -> Result<u64> {
    let folder = Folder::new("hostile")?;
    let mut count = 0;
    let mut all = capture::all();
    all.push(capture::hostile());
    for capture in all {
        let file = folder.write(&capture)?;
        for args in
            [&[][..], &["-V"], &["-x"], &["-T", "fields", "-e", "http.host", "-e", "frame.number"]]
        {
            let text = netbreath(&file, args)?.out;
            let harm = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
            let bad = text.chars().find(|c| harm(*c));
            ensure!(bad.is_none(), "{} {args:?} has {bad:?}", capture.name);
            count += 1;
        }
    }
    Ok(count)
}

/// docs/differences.md has a row for every rule here, and none more.
fn documented() -> Result<u64> {
    let text = include_str!("../../docs/differences.md");
    let part = text.split("\n## ").find(|part| part.starts_with("tshark")).context("a section")?;
    let rows: BTreeSet<&str> =
        part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|(name, _)| *name).collect();
    ensure!(rows == rules, "docs/differences.md has {rows:?}, the comparison {rules:?}");
    Ok(rules.len() as u64)
}
