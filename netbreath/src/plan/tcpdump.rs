//! What `netbreath tcpdump` means.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use super::capture::To;
use crate::capture::rotation::Rotation;
use crate::cli::CaptureArgs;
use crate::cli::tcpdump::{StyleName, TcpdumpArgs};
use crate::host::Terminal;
use crate::lesson::line::Explained;
use crate::view::tcpdump::{Dialect, Dump, Style, Times};

/// A question to packets that makes sense.
#[derive(Debug)]
pub struct Tcpdump {
    pub style: Style,
    /// Names instead of numbers.
    pub names: bool,
    pub from: Origin,
    pub to: To,
    pub rotation: Rotation,
    pub count: Option<NonZeroU64>,
    /// Only their number is asked for.
    pub only_count: bool,
    /// Each packet is written as it comes.
    pub unbuffered: bool,
}

/// Where packets come from.
#[derive(Debug)]
pub enum Origin {
    File { path: PathBuf, filter: Option<String> },
    Live(Box<CaptureArgs>),
}

/// Why a command line makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid packet count {typed}: give a number from 1 on")]
    Count { typed: String },
    #[error("invalid file size {typed}: give millions of bytes, or a number with k, m or g")]
    FileSize { typed: String },
    #[error("-G 0: give at least one second")]
    NoSeconds,
    #[error("-W needs -C or -G: it counts the files that they begin")]
    Files,
    #[error("-C and -G need the name of a file: standard output is one, and stays so")]
    OneOutput,
    #[error("--count is for files: give one with -r")]
    CountLive,
    #[error("cannot read the filter in {}: {source}", path.display())]
    Filter { path: PathBuf, source: io::Error },
}

/// What `args` mean.
pub fn tcpdump(args: &TcpdumpArgs, terminal: Terminal) -> Result<Tcpdump, Error> {
    let filter = match &args.filter_file {
        None => args.filter.join(" "),
        Some(path) => fs::read_to_string(path)
            .map_err(|source| Error::Filter { path: path.clone(), source })?,
    };
    let filter = Some(filter.trim().to_owned()).filter(|filter| !filter.is_empty());
    let count = match &args.count {
        None => None,
        Some(typed) => {
            let count = typed.parse().map_err(|_| Error::Count { typed: typed.clone() });
            Some(count?)
        }
    };
    if args.only_count && args.read.is_none() {
        return Err(Error::CountLive);
    }
    let rotation = rotation(args)?;
    let to = match &args.write {
        None => To::Lines,
        Some(path) => To::File {
            path: Some(path.clone()).filter(|path| path != Path::new("-")),
            pcap: args.pcap,
            comments: false,
        },
    };
    let from = match &args.read {
        Some(path) => Origin::File { path: path.clone(), filter },
        None => Origin::Live(Box::new(CaptureArgs {
            filter: filter.into_iter().collect(),
            interface: args.interface.clone(),
            direction: args.direction,
            snap_len: args.snap_len.filter(|len| *len > 0).unwrap_or(262_144),
            ring_size: args.buffer.map_or("32M".to_owned(), |kib| format!("{kib}K")),
            explain: args.code > 0,
            pcap: args.pcap,
            write: args.write.clone(),
            ready_file: args.ready_file.clone(),
            ..CaptureArgs::default()
        })),
    };
    let explained = args.lesson.explain.then(|| {
        let language = args.lesson.lang.unwrap_or(terminal.language);
        Explained::new(language, terminal.width.map(usize::from))
    });
    Ok(Tcpdump {
        style: Style { explained, ..style(args) },
        names: args.numeric == 0,
        from,
        to,
        rotation,
        count,
        only_count: args.only_count,
        unbuffered: args.unbuffered,
    })
}

fn rotation(args: &TcpdumpArgs) -> Result<Rotation, Error> {
    let size = match &args.file_size {
        None => None,
        Some(typed) => {
            Some(file_size(typed).ok_or_else(|| Error::FileSize { typed: typed.clone() })?)
        }
    };
    if args.file_seconds == Some(0) {
        return Err(Error::NoSeconds);
    }
    let rotates = size.is_some() || args.file_seconds.is_some();
    if args.files.is_some() && !rotates {
        return Err(Error::Files);
    }
    if rotates && args.write.as_deref() == Some(Path::new("-")) {
        return Err(Error::OneOutput);
    }
    Ok(Rotation { size, seconds: args.file_seconds, files: args.files.filter(|files| *files > 0) })
}

/// Millions of bytes, or what a unit says.
fn file_size(typed: &str) -> Option<u64> {
    let digits = typed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match typed[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1_000_000,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok().filter(|size| *size > 0)?.checked_mul(unit)
}

fn style(args: &TcpdumpArgs) -> Style {
    let (dump, dump_link) = match (args.hex_and_text, args.hex, args.text) {
        (0, 0, 0) => (Dump::None, false),
        (0, 0, text) => (Dump::Text, text > 1),
        (0, hex, _) => (Dump::Hex, hex > 1),
        (both, ..) => (Dump::HexAndText, both > 1),
    };
    Style {
        link: args.link,
        verbose: args.verbose,
        quiet: args.quiet,
        absolute: args.absolute,
        times: match args.times {
            0 => Times::Clock,
            1 => Times::None,
            2 => Times::Epoch,
            3 => Times::SincePrevious,
            4 => Times::Date,
            _ => Times::SinceFirst,
        },
        nanoseconds: args.nano,
        numbers: args.number,
        no_checksums: args.no_checksums,
        short_names: args.short_names,
        dump,
        dump_link,
        owners: args.owners,
        dialect: match args.style {
            StyleName::Linux => Dialect::Linux,
            StyleName::Macos => Dialect::Macos,
        },
        explained: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_files_are_millions_or_have_a_unit() {
        assert_eq!(file_size("2"), Some(2_000_000));
        assert_eq!(file_size("10k"), Some(10_240));
        assert_eq!(file_size("1G"), Some(1 << 30));
        for wrong in ["", "0", "k", "1x", "-1", "99999999999999999g"] {
            assert_eq!(file_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let plan = |change: fn(&mut TcpdumpArgs)| {
            let mut args = TcpdumpArgs::default();
            change(&mut args);
            tcpdump(&args, Terminal::default()).map_err(|error| error.to_string())
        };
        assert!(plan(|_| {}).is_ok());
        assert!(
            plan(|a| a.count = Some("0".into())).unwrap_err().contains("invalid packet count 0")
        );
        assert!(
            plan(|a| a.count = Some("x".into())).unwrap_err().contains("invalid packet count x")
        );
        assert!(plan(|a| a.files = Some(3)).unwrap_err().contains("-W needs"));
        assert!(plan(|a| a.only_count = true).unwrap_err().contains("-r"));
        assert!(plan(|a| a.file_seconds = Some(0)).is_err());
    }
}
