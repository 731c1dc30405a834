//! The operating system asked once, now: what is behind a process id, a user's
//! name, a path. Behind a trait, so that the plan can be tested without it.

use std::io;
use std::path::{Path, PathBuf};

use crate::event::header::{self, Header};
use crate::filter::Cgroup;
use crate::lesson::Language;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{Linux as System, caller, locale_is_utf8, name_of, own_netns, user_name};
#[cfg(target_os = "linux")]
pub use linux::{ethtool, file, netlink, network, sandbox, socket};

/// What the plan asks the operating system.
pub trait Host {
    /// What the number is among processes.
    fn process(&self, pid: u32) -> io::Result<Process>;

    /// The id of the user with this name.
    fn user(&self, name: &str) -> io::Result<Option<u32>>;

    /// The cgroup at this path below the root of the unified hierarchy.
    fn cgroup(&self, path: &str) -> io::Result<Cgroup>;

    /// The inode number of the network namespace that this file stands for.
    fn netns(&self, path: &Path) -> io::Result<u32>;

    /// Where output goes and what it can show.
    fn terminal(&self) -> Terminal;
}

/// What a recording that is made here by `source` says of itself.
pub fn header(source: &str) -> Header {
    Header {
        format: header::FORMAT,
        program: concat!("netbreath ", env!("CARGO_PKG_VERSION")).to_owned(),
        platform: std::env::consts::OS.to_owned(),
        machine: std::env::consts::ARCH.to_owned(),
        kernel: kernel(),
        host: host_name(),
        source: source.to_owned(),
        netns: own_netns(),
        ..Header::default()
    }
}

/// The kernel's release and the host's name.
fn uname() -> Option<libc::utsname> {
    // SAFETY: all of its fields are bytes, for which 0 is a value.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: writes to the structure, which is ours.
    (unsafe { libc::uname(&raw mut names) } == 0).then_some(names)
}

fn text(field: &[libc::c_char]) -> String {
    let bytes: Vec<u8> =
        field.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kernel() -> Option<String> {
    uname().map(|names| text(&names.release))
}

fn host_name() -> Option<String> {
    uname().map(|names| text(&names.nodename))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Here,
    Gone,
    /// A thread of this process.
    Thread(u32),
}

/// What is known about standard output and standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is one.
    pub stderr: bool,
    /// How many columns the terminal of standard output has.
    pub width: Option<u16>,
    /// The environment's word against colour: NO_COLOR, or a terminal that is dumb.
    pub no_colour: bool,
    /// The locale's encoding is UTF-8.
    pub utf8: bool,
    /// The language of the environment's locale.
    pub language: Language,
}

/// The user on whose behalf we run, where that is not the one whose rights we have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Name and home of the user, unless the user has no account.
    pub account: Option<Account>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub home: PathBuf,
    pub shell: PathBuf,
}
