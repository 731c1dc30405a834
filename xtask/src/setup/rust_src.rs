//! The sources of `core`, which has to be built for the BPF target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self as std_process, Command};

use anyhow::{Context, Result, anyhow, bail};

use super::apt::{self, Apt};
use crate::ebpf;
use crate::process;
use crate::workspace::Workspace;

/// Makes sure that they are in the sysroot, or kept beside the tools.
pub fn require(workspace: &Workspace) -> Result<()> {
    let rustc = Rustc::ask()?;
    if rustc.has_src() || rustc.kept_src(workspace).is_some() {
        return Ok(());
    }
    eprintln!("setup: rust-src {} ... asking rustup", rustc.release);
    let from_rustup = rustup(workspace);
    if from_rustup.is_ok() && rustc.has_src() {
        eprintln!("setup: rust-src {} ... done", rustc.release);
        return Ok(());
    }
    let Some(apt) = Apt::here(&workspace.tools) else {
        let why = from_rustup
            .err()
            .unwrap_or_else(|| anyhow!("rustup added it, but not to {}", rustc.sysroot.display()));
        return Err(why).with_context(|| {
            format!(
                "setup: the sources of core for Rust {} cannot be had; \
                 `rustup component add rust-src` gives them",
                rustc.release
            )
        });
    };
    eprintln!(
        "setup: rust-src {} ... not from rustup: asking Debian's mirror (about 50 MB, once)",
        rustc.release
    );
    from_debian(workspace, &rustc, &apt).with_context(|| {
        format!(
            "setup: the sources of core for Rust {} cannot be had, neither from rustup nor \
             from Debian; `rustup component add rust-src` gives them where it has a network",
            rustc.release
        )
    })
}

/// The folder to use if they are not in the sysroot.
pub fn kept(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let rustc = Rustc::ask()?;
    if rustc.has_src() {
        return Ok(None);
    }
    Ok(rustc.kept_src(workspace))
}

struct Rustc {
    release: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn ask() -> Result<Self> {
        let ask = |args: &[&str]| ebpf::ask_rustc(Path::new("rustc"), args).map_err(|e| anyhow!(e));
        let version = ask(&["-vV"])?;
        let release = ebpf::release(&version)
            .with_context(|| format!("`rustc -vV` names no release: {version}"))?;
        Ok(Self { release: release.to_owned(), sysroot: ask(&["--print", "sysroot"])?.into() })
    }

    fn has_src(&self) -> bool {
        ebpf::is_rust_src(&ebpf::sysroot_rust_src(&self.sysroot))
    }

    fn kept_src(&self, workspace: &Workspace) -> Option<PathBuf> {
        let kept = ebpf::kept_rust_src(&workspace.tools, &self.release);
        ebpf::is_rust_src(&kept).then_some(kept)
    }
}

fn rustup(workspace: &Workspace) -> Result<()> {
    if process::find("rustup").is_none() {
        bail!("there is no rustup");
    }
    process::run(
        Command::new("rustup").args(["component", "add", "rust-src"]).current_dir(&workspace.root),
    )
}

fn from_debian(workspace: &Workspace, rustc: &Rustc, apt: &Apt) -> Result<()> {
    let package = apt.find("rust-src", |version| apt::is_version_of(version, &rustc.release))?;
    eprintln!("setup: rust-src {} ... unpacking", package.version);
    let unpacked = apt.unpack(&package)?;
    let found = unpacked.join("usr/src").join(format!("rustc-{}", rustc.release));
    if !ebpf::is_rust_src(&found) {
        bail!("rust-src {} has no {}", package.version, found.display());
    }
    let place = ebpf::sysroot_rust_src(&rustc.sysroot);
    match put(&found, &place) {
        Ok(()) => eprintln!("setup: rust-src ... in {}", place.display()),
        Err(why) => {
            // Why not an error: the sysroot may well be the distribution's, or read-only.
            let kept = ebpf::kept_rust_src(&workspace.tools, &rustc.release);
            put(&found, &kept)?;
            eprintln!("setup: rust-src ... in {} ({why:#})", kept.display());
        }
    }
    apt.clean();
    Ok(())
}

/// Copies the library into its place, whole or not at all. A copy and no link: the target
/// folder goes with the next `cargo clean`, and others may use the same sysroot.
fn put(from: &Path, place: &Path) -> Result<()> {
    let parent = place.parent().with_context(|| format!("{} is no place", place.display()))?;
    fs::create_dir_all(parent)
        .with_context(|| format!("cannot make the folder {}", parent.display()))?;
    if place.is_symlink() && !place.exists() {
        fs::remove_file(place)
            .with_context(|| format!("cannot remove the dead link {}", place.display()))?;
    }
    let half = parent.join(format!(".rust-src-{}", std_process::id()));
    let copied = fs::create_dir(&half)
        .with_context(|| format!("cannot write to {}", parent.display()))
        .and_then(|()| {
            process::run(Command::new("cp").arg("-R").arg(from.join("library")).arg(&half))
        })
        .and_then(|()| {
            fs::rename(&half, place)
                .with_context(|| format!("cannot put the sources at {}", place.display()))
        });
    if copied.is_err() {
        // Why no error: there is one already.
        let _ = fs::remove_dir_all(&half);
    }
    copied
}
