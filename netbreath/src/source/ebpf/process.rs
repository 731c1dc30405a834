//! Who is who: the processes that exist, and those that ended while sockets may
//! still name them. Made from one pass at the start and from exec, fork and exit.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use netbreath_common::record::{self, ARGS, Kind};

use crate::event::{Comm, Process};

/// Processes by id and start, so that one that comes by the id of another never
/// comes by its name.
#[derive(Default)]
pub struct Processes {
    known: HashMap<Key, Known, BuildHasherDefault<Mix>>,
    /// Those of `known` that have ended, oldest end first.
    ended: VecDeque<Key>,
}

/// The name of one process for good.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    pid: u32,
    start: u64,
}

/// What is known of a process.
pub struct Known {
    comm: Comm,
    pub exe: Option<Arc<str>>,
    cmdline: Option<Arc<str>>,
    exec: u32,
    ended: bool,
}

/// Processes that ended and are remembered: a socket can outlive its owner for as
/// long as its peer takes to answer.
const MAX_ENDED: usize = 16_384;

/// Processes that are remembered. Those whose end was lost are never forgotten, so
/// there must be a bound; beyond it, a process is one whose program is not known.
const MAX_KNOWN: usize = 262_144;

impl Processes {
    /// Applies a record of a program: [`Kind::Exec`] or [`Kind::Exists`].
    pub fn run(&mut self, program: &record::Program) -> Process {
        let record::Program { process, .. } = program;
        let known = Known {
            comm: Comm::new(process.comm),
            exe: exe(program),
            cmdline: cmdline(program),
            exec: process.exec,
            ended: false,
        };
        let event = event(process, Some(&known));
        self.set(Key::of(process), known);
        event
    }

    /// Applies a record of another kind. Nothing if the process had ended before, or
    /// only changed its name.
    pub fn apply(&mut self, kind: Kind, process: &record::Process) -> Option<Process> {
        let key = Key::of(process);
        if kind == Kind::Fork {
            let parent = Key { pid: process.parent, start: process.parent_start };
            // A process can be made for another to be its parent; that one runs the
            // same program only by chance, and has become it as often.
            let parent = self.known.get(&parent).filter(|parent| parent.exec == process.exec);
            let known = Known {
                comm: Comm::new(process.comm),
                exe: parent.and_then(|parent| parent.exe.clone()),
                cmdline: parent.and_then(|parent| parent.cmdline.clone()),
                exec: process.exec,
                ended: false,
            };
            let event = event(process, Some(&known));
            self.set(key, known);
            return Some(event);
        }
        let Some(known) = self.known.get_mut(&key) else {
            return (kind == Kind::Exit).then(|| event(process, None));
        };
        if kind == Kind::Rename {
            known.comm = Comm::new(process.comm);
            return None;
        }
        if known.ended {
            // Two threads were both the last.
            return None;
        }
        known.ended = true;
        let event = event(process, Some(known));
        self.ended.push_back(key);
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
        Some(event)
    }

    fn set(&mut self, key: Key, known: Known) {
        if self.known.len() < MAX_KNOWN || self.known.contains_key(&key) {
            self.known.insert(key, known);
        }
    }

    /// The process with this id that started then.
    pub fn find(&self, pid: u32, start: u64) -> Option<&Known> {
        self.known.get(&Key { pid, start })
    }
}

impl Known {
    /// Its name, which is newer than any that was read with a socket's owner, unless
    /// the record of a later program was lost: `exec` was read with that name.
    pub fn newer_comm(&self, exec: u32) -> Option<Comm> {
        (self.exec.wrapping_sub(exec).cast_signed() >= 0).then_some(self.comm)
    }
}

impl Key {
    fn of(process: &record::Process) -> Key {
        Key { pid: process.pid, start: process.start }
    }
}

fn event(process: &record::Process, known: Option<&Known>) -> Process {
    Process {
        pid: process.pid,
        parent: process.parent,
        comm: Comm::new(process.comm),
        exe: known.and_then(|known| known.exe.clone()),
        cmdline: known.and_then(|known| known.cmdline.clone()),
        uid: process.uid,
        start: process.start,
    }
}

/// The path of a program, as the link `exe` in /proc shows it.
fn exe(program: &record::Program) -> Option<Arc<str>> {
    let names = program.exe.get(..usize::from(program.exe_len))?;
    let names = names.strip_suffix(&[0])?;
    let mut path = String::with_capacity(names.len() + 4);
    if program.whole == 0 {
        // A path so long that its beginning is not known.
        path.push('…');
    }
    for name in names.rsplit(|byte| *byte == 0) {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name));
    }
    Some(path.into())
}

/// The arguments, as `ps` shows them.
fn cmdline(program: &record::Program) -> Option<Arc<str>> {
    let len = program.args_len as usize;
    let args = program.args.get(..len.min(ARGS))?;
    if args.is_empty() {
        return None;
    }
    let args = args.strip_suffix(&[0]).unwrap_or(args);
    let joined: Vec<Cow<'_, str>> =
        args.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let mut joined = joined.join(" ");
    if len > ARGS {
        joined.push('…');
    }
    Some(joined.into())
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.start ^ u64::from(self.pid).rotate_left(32));
    }
}

