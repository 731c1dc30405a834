//! Captures of every protocol that is dissected, and what tshark makes of them.

pub mod build;
pub mod capture;
pub mod filter;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::tracer;
use build::Capture;

/// A folder with captures, that goes away with it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub fn new(name: &str) -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("netbreath-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Folder { path })
    }

    pub fn write(&self, capture: &Capture) -> Result<PathBuf> {
        let path = self.path.join(format!("{}.pcap", capture.name));
        capture.write(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Why ignored: it costs space only.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    pub good: bool,
    pub out: String,
    pub talk: String,
}

fn run(program: &Path, file: &Path, args: &[&str]) -> Result<Said> {
    let mut command = Command::new(program);
    command.args(args).arg("-r").arg(file).stdin(Stdio::null());
    // Both in one zone.
    command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    let output = command.output().with_context(|| format!("run {}", program.display()))?;
    Ok(Said {
        good: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        talk: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// tshark with its answer to a file. It puts no pieces together, since netbreath does not:
/// see `reassembly` in docs/differences.md.
pub fn tshark(file: &Path, args: &[&str]) -> Result<Said> {
    const PIECES: [&str; 7] = [
        "-n",
        "-o",
        "tcp.desegment_tcp_streams:FALSE",
        "-o",
        "ip.defragment:FALSE",
        "-o",
        "ipv6.defragment:FALSE",
    ];
    run(Path::new("tshark"), file, &[&PIECES, args].concat())
}

pub fn netbreath(file: &Path, args: &[&str]) -> Result<Said> {
    run(&tracer::binary()?, file, &[&["tshark", "-n"], args].concat())
}

/// Both, where both must be done.
pub fn both(file: &Path, args: &[&str]) -> Result<(String, String)> {
    let (theirs, ours) = (tshark(file, args)?, netbreath(file, args)?);
    ensure!(theirs.good, "tshark {args:?}: {}", theirs.talk);
    ensure!(ours.good, "netbreath tshark {args:?}: {}", ours.talk);
    Ok((theirs.out, ours.out))
}
