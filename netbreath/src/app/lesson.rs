//! The commands that teach: `explain`, `tour`, `lab`, `learn` and `diagram`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use netbreath::cli::{DiagramArgs, ExplainArgs, LabArgs, LearnArgs, TourArgs};
use netbreath::format::diagram::{Kind, draw};
use netbreath::host::Host;
use netbreath::teach::{self, lab, tour};
use netbreath::tui::learn::Learn;
use netbreath::tui::terminal::{self, Screen};
use netbreath::{answer, host};

use super::{Failure, PRIVILEGE, print};

/// Explains a topic, or lists them all.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let language = args.lang.unwrap_or(terminal.language);
    let (text, code) = answer::lesson::explain(&args.topic.join(" "), language, terminal);
    match code {
        0 => print(text.as_bytes()),
        code => Err(Failure { code, error: anyhow!(text) }),
    }
}

/// Waits for Enter: whether the reader wants to go on.
fn goes_on() -> bool {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.is_ok_and(|len| len > 0) && !line.trim().starts_with('q')
}

/// Plays a scenario, or lists them.
pub fn lab(args: &LabArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let failed = |error: lab::Error| Failure { code: error.code(), error: error.into() };
    let manner = lab::Manner {
        language: args.lang.unwrap_or(terminal.language),
        width: terminal.width.map_or(80, usize::from).clamp(60, 120),
        stops: !args.auto && io::stdin().is_terminal(),
    };
    let name = args.scenario.join(" ");
    if name.is_empty() || name.eq_ignore_ascii_case("list") {
        let mut text = String::new();
        lab::list(manner.language, manner.width, &mut text);
        return print(text.as_bytes());
    }
    let scenario = lab::named(&name).map_err(failed)?;
    let recording = match lab::play(scenario, manner, &mut io::stdout(), &mut goes_on) {
        Err(error) if error.is_broken_pipe() => return Ok(ExitCode::SUCCESS),
        played => played.map_err(failed)?,
    };
    if let Some(path) = &args.output {
        fs::write(path, recording).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets the reader step through what was recorded.
pub fn learn(args: &LearnArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let language = args.lang.unwrap_or(terminal.language);
    let moments = match &args.recording {
        Some(path) => teach::story::open(path)?,
        None if args.command.is_empty() => {
            teach::story::moments(teach::story::read(tour::RECORDING)?)
        }
        None => watched_command(&args.command)?,
    };
    let mut learn = Learn::new(moments, language);
    if learn.connections() == 0 {
        return Err(Failure { code: 1, error: anyhow!("no connection was recorded") });
    }
    if !terminal.stdout || !io::stdin().is_terminal() {
        let width = terminal.width.map_or(80, usize::from).clamp(60, 120);
        return print(learn.text(width).as_bytes());
    }
    let mut keys = terminal::inputs()?;
    let mut screen = Screen::open(false, "`netbreath learn | cat` writes it as text")?;
    loop {
        screen.draw(|frame| learn.paint(frame))?;
        match keys.blocking_recv() {
            Some(input) if learn.take(&input) => {}
            _ => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// Runs a command under `netbreath trace`; what was seen of its connections.
fn watched_command(
    command: &[OsString],
) -> Result<Vec<netbreath::event::segment::Moment>, Failure> {
    let path = std::env::temp_dir().join(format!("netbreath-learn-{}", std::process::id()));
    let status = std::process::Command::new("/proc/self/exe")
        .args(["trace", "--format", "jsonl", "-o"])
        .arg(&path)
        .arg("--")
        .args(command)
        .status()
        .context("cannot run `netbreath trace`")?;
    if status.code() == Some(i32::from(PRIVILEGE)) {
        let error = anyhow!("to watch a command takes root: sudo netbreath learn -- COMMAND");
        return Err(Failure { code: PRIVILEGE, error });
    }
    let moments = teach::story::open(&path);
    // Why ignored: what is left in the folder for temporary files does no harm.
    let _ = fs::remove_file(&path);
    Ok(moments?)
}

/// Draws a recording.
pub fn diagram(args: &DiagramArgs) -> Result<ExitCode, Failure> {
    let language = args.lang.unwrap_or(host::System.terminal().language);
    let kind = Kind::of(&args.output).ok_or_else(|| {
        anyhow!("{}: a name that ends in .txt, .mmd, .svg or .html", args.output.display())
    })?;
    let moments = teach::story::open(&args.recording)?;
    fs::write(&args.output, draw(kind, &moments, language))
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Gives the tour: live if that can be, else from the recording.
pub fn tour(args: &TourArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let recorded = || tour::Place::recorded();
    let mut place = match args.recorded {
        true => recorded()?,
        false => match tour::Place::live(args.port) {
            Err(error) if error.is_privilege() => recorded()?,
            place => place?,
        },
    };
    let manner = tour::Manner {
        language: args.lang.unwrap_or(terminal.language),
        width: terminal.width.map_or(80, usize::from).clamp(60, 120),
        stops: !args.auto && io::stdin().is_terminal(),
        unicode: terminal.utf8,
        waits: !args.no_wait,
    };
    match tour::give(&mut place, manner, io::stdout(), goes_on) {
        Err(error) if error.is_broken_pipe() => {}
        given => given?,
    }
    if let Some(path) = &args.record {
        fs::write(path, place.recording()?).context("cannot write the recording")?;
    }
    Ok(ExitCode::SUCCESS)
}
