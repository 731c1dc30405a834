//! Where one scenario plays: its namespace, its tracer, its processes, the ledger
//! they write, and the lives that follow from it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::event::Event;
use crate::judge::{
    ANY, Acceptance, Claim, Detail, Fault, Kind as FaultKind, Life, ProcessLife, Renamed, Scope,
    Seeded, Syn, Told, Verdict, Word, judge, judge_processes, judge_told,
};
use crate::ledger::{Entry, Ledger, Role};
use crate::netns::Netns;
use crate::socket;
use crate::step::Call;
use crate::task::Task;
use crate::tracer::{Kind, Recording, Tracer};

/// How long the last packets of a scenario may take.
const SETTLE: Duration = Duration::from_secs(10);

pub struct Stage {
    pub netns: Netns,
    further: Vec<Rc<Netns>>,
    kind: Kind,
    /// Of the tracer, beside those of the scenario.
    options: Vec<String>,
    tracer: Option<Tracer>,
    /// Options of another tracer that watches beside it, in the namespace; and that tracer.
    beside: Option<Vec<String>>,
    other: Option<Tracer>,
    /// When the tracer was started and when it was ready.
    started: i64,
    ready: i64,
    ledger: Rc<RefCell<Ledger>>,
    /// Further processes that hold a socket, by cookie.
    holders: HashMap<u64, Vec<(u32, i32)>>,
    lives: Vec<Life>,
    /// The tracer is a mutant: the judge must find its owners wrong.
    mutant: bool,
    /// Sockets that the scenario cannot know, such as the subflows of MPTCP.
    strangers: bool,
    cpus: Vec<usize>,
    exe: Option<String>,
    processes: Vec<ProcessLife>,
    told: Vec<Told>,
    /// The tracer must tell of no other process.
    alone: bool,
    folders: Vec<Folder>,
}

/// A folder that goes with its scenario.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A connection between two processes on different CPUs.
pub struct Meeting {
    pub client: Task,
    pub server: Task,
    pub listener: Entry,
    /// The client's socket and the server's.
    pub c: Entry,
    pub s: Entry,
}

impl Stage {
    pub fn new(kind: Kind) -> Result<Stage> {
        Stage::with_options(kind, &[])
    }

    /// With further options for the tracer.
    pub fn with_options(kind: Kind, options: &[String]) -> Result<Stage> {
        let cpus = match socket::cpus() {
            Ok(cpus) if !cpus.is_empty() => cpus,
            other => bail!("which CPUs there are: {other:?}"),
        };
        let exe = std::env::current_exe().ok().map(|path| path.to_string_lossy().into_owned());
        Ok(Stage {
            netns: Netns::create()?,
            further: Vec::new(),
            kind,
            options: options.to_vec(),
            tracer: None,
            beside: None,
            other: None,
            started: i64::MAX,
            ready: i64::MAX,
            ledger: Rc::default(),
            holders: HashMap::new(),
            lives: Vec::new(),
            mutant: false,
            strangers: false,
            cpus,
            exe,
            processes: Vec::new(),
            told: Vec::new(),
            alone: false,
            folders: Vec::new(),
        })
    }

    /// The process that traces.
    pub fn tracer_pid(&self) -> Result<u32> {
        Ok(self.tracer.as_ref().context("nobody traces")?.pid())
    }

    /// Has another tracer, with these options, watch beside the one that is judged.
    pub fn watch_beside(&mut self, options: &[&str]) {
        self.beside = Some(options.iter().map(|option| (*option).to_owned()).collect());
    }

    /// Starts the tracer: before the processes, or after what it shall find.
    pub fn trace(&mut self) -> Result<()> {
        self.trace_with(&[])
    }

    pub fn trace_with(&mut self, options: &[String]) -> Result<()> {
        let options = [&self.options, options].concat();
        self.started = socket::now();
        let mut namespaces = vec![self.netns.inode()];
        namespaces.extend(self.further.iter().map(|netns| netns.inode()));
        self.tracer = Some(Tracer::start(self.kind, &options, &namespaces)?);
        if let Some(beside) = &self.beside {
            // Its own namespace is all that it sees.
            let netns = Some(self.netns.fd());
            self.other = Some(Tracer::start_in(netns, self.kind, beside, &namespaces)?);
        }
        self.ready = socket::now();
        Ok(())
    }

