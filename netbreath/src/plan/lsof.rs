//! What a command line of lsof means.

use std::os::unix::fs::MetadataExt;

use super::socket::Names;
use crate::cli::{FormatName, LsofArgs};
use crate::host::Terminal;
use crate::lesson::line::Explained;
use crate::view::lsof::Layout;
use crate::view::lsof::select::{
    Descriptor, Error as SelectError, Internet, List, Lookup, Select, States,
};

/// A question about open files.
#[derive(Debug)]
pub struct Lsof {
    pub select: Select,
    pub layout: Layout,
    pub output: Output,
    pub names: Names,
    /// That something was not found is no error.
    pub quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Table,
    Pids,
    Fields { letters: String, nul: bool },
    Rows(FormatName),
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Select(#[from] SelectError),
    #[error("-F does not know the letter {letter:?}; it knows: {known}, and 0 for NUL")]
    Field { letter: char, known: String },
    #[error("-T does not know the letter {letter:?}; it knows: q queues, s state")]
    TcpInfo { letter: char },
    #[error("cannot look at {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error(
        "-r would ask again and again: `netbreath ss -E` and `netbreath trace` show changes as they \
         happen"
    )]
    Repeat,
    #[error("--explain is text: leave --format, -F and -t out")]
    ExplainText,
    #[error("--format jsonl is for events, one a line: use --format json or csv")]
    EventsOfAnswer,
}

/// Looks up users too.
pub trait Users {
    fn user(&self, name: &str) -> Option<u32>;
}

pub fn lsof(
    args: &LsofArgs,
    terminal: Terminal,
    lookup: &(impl Lookup + Users),
) -> Result<Lsof, Error> {
    if args.repeat.is_some() {
        return Err(Error::Repeat);
    }
    let number = |option: &'static str| {
        move |typed: &str| {
            typed
                .parse::<u32>()
                .map_err(|_| SelectError::Number { option, typed: typed.to_owned() })
        }
    };
    let groups: Vec<String> =
        args.groups.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    let mut files = Vec::new();
    for path in &args.names {
        let about = std::fs::metadata(path)
            .map_err(|source| Error::File { path: path.display().to_string(), source })?;
        files.push((about.dev(), about.ino()));
    }
    let mut states = Vec::new();
    // A state's list has commas in it too: TCP:LISTEN,CLOSE_WAIT.
    for typed in args.states.iter().filter(|typed| !typed.is_empty()) {
        states.push(States::parse(typed)?);
    }
    let select = Select {
        internet: args
            .internet
            .iter()
            .map(|typed| Internet::parse(typed, lookup))
            .collect::<Result<_, _>>()?,
        unix: args.unix,
        pids: List::parse(&args.pids, number("-p"))?,
        groups: List::parse(&groups, number("-g"))?,
        users: List::parse(&args.users, |typed| {
            let number = typed.parse().ok();
            number
                .or_else(|| lookup.user(typed))
                .ok_or_else(|| SelectError::User { typed: typed.to_owned() })
        })?,
        commands: List::parse(&args.commands, |typed| {
            Ok::<_, SelectError>(typed.as_bytes().to_vec())
        })?,
        descriptors: List::parse(&args.descriptors, Descriptor::parse)?,
        states,
        files,
        and: args.and,
    };
    let format = if args.json { FormatName::Json } else { args.format };
    let output = match (&args.fields, format) {
        (_, FormatName::Jsonl) => return Err(Error::EventsOfAnswer),
        (_, format @ (FormatName::Json | FormatName::Csv)) => Output::Rows(format),
        _ if args.terse => Output::Pids,
        (Some(letters), _) => fields(letters)?,
        _ => Output::Table,
    };
    let explain = match (args.explain.explain, &output) {
        (false, _) => None,
        (true, Output::Table) => {
            let language = args.explain.lang.unwrap_or(terminal.language);
            Some(Explained::new(language, terminal.width.map(usize::from)))
        }
        (true, _) => return Err(Error::ExplainText),
    };
    let (mut state, mut queues) = (true, false);
    if let Some(letters) = &args.tcp_info {
        state = false;
        for letter in letters.chars() {
            match letter {
                's' => state = true,
                'q' => queues = true,
                // Windows and options: this kernel's tables do not tell them here.
                'w' | 'f' => {}
                letter => return Err(Error::TcpInfo { letter }),
            }
        }
    }
    Ok(Lsof {
        select,
        layout: Layout {
            command_width: args.command_width,
            parents: args.parents,
            groups: args.groups.is_some(),
            state,
            queues,
            numeric_users: args.numeric_users,
            unicode: terminal.utf8,
            explain,
        },
        output,
        names: Names {
            hosts: !args.numeric_hosts,
            ports: !args.numeric_ports,
            users: !args.numeric_users,
        },
        quiet: args.quiet,
    })
}

fn fields(letters: &str) -> Result<Output, Error> {
    use crate::view::lsof::{FILE_FIELDS, PROCESS_FIELDS};
    let known = format!("{PROCESS_FIELDS}{FILE_FIELDS}");
    let nul = letters.contains('0');
    let letters: String = letters.chars().filter(|letter| *letter != '0').collect();
    if let Some(letter) = letters.chars().find(|letter| !known.contains(*letter)) {
        return Err(Error::Field { letter, known });
    }
    let letters = if letters.is_empty() { known } else { letters };
    Ok(Output::Fields { letters, nul })
}
