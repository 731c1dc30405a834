//! Where the events go cannot take them.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Folder, Outcome, Report};
use crate::event;
use crate::netns::Netns;
use crate::stage::{Stage, address};
use crate::step::Call;
use crate::tracer::{self, Kind};

const PATIENCE: Duration = Duration::from_secs(30);

/// A netbreath whose output is no file of its own.
pub(super) struct Writer {
    child: Child,
    folder: Folder,
}

impl Writer {
    fn start(netns: &Netns, options: &[&str], stdout: Stdio) -> Result<Writer> {
        let space = netns.inode().to_string();
        Writer::prepared(&[&["--netns", &space], options].concat(), stdout, || Ok(()))
    }

    /// One for which `prepare` makes the system look otherwise, between fork and exec.
    pub(super) fn prepared(
        options: &[&str],
        stdout: Stdio,
        prepare: fn() -> std::io::Result<()>,
    ) -> Result<Writer> {
        let folder = Folder::new()?;
        let mut command = Command::new(tracer::binary()?);
        command.args(["trace", "--ready-file"]).arg(folder.file("ready"));
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe { command.pre_exec(prepare) };
        command.args(options).stdin(Stdio::null()).stdout(stdout);
        command.stderr(fs::File::create(folder.file("talk"))?);
        let child = command.spawn().context("start netbreath")?;
        let mut writer = Writer { child, folder };
        let deadline = Instant::now() + PATIENCE;
        while !writer.folder.file("ready").exists() {
            if let Some(status) = writer.child.try_wait()? {
                bail!("netbreath ended before it was ready: {status}: {}", writer.talk());
            }
            if Instant::now() > deadline {
                bail!("netbreath is not ready in {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(writer)
    }

    fn talk(&self) -> String {
        fs::read_to_string(self.folder.file("talk")).unwrap_or_default()
    }

    /// Ends it as a user does.
    pub(super) fn interrupt(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).context("pid of netbreath")?;
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(pid, libc::SIGINT) };
        self.child.wait().context("wait for netbreath")
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("wait for netbreath")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Does nothing to a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections in the stage's namespace until the writer ends.
fn connect_until_ended(stage: &Stage, writer: &mut Writer) -> Result<ExitStatus> {
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:0")?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let c = client.connect(address(&listener)?)?;
        let s = server.accept(&listener, Call::Accept4)?;
        client.close(&c)?;
        server.drain(&s)?;
        server.close(&s)?;
        if let Some(status) = writer.ended()? {
            return Ok(status);
        }
    }
    bail!("netbreath still runs after {PATIENCE:?}: {}", writer.talk())
}

pub fn full_device(report: &mut Report) -> Result<Outcome> {
    for format in ["jsonl", "csv"] {
        let stage = Stage::new(Kind::Netbreath)?;
        let options = ["--format", format, "-o", "/dev/full"];
        let mut writer = Writer::start(&stage.netns, &options, Stdio::null())?;
        let status = connect_until_ended(&stage, &mut writer)?;
        report.equal("exit code", &status.code(), &Some(2));
        report.holds("the message", &writer.talk(), "cannot write to /dev/full");
        report.holds("the message", &writer.talk(), "No space left on device");
    }
    Ok(Outcome::Done)
}

/// A file system without room: what has been written stays whole.
pub fn full_disk(report: &mut Report) -> Result<Outcome> {
    for format in ["jsonl", "csv"] {
        let stage = Stage::new(Kind::Netbreath)?;
        let folder = Folder::new()?;
        let place = folder.file("small");
        fs::create_dir(&place)?;
        let _small = Small::mount(&place)?;
        let file = place.join("events");
        let options = ["--format", format, "-o", &file.to_string_lossy()].map(str::to_owned);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut writer = Writer::start(&stage.netns, &options, Stdio::null())?;
        let status = connect_until_ended(&stage, &mut writer)?;
        report.equal("exit code", &status.code(), &Some(2));
        report.holds("the message", &writer.talk(), &format!("cannot write to {}", file.display()));
        report.holds("the message", &writer.talk(), "No space left on device");
        let text = fs::read_to_string(&file).context("read what was written")?;
        report.check(text.len() > 1000, || format!("only {} bytes were written", text.len()));
        report.check(text.ends_with('\n'), || {
            format!("half a line at the end: {:?}", text.lines().last())
        });
        if format == "jsonl" {
            let read = event::read(text.lines());
            report.check(read.is_ok(), || format!("{:?}", read.err()));
        } else {
            // Texts of gaps have commas in them, in quotes.
            let rows: Vec<&str> = text.lines().filter(|line| !line.contains('"')).collect();
            let width = |line: &&str| line.split(',').count();
            let other = rows.iter().find(|row| Some(width(row)) != rows.first().map(width));
            report.check(other.is_none(), || format!("a row of another width: {other:?}"));
        }
    }
    Ok(Outcome::Done)
}

/// A file system of a few pages.
struct Small(std::ffi::CString);

impl Small {
    fn mount(place: &std::path::Path) -> Result<Small> {
        let place = std::ffi::CString::new(place.to_string_lossy().as_bytes())?;
        // SAFETY: all pointers are NUL-terminated strings that outlive the call.
        let done = unsafe {
            libc::mount(
                c"none".as_ptr(),
                place.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=32k".as_ptr().cast(),
            )
        };
        if done != 0 {
            return Err(std::io::Error::last_os_error()).context("mount a small file system");
        }
        Ok(Small(place))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // SAFETY: a NUL-terminated string. Lazily: the writer may still have it open.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

/// The reader had gone before the first event.
pub fn broken_pipe(report: &mut Report) -> Result<Outcome> {
    for format in ["jsonl", "text"] {
        let stage = Stage::new(Kind::Netbreath)?;
        let (reader, pipe) = std::io::pipe()?;
        let mut writer = Writer::start(&stage.netns, &["--format", format], pipe.into())?;
        drop(reader);
        let status = connect_until_ended(&stage, &mut writer)?;
        report.equal("exit code", &status.code(), &Some(0));
        let talk = writer.talk();
        let quiet = !["netbreath:", "panic", "Broken"].iter().any(|word| talk.contains(word));
        report.check(quiet, || format!("a pipe that is closed is no error: {talk:?}"));
    }
    Ok(Outcome::Done)
}

/// `netbreath trace | head -1`.
pub fn reader_goes_meanwhile(report: &mut Report) -> Result<Outcome> {
    for format in ["jsonl", "csv"] {
        let stage = Stage::new(Kind::Netbreath)?;
        let (mut reader, pipe) = std::io::pipe()?;
        let mut writer = Writer::start(&stage.netns, &["--format", format], pipe.into())?;
        let first = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
            let mut bytes = vec![0; 64];
            reader.read_exact(&mut bytes)?;
            Ok(bytes)
        });
        let status = connect_until_ended(&stage, &mut writer)?;
        let first = first.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        report.check(!first.is_empty(), || "nothing was read".to_owned());
        report.equal("exit code", &status.code(), &Some(0));
    }
    Ok(Outcome::Done)
}