    /// Starts the tracer that takes the task on the CPU for the owner.
    pub fn trace_as_mutant(&mut self) -> Result<()> {
        self.mutant = true;
        match self.kind {
            Kind::Netbreath => self.trace_with(&["--owner-from-cpu".to_owned()]),
            // It knows no better.
            Kind::Bpftrace => self.trace(),
        }
    }

    /// Takes no notice of sockets that the scenario does not name.
    pub fn allow_strangers(&mut self) {
        self.strangers = true;
    }

    /// A further namespace; before the tracer starts, so that the reference knows it.
    pub fn another_namespace(&mut self) -> Result<Rc<Netns>> {
        let netns = Rc::new(Netns::create()?);
        self.further.push(Rc::clone(&netns));
        Ok(netns)
    }

    /// A process on the last CPU.
    pub fn client(&self) -> Result<Task> {
        self.actor("nb-client", self.cpus[self.cpus.len() - 1], &self.netns)
    }

    /// A process on the first CPU.
    pub fn server(&self) -> Result<Task> {
        self.actor("nb-server", self.cpus[0], &self.netns)
    }

    /// A client and a server in another namespace.
    pub fn pair_in(&self, netns: &Netns) -> Result<(Task, Task)> {
        let client = self.actor("nb-client", self.cpus[self.cpus.len() - 1], netns)?;
        Ok((client, self.actor("nb-server", self.cpus[0], netns)?))
    }

    fn actor(&self, name: &str, cpu: usize, netns: &Netns) -> Result<Task> {
        Task::start(name, cpu, netns, Rc::clone(&self.ledger))
    }

    /// A client connected to a server that listens at `at`.
    pub fn meet(&self, at: &str) -> Result<Meeting> {
        let (client, server) = (self.client()?, self.server()?);
        let listener = server.listen(at)?;
        let c = client.connect(address(&listener)?)?;
        let s = server.accept(&listener, Call::Accept4)?;
        Ok(Meeting { client, server, listener, c, s })
    }

    /// Expects the listener's whole life and these two of the connection, when the
    /// server has closed its listener.
    pub fn expect_meeting(&mut self, meeting: &Meeting, c: &str, s: &str) -> Result<()> {
        meeting.server.close(&meeting.listener)?;
        self.expect(&meeting.listener, "CLOSE LISTEN CLOSE")?;
        self.expect(&meeting.c, c)?;
        self.expect_peer(&meeting.s);
        self.expect(&meeting.s, s)?;
        self.expect_peer(&meeting.c);
        Ok(())
    }

    /// Expects this socket at the other end of the one that was expected last.
    pub fn expect_peer(&mut self, peer: &Entry) {
        if let Some(life) = self.lives.last_mut() {
            life.peer = Some(peer.socket);
        }
    }

    /// Expects this of the SYN of the connection that was expected last.
    pub fn expect_syn(&mut self, syn: Syn) {
        if let Some(life) = self.lives.last_mut() {
            life.syn = syn;
        }
    }

    /// Expects that the last one's end is known, but not when it was.
    pub fn expect_end_not_seen(&mut self) {
        if let Some(life) = self.lives.last_mut() {
            life.end_not_seen = true;
        }
    }

    /// What the tracer has told so far, if it is ours.
    pub fn told_so_far(&self) -> Result<Option<Vec<Event>>> {
        let own = self.tracer.as_ref().filter(|_| self.kind == Kind::Netbreath);
        own.map(Tracer::told_so_far).transpose()
    }

