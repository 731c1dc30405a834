//! A command that is started by us, held until we watch, and then let go.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::host::Caller;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no command to run")]
    Empty,
    #[error("cannot prepare to run {program:?}: {source}")]
    Prepare { program: OsString, source: io::Error },
    #[error("cannot become the user {uid} who is to run {program:?}: {source}")]
    Become { program: OsString, uid: u32, source: io::Error },
    #[error("cannot run {program:?}: {source}")]
    Run { program: OsString, source: io::Error },
}

impl Error {
    /// The exit code, as env(1) has them.
    pub fn code(&self) -> u8 {
        match self {
            Error::Run { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Error::Run { .. } => 126,
            Error::Empty | Error::Prepare { .. } | Error::Become { .. } => 125,
        }
    }
}

/// A process that will become the command. Dropped, it ends without having run it.
#[derive(Debug)]
pub struct Held {
    program: OsString,
    pid: u32,
    go: PipeWriter,
    started: mpsc::Receiver<io::Result<()>>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

/// The command, running.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

/// Makes a process for `command` that belongs to `caller` (or to whom we belong to)
/// and waits right before it becomes the command.
pub fn hold(command: &[OsString], caller: Option<Caller>) -> Result<Held, Error> {
    let (program, arguments) = command.split_first().ok_or(Error::Empty)?;
    let prepare = |source| Error::Prepare { program: program.clone(), source };
    let (mut told, tell) = io::pipe().map_err(prepare)?;
    let (wait, go) = io::pipe().map_err(prepare)?;

    let mut process = Command::new(program);
    process.args(arguments);
    let uid = caller.as_ref().map_or(0, |caller| caller.uid);
    if let Some(account) = caller.as_ref().and_then(|caller| caller.account.as_ref()) {
        process
            .env("HOME", &account.home)
            .env("SHELL", &account.shell)
            .env("USER", &account.name)
            .env("LOGNAME", &account.name);
    }
    let (tell_fd, wait_fd, go_fd) = (tell.as_raw_fd(), wait.as_raw_fd(), go.as_raw_fd());
    // SAFETY: between fork and exec this makes system calls only: it neither
    // allocates nor takes a lock. The groups were looked up before.
    unsafe {
        process.pre_exec(move || {
            if let Some(caller) = &caller {
                become_user(caller)?;
            }
            for signal in [libc::SIGINT, libc::SIGTERM] {
                // Else Ctrl-C while held would run our handler in the child.
                libc::signal(signal, libc::SIG_DFL);
            }
            // Our copy of the end that lets us go: while it is open, we would wait
            // for ever if netbreath dies.
            libc::close(go_fd);
            let pid = libc::getpid().to_ne_bytes();
            if libc::write(tell_fd, pid.as_ptr().cast(), pid.len()) != pid.len() as isize {
                return Err(io::Error::last_os_error());
            }
            let mut byte = 0_u8;
            loop {
                match libc::read(wait_fd, (&raw mut byte).cast(), 1) {
                    1 => return Ok(()),
                    0 => return Err(io::Error::from_raw_os_error(libc::ECANCELED)),
                    _ => {
                        let error = io::Error::last_os_error();
                        if error.raw_os_error() != Some(libc::EINTR) {
                            return Err(error);
                        }
                    }
                }
            }
        });
    }

    let (start, started) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    // `spawn` returns only when the child has become the command, so it needs a
    // thread of its own; the same thread then waits for the end.
    let pipes = (tell, wait);
    thread::Builder::new()
        .name("command".into())
        .spawn(move || supervise(process, pipes, &start, end))
        .map_err(prepare)?;

    let mut pid = [0; 4];
    match told.read_exact(&mut pid) {
        Ok(()) => {
            Ok(Held { program: program.clone(), pid: u32::from_ne_bytes(pid), go, started, ended })
        }
        Err(error) => {
            let source = match started.recv() {
                Ok(Err(source)) => source,
                _ => error,
            };
            Err(Error::Become { program: program.clone(), uid, source })
        }
    }
}

fn supervise(
    mut process: Command,
    pipes: (PipeWriter, PipeReader),
    start: &mpsc::Sender<io::Result<()>>,
    end: oneshot::Sender<io::Result<ExitStatus>>,
) {
    let child = process.spawn();
    // The thread that waits for the command has no need for what the command got.
    // Why ignored: it does nothing with it.
    #[cfg(target_os = "linux")]
    let _ = crate::host::sandbox::keep_only(&[]);
    // Who waits for word from the child must see the end of the pipe.
    drop(pipes);
    // Why ignored: a receiver that is gone wants to know no more.
    match child {
        Ok(mut child) => {
            let _ = start.send(Ok(()));
            let _ = end.send(child.wait());
        }
        Err(error) => {
            let _ = start.send(Err(error));
        }
    }
}

/// Takes the caller's identity for good. Async-signal-safe.
fn become_user(caller: &Caller) -> io::Result<()> {
    let done = |status| {
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the pointer and the length are those of one slice. Groups go first,
    // since a user other than root may not set them.
    unsafe {
        done(libc::setgroups(caller.groups.len(), caller.groups.as_ptr()))?;
        done(libc::setgid(caller.gid))?;
        done(libc::setuid(caller.uid))
    }
}

impl Held {
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the process become the command.
    pub fn release(self) -> Result<Running, Error> {
        let Held { program, pid, mut go, started, ended } = self;
        let failed = |source| Error::Run { program: program.clone(), source };
        go.write_all(b"!").map_err(failed)?;
        match started.recv() {
            Ok(Ok(())) => Ok(Running { pid, ended }),
            Ok(Err(source)) => Err(failed(source)),
            Err(_) => Err(failed(io::Error::other("its supervisor ended"))),
        }
    }
}

impl Running {
    /// Waits for the command's end. Can be called again if its future was dropped
    /// before it was ready.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(io::Error::other("its supervisor ended")))
    }

    /// Tells the command to end. Only for a command whose end was not seen yet, or
    /// the number may be another's.
    pub fn terminate(&self) {
        if let Ok(pid) = libc::pid_t::try_from(self.pid) {
            // SAFETY: kill has no preconditions.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
}

/// The exit code that stands for `status`: the command's own, or 128 and the signal.
pub fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    async fn run(line: &[&str]) -> u8 {
        let held = hold(&words(line), None).unwrap();
        code(held.release().unwrap().ended().await.unwrap())
    }

    #[tokio::test]
    async fn a_command_waits_until_it_is_released() {
        let dir = std::env::temp_dir().join(format!("netbreath-held-{}", std::process::id()));
        let script = format!("echo $$ > {0}.new && mv {0}.new {0}", dir.display());
        let held = hold(&words(&["sh", "-c", &script]), None).unwrap();
        thread::sleep(std::time::Duration::from_millis(100));
        assert!(!dir.exists());
        let pid = held.pid();
        assert_eq!(code(held.release().unwrap().ended().await.unwrap()), 0);
        // The same process, before exec and after.
        assert_eq!(std::fs::read_to_string(&dir).unwrap().trim(), pid.to_string());
        std::fs::remove_file(dir).unwrap();
    }

    #[tokio::test]
    async fn codes_are_the_commands() {
        assert_eq!(run(&["sh", "-c", "exit 7"]).await, 7);
        assert_eq!(run(&["sh", "-c", "kill -9 $$"]).await, 137);
    }

    #[test]
    fn codes_of_commands_that_do_not_run() {
        let error = |line: &[&str]| hold(&words(line), None).unwrap().release().unwrap_err();
        let missing = error(&["/no/such/command"]);
        assert_eq!(missing.code(), 127);
        assert!(missing.to_string().starts_with("cannot run \"/no/such/command\": No such file"));
        assert_eq!(error(&["/etc/passwd"]).code(), 126);
        assert!(matches!(hold(&[], None), Err(Error::Empty)));
    }

    #[test]
    fn a_command_that_is_not_released_never_runs() {
        let held = hold(&words(&["sleep", "100"]), None).unwrap();
        let Held { go, started, .. } = held;
        drop(go);
        let error = started.recv().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    }

    #[tokio::test]
    async fn a_command_is_its_callers() {
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("skipped: only root can start a command as somebody else");
            return;
        }
        let caller = Caller {
            uid: 1234,
            gid: 2345,
            groups: vec![2345, 3456],
            account: Some(crate::host::Account {
                name: "ada".into(),
                home: "/home/ada".into(),
                shell: "/bin/sh".into(),
            }),
        };
        let script = "test \"$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME\" = \
                      '1234 2345 2345 3456 /home/ada ada ada' && \
                      grep -q 'CapEff:.0*$' /proc/self/status";
        let held = hold(&words(&["sh", "-c", script]), Some(caller)).unwrap();
        assert_eq!(code(held.release().unwrap().ended().await.unwrap()), 0);
    }

    #[tokio::test]
    async fn a_command_inherits_no_pipe_and_no_mask() {
        let file = std::env::temp_dir().join(format!("netbreath-clean-{}", std::process::id()));
        let look = format!(
            "(ls -l /proc/$$/fd; grep -E 'Sig(Blk|Ign)' /proc/$$/status) > {}",
            file.display()
        );
        let mut looks = Vec::new();
        // What the standard library starts is clean; what is held must look the same,
        // numbers of pipes that the test itself inherited included.
        Command::new("sh").args(["-c", &look]).status().unwrap();
        looks.push(std::fs::read_to_string(&file).unwrap());
        assert_eq!(run(&["sh", "-c", &look]).await, 0);
        looks.push(std::fs::read_to_string(&file).unwrap());
        std::fs::remove_file(file).unwrap();
        // Whoever starts the test may have it ignore these, which a command never does.
        const NEVER_IGNORED: u64 = 1 << (libc::SIGINT - 1) | 1 << (libc::SIGTERM - 1);
        let clean = |look: &str| -> Vec<String> {
            let last = |line: &str| {
                let last = line.split_whitespace().last().unwrap_or_default();
                match u64::from_str_radix(last, 16) {
                    // Signals above 31 are the C library's own.
                    Ok(mask) if line.contains("Sig") => {
                        format!("{:x}", mask & 0x7fff_ffff & !NEVER_IGNORED)
                    }
                    _ => last.to_owned(),
                }
            };
            look.lines()
                .filter(|line| line.contains("->") || line.contains("Sig"))
                .map(last)
                .collect()
        };
        assert_eq!(clean(&looks[0]), clean(&looks[1]));
    }
}