/// A hash for keys that are unlike each other already: it is made for each event.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netbreath_common::record::{EXE_HALF, Header};

    fn process(pid: u32, start: u64, exec: u32, comm: &str) -> record::Process {
        let header = Header { kind: 0, len: 0, cpu: 0, at: 0, seq: 0, lost: 0, missed: 0 };
        let mut bytes = [0; 16];
        bytes[..comm.len()].copy_from_slice(comm.as_bytes());
        let (parent, parent_start) = (1, 10);
        record::Process {
            header,
            pid,
            parent,
            uid: 0,
            exec,
            start,
            parent_start,
            comm: bytes,
            selected: 1,
            zero: 0,
        }
    }

    fn program(process: record::Process, names: &[u8], args: &[u8]) -> record::Program {
        let mut program = record::Program {
            process,
            exe_len: names.len() as u16,
            whole: 1,
            args_len: args.len() as u32,
            // What lay in the ring before.
            exe: [b'?'; 2 * EXE_HALF],
            args: [b'?'; ARGS],
        };
        program.exe[..names.len()].copy_from_slice(names);
        let len = args.len().min(ARGS);
        program.args[..len].copy_from_slice(&args[..len]);
        program
    }

    fn exe_of(processes: &Processes, pid: u32, start: u64) -> Option<String> {
        processes.find(pid, start)?.exe.as_deref().map(str::to_owned)
    }

    #[test]
    fn names_from_the_file_up_are_a_path() {
        let path = |names: &[u8]| exe(&program(process(1, 1, 1, ""), names, b""));
        assert_eq!(path(b"nginx\0sbin\0usr\0").as_deref(), Some("/usr/sbin/nginx"));
        assert_eq!(path(b"init\0").as_deref(), Some("/init"));
        assert_eq!(path(b"memfd:x\0").as_deref(), Some("/memfd:x"));
        assert_eq!(path(b"").as_deref(), None);
        let mut cut = program(process(1, 1, 1, ""), b"x\0deep\0", b"");
        cut.whole = 0;
        assert_eq!(exe(&cut).as_deref(), Some("…/deep/x"));
        // No record of ours, but no reason to fail.
        cut.exe_len = u16::MAX;
        assert_eq!(exe(&cut), None);
    }

    #[test]
    fn arguments_are_joined_and_cut() {
        let line = |args: &[u8]| cmdline(&program(process(1, 1, 1, ""), b"", args));
        assert_eq!(line(b"sh\0-c\0sleep 1\0").as_deref(), Some("sh -c sleep 1"));
        assert_eq!(line(b"a\0\0b\0").as_deref(), Some("a  b"));
        assert_eq!(line(b"nginx: worker").as_deref(), Some("nginx: worker"));
        assert_eq!(line(b"").as_deref(), None);
        let long = line(&[b'x'; ARGS + 1]).unwrap();
        assert_eq!((long.chars().count(), long.ends_with("x…")), (ARGS + 1, true));
    }

    #[test]
    fn a_child_runs_its_parents_program_until_it_runs_its_own() {
        let mut processes = Processes::default();
        let parent = processes.run(&program(process(1, 10, 5, "sh"), b"sh\0bin\0", b"sh\0"));
        assert_eq!(parent.exe.as_deref(), Some("/bin/sh"));
        let child = processes.apply(Kind::Fork, &process(2, 20, 5, "sh")).unwrap();
        assert_eq!((child.exe.as_deref(), child.parent), (Some("/bin/sh"), 1));
        // Made by somebody else for this parent.
        let other = processes.apply(Kind::Fork, &process(3, 21, 4, "runc")).unwrap();
        assert_eq!(other.exe, None);
        processes.run(&program(process(2, 20, 6, "ls"), b"ls\0bin\0", b"ls\0-l\0"));
        assert_eq!(exe_of(&processes, 2, 20).as_deref(), Some("/bin/ls"));
        let end = processes.apply(Kind::Exit, &process(2, 20, 6, "ls")).unwrap();
        assert_eq!(end.cmdline.as_deref(), Some("ls -l"));
        // Still named, and told once.
        assert_eq!(exe_of(&processes, 2, 20).as_deref(), Some("/bin/ls"));
        assert_eq!(processes.apply(Kind::Exit, &process(2, 20, 6, "ls")), None);
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let mut processes = Processes::default();
        processes.run(&program(process(2, 20, 6, "ls"), b"ls\0bin\0", b""));
        processes.apply(Kind::Exit, &process(2, 20, 6, "ls"));
        assert_eq!(exe_of(&processes, 2, 30), None);
        processes.run(&program(process(2, 30, 1, "cat"), b"cat\0bin\0", b""));
        assert_eq!(exe_of(&processes, 2, 20).as_deref(), Some("/bin/ls"));
        assert_eq!(exe_of(&processes, 2, 30).as_deref(), Some("/bin/cat"));
    }

    #[test]
    fn a_name_is_ours_unless_a_later_program_has_another() {
        let mut processes = Processes::default();
        processes.run(&program(process(2, 20, 6, "new"), b"new\0", b""));
        let known = processes.find(2, 20).unwrap();
        assert_eq!(known.newer_comm(5), Some(Comm::from_name("new")));
        assert_eq!(known.newer_comm(6), Some(Comm::from_name("new")));
        assert_eq!(known.newer_comm(7), None);
        assert_eq!(processes.apply(Kind::Rename, &process(2, 20, 6, "own")), None);
        let known = processes.find(2, 20).unwrap();
        assert_eq!(known.newer_comm(5), Some(Comm::from_name("own")));
    }

    #[test]
    fn the_oldest_end_is_forgotten_first() {
        let mut processes = Processes::default();
        let count = MAX_ENDED as u32 + 10;
        for pid in 1..=count {
            processes.run(&program(process(pid, 1, 1, ""), b"x\0", b""));
            processes.apply(Kind::Exit, &process(pid, 1, 1, ""));
        }
        assert_eq!(processes.known.len(), MAX_ENDED);
        assert!(processes.find(10, 1).is_none() && processes.find(11, 1).is_some());
    }
}