    /// Writes a setting of the stage's namespace, below `net/ipv4`.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.netns.inside(|| {
            let path = format!("/proc/sys/net/ipv4/{name}");
            std::fs::write(&path, value).with_context(|| format!("write {value} to {path}"))
        })
    }

    /// Waits until the tracer has told so much of its transitions of this kind, in this
    /// stage's namespace.
    pub fn wait_until_told(
        &self,
        old: &str,
        new: &str,
        count: usize,
        limit: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let Some(told) = self.told_so_far()? else { return Ok(()) };
            let netns = Some(self.netns.inode());
            let is = |event: &&Event| {
                event.netns == netns
                    && event.old.as_deref() == Some(old)
                    && event.new.as_deref() == Some(new)
            };
            if told.iter().filter(is).count() >= count {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not {count} times {old} to {new} within {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Notes that `task` holds the socket too: it was forked after the socket was
    /// made.
    pub fn also_holds(&mut self, task: &Task, socket: &Entry) {
        self.holders.entry(socket.socket).or_default().push((task.id, socket.fd));
    }

    /// Expects a socket of the ledger to go through these states. Who owns it, and
    /// since when, follows from the ledger.
    pub fn expect(&mut self, entry: &Entry, path: &str) -> Result<()> {
        let path: Vec<String> = path.split_whitespace().map(str::to_owned).collect();
        let existed = entry.after < self.started;
        if !existed && entry.before < self.ready && self.tracer.is_some() {
            bail!("a socket was made while the tracer started: neither old nor new");
        }
        let (owner, accepted) = match entry.role {
            _ if existed => (self.claim("snapshot", entry), None),
            Role::Connect => (self.claim("connect", entry), None),
            Role::Listen => (self.claim("listen", entry), None),
            Role::Accept => {
                let acceptance = Acceptance {
                    claim: Claim { pids: vec![entry.pid], ..self.claim("accept", entry) },
                    fd: Some(entry.fd),
                    under_way: false,
                    before: entry.before,
                    after: entry.after,
                };
                (self.inherited(entry.listener)?, Some(acceptance))
            }
            Role::Open => bail!("a socket that is only open has no owner"),
        };
        let seeded = match path.first() {
            Some(state) if existed => {
                let mut holders = vec![(entry.pid, entry.fd)];
                holders.extend(self.holders.get(&entry.socket).into_iter().flatten());
                Some(Seeded { state: state.clone(), holders })
            }
            _ => None,
        };
        let syn = match entry.role {
            Role::Accept if !existed && path.len() > 1 && entry.proto == "tcp" => Syn::Told(None),
            _ => Syn::Untold,
        };
        let start = match entry.role {
            Role::Connect | Role::Listen if !existed => Some((entry.before, entry.after)),
            _ => None,
        };
        let remote = match (entry.role, entry.family) {
            (Role::Listen, 4) => Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            (Role::Listen, _) => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
            _ => entry.remote,
        };
        self.lives.push(Life {
            name: format!("{:?} {} of pid {}", entry.role, entry.socket, entry.pid),
            socket: Some(entry.socket),
            proto: entry.proto.clone(),
            family: entry.family,
            local: entry.local,
            remote,
            netns: entry.netns,
            born: !existed,
            path,
            any_address: false,
            owner,
            accepted,
            renamed: None,
            seeded,
            details: Vec::new(),
            start,
            syn,
            peer: None,
            end_not_seen: false,
        });
        Ok(())
    }

    /// Expects one event of this kind for a socket that is expected already, which says
    /// this.
    pub fn expect_detail(
        &mut self,
        entry: &Entry,
        event: &'static str,
        says: &[(&'static str, Value)],
    ) -> Result<()> {
        self.expect_details(entry, event, 1..=1, says)
    }

    /// Expects so many events of this kind that say this.
    pub fn expect_details(
        &mut self,
        entry: &Entry,
        event: &'static str,
        many: RangeInclusive<usize>,
        says: &[(&'static str, Value)],
    ) -> Result<()> {
        let life = self.lives.iter_mut().find(|life| life.socket == Some(entry.socket));
        let life = life.context("a detail of a socket that is not expected")?;
        let (least, most) = (*many.start(), *many.end());
        life.details.push(Detail { event, says: says.to_vec(), least, most });
        Ok(())
    }

    /// The actors' program under another name: another program, to the kernel.
    pub fn program(&mut self, name: &str) -> Result<PathBuf> {
        let folder = std::env::temp_dir().join(format!(
            "netbreath-program-{}-{}",
            std::process::id(),
            self.netns.inode()
        ));
        std::fs::create_dir_all(&folder).context("make a folder for a program")?;
        let program = folder.join(name);
        self.folders.push(Folder(folder));
        let own = std::env::current_exe().context("path of the actors' program")?;
        // A copy while another test forks could be busy when it is to run.
        std::fs::hard_link(&own, &program)
            .or_else(|_| std::fs::copy(&own, &program).map(drop))
            .context("link the actors' program")?;
        Ok(program)
    }

    /// Makes `task` another program. What its sockets do later is that program's.
    pub fn exec(&self, task: &Task, program: &Path) -> Result<Renamed> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let before = socket::now();
        task.exec(program, &name)?;
        let exe = program.to_string_lossy().into_owned();
        Ok(Renamed { before, after: socket::now(), comm: name, exe })
    }

    /// As `expect`, for a socket whose owner becomes another program meanwhile.
    pub fn expect_renamed(&mut self, entry: &Entry, path: &str, renamed: &Renamed) -> Result<()> {
        self.expect(entry, path)?;
        if let Some(life) = self.lives.last_mut() {
            life.renamed = Some(renamed.clone());
        }
        Ok(())
    }

    /// As `expect`, for a socket of a process that was another program from the start.
    pub fn expect_program(&mut self, entry: &Entry, path: &str, program: &Path) -> Result<()> {
        self.expect(entry, path)?;
        if let Some(life) = self.lives.last_mut() {
            life.owner.exe = Some(program.to_string_lossy().into_owned());
        }
        Ok(())
    }

    /// Expects events of a process: the name of each, with comm and exe; no exe
    /// stands for the actors' own.
    pub fn expect_process(
        &mut self,
        pid: u32,
        parent: u32,
        path: &[(&'static str, &str, Option<&Path>)],
    ) {
        let own = self.exe.clone().unwrap_or_default();
        let path = path.iter().map(|(name, comm, exe)| {
            let exe = exe.map_or(own.clone(), |exe| exe.to_string_lossy().into_owned());
            (*name, (*comm).to_owned(), exe)
        });
        self.processes.push(ProcessLife { pid, parent, path: path.collect() });
    }

    /// Expects not a word about any other process.
    pub fn expect_no_other_process(&mut self) {
        self.alone = true;
    }

    /// Expects the other end of a client's connection, which nobody accepts.
    pub fn expect_unaccepted(&mut self, listener: &Entry, peer: &Entry, path: &str) -> Result<()> {
        self.lives.push(Life {
            name: format!("unaccepted peer of {}", peer.socket),
            socket: None,
            proto: listener.proto.clone(),
            family: listener.family,
            local: peer.remote,
            remote: peer.local,
            netns: listener.netns,
            born: true,
            path: path.split_whitespace().map(str::to_owned).collect(),
            any_address: false,
            owner: self.inherited(Some(listener.socket))?,
            accepted: None,
            renamed: None,
            seeded: None,
            details: Vec::new(),
            start: None,
            syn: Syn::Told(None),
            peer: Some(peer.socket),
            end_not_seen: false,
        });
        Ok(())
    }

    /// Expects a socket of a protocol whose transitions are taken as the kernel
    /// reports them: some there must be, and the owner must be right.
    pub fn expect_as_reported(&mut self, entry: &Entry) -> Result<()> {
        self.expect(entry, ANY)?;
        if let Some(life) = self.lives.last_mut() {
            life.any_address = true;
        }
        Ok(())
    }

    /// As `expect`, for a connection that was accepted by a call which had begun before
    /// the tracer did.
    pub fn expect_under_way(&mut self, entry: &Entry, path: &str) -> Result<()> {
        self.expect(entry, path)?;
        if let Some(acceptance) = self.lives.last_mut().and_then(|life| life.accepted.as_mut()) {
            acceptance.under_way = true;
        }
        Ok(())
    }

    /// As `expect_as_reported`, of a socket of which nobody can be said to own it.
    pub fn expect_as_reported_of_nobody(&mut self, entry: &Entry) -> Result<()> {
        self.expect_as_reported(entry)?;
        if let Some(life) = self.lives.last_mut() {
            life.owner = Claim { unknown: true, ..Claim::default() };
            // Its handshake ends some time after the call began.
            life.start = None;
        }
        Ok(())
    }

    /// As `expect`, for a socket that never came to have a local end.
    pub fn expect_unbound(&mut self, entry: &Entry, path: &str) -> Result<()> {
        self.expect(entry, path)?;
        if let Some(life) = self.lives.last_mut() {
            life.any_address = true;
        }
        Ok(())
    }

    /// Expects exactly these events of a UDP socket, whose processes are those of the
    /// words.
    pub fn expect_udp(&mut self, entry: &Entry, words: Vec<Word>) {
        self.expect_told(entry, "udp", entry.socket, words);
    }

    /// The same of a UNIX socket.
    pub fn expect_unix(&mut self, entry: &Entry, words: Vec<Word>) {
        self.expect_told(entry, "unix", unix_id(entry), words);
    }

    fn expect_told(&mut self, entry: &Entry, proto: &str, id: u64, words: Vec<Word>) {
        let name = format!("{proto} {} of pid {}", entry.socket, entry.pid);
        // Of a UNIX socket, making it is not seen; listen() and the like are.
        let born = entry.before >= self.ready;
        self.told.push(Told { name, id, netns: entry.netns, born, words });
    }

    /// What a process is as the owner of its socket.
    pub fn owner(&self, task: &Task, how: &'static str, comm: &str) -> Claim {
        let exe = self.exe.clone();
        Claim {
            how,
            pids: vec![task.id],
            comm: Some(comm.to_owned()),
            uid: Some(0),
            exe,
            ..Claim::default()
        }
    }

    /// Expects not a word about a socket: a filter leaves it out.
    pub fn expect_silence(&mut self, entry: &Entry) -> Result<()> {
        self.expect(entry, "")
    }

    fn claim(&self, how: &'static str, entry: &Entry) -> Claim {
        let mut pids = vec![entry.pid];
        if let Some(holders) = self.holders.get(&entry.socket)
            && how == "snapshot"
        {
            pids.extend(holders.iter().map(|(pid, _)| *pid));
        }
        // Holders may have different names.
        let comm = (pids.len() == 1).then(|| entry.comm.clone());
        Claim { how, pids, comm, uid: Some(entry.uid), exe: self.exe.clone(), ..Claim::default() }
    }

    fn inherited(&self, listener: Option<u64>) -> Result<Claim> {
        let ledger = self.ledger.borrow();
        let listener = listener
            .and_then(|listener| ledger.listener(listener))
            .context("a connection was accepted from a listener that nobody made")?;
        // Of a listener that is older than the tracer, any holder may be the owner.
        let how = if listener.after < self.started { "snapshot" } else { "listen" };
        Ok(Claim { how: "inherited", ..self.claim(how, listener) })
    }

    /// What is expected so far.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// Waits for the last packets, ends the tracer and judges.
    pub fn finish(self, minimum: u64) -> Result<(Verdict, Recording)> {
        let (verdict, recording, _) = self.finish_both(minimum)?;
        Ok((verdict, recording))
    }

    /// The same, with what the tracer beside has seen.
    pub fn finish_both(mut self, minimum: u64) -> Result<(Verdict, Recording, Option<Recording>)> {
        self.netns.settle(SETTLE)?;
        for netns in &self.further {
            netns.settle(SETTLE)?;
        }
        let tracer = self.tracer.take().context("the scenario did not start the tracer")?;
        let beside = self.other.take().map(Tracer::stop).transpose()?;
        let recording = tracer.stop()?;
        let scope = match self.kind {
            Kind::Netbreath => Scope::All,
            Kind::Bpftrace if self.mutant => Scope::All,
            Kind::Bpftrace => Scope::Transitions,
        };
        let minimum = if scope == Scope::All { minimum } else { 1 };
        let mut verdict = judge(&recording.events, &self.lives, scope, 0);
        if scope == Scope::All {
            judge_processes(&mut verdict, &recording.events, &self.processes, self.alone);
        }
        let mut spaces = vec![self.netns.inode()];
        spaces.extend(self.further.iter().map(|netns| netns.inode()));
        if self.kind == Kind::Netbreath {
            judge_told(&mut verdict, &recording.events, &self.told, &spaces);
        }
        verdict.demand(minimum);
        if self.strangers {
            verdict.faults.retain(|fault| fault.kind != FaultKind::Stray);
        }
        if self.mutant {
            // The handshake of every server's socket runs on its client's CPU: these
            // two transitions at least.
            let must = 2 * self.lives.iter().filter(|life| life.accepted.is_some()).count() as u64;
            let wrong = verdict.wrong_pids;
            // In all else the mutant must be right.
            let others = [FaultKind::Sequence, FaultKind::Lost];
            verdict.faults.retain(|fault| others.contains(&fault.kind));
            if wrong < must {
                let text = format!("a mutant named {wrong} wrong processes, not {must} or more");
                verdict.faults.push(Fault { kind: FaultKind::Owner, text });
            }
        }
        Ok((verdict, recording, beside))
    }
}

/// The id under which a UNIX socket goes: its inode number, told from a cookie by the
/// highest bit.
pub fn unix_id(entry: &Entry) -> u64 {
    entry.inode | 1 << 63
}

/// Where a listener listens.
pub fn address(listener: &Entry) -> Result<SocketAddr> {
    listener.local.context("a listener has no address")
}
