//! A hook's attach point is not there: the next rung is taken, what it does not show is a
//! gap, and what is shown is right. The kernel's type information without the name of an
//! attach point stands for a kernel without it.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Folder, Outcome, Report, types};
use crate::judge::Kind as Fault;
use crate::stage::Stage;
use crate::tracer::Kind;

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The name of a hook, those of its attach points in the type information, and whether it
/// must be a gap that they are gone, on whatever kernel.
const HOOKS: &[(&str, &[&str], bool)] = &[
    ("sock_state", &["btf_trace_inet_sock_set_state"], true),
    ("destroy", &["btf_trace_tcp_destroy_sock"], false),
    ("fork", &["btf_trace_sched_process_fork"], false),
    ("exec", &["btf_trace_sched_process_exec"], false),
    ("exit", &["btf_trace_sched_process_exit"], false),
    ("rename", &["btf_trace_task_rename"], false),
    ("send", &["btf_trace_sock_send_length", "tcp_sendmsg"], false),
    ("receive", &["btf_trace_sock_recv_length", "btf_trace_tcp_rcv_space_adjust"], false),
    ("processes", &["bpf_iter_task"], true),
    ("seed", &["bpf_iter_task_file"], true),
];

pub fn vanished(report: &mut Report) -> Result<Outcome> {
    let whole = match fs::read(BTF) {
        Ok(whole) => whole,
        Err(error) => return Ok(Outcome::Skipped(format!("cannot read {BTF}: {error}"))),
    };
    let folder = Folder::new()?;
    for (hook, names, must) in HOOKS {
        let mut bytes = whole.clone();
        for name in *names {
            hide(&mut bytes, name).with_context(|| format!("hide {name}"))?;
        }
        let file = folder.file("btf");
        fs::write(&file, bytes)?;
        one(report, hook, &file.to_string_lossy(), *must).with_context(|| format!("no {hook}"))?;
    }
    Ok(Outcome::Done)
}

/// Gives a name another last letter, so that nothing else moves.
fn hide(bytes: &mut [u8], name: &str) -> Result<()> {
    let text: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
    let at = bytes.windows(text.len()).position(|window| window == text);
    // What this kernel does not have, it need not lose.
    if let Some(at) = at {
        bytes[at + name.len()] = b'?';
    }
    ensure!(!bytes.windows(text.len()).any(|window| window == text), "it is there twice");
    Ok(())
}

fn one(report: &mut Report, hook: &str, btf: &str, must: bool) -> Result<()> {
    let mut stage = Stage::new(Kind::Netbreath)?;
    stage.trace_with(&["--btf".to_owned(), btf.to_owned()])?;
    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.send(&meeting.c, 10)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE",
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE",
    )?;
    let (verdict, recording) = stage.finish(1)?;
    // By their ends: where slots lie in a map, an id is no cookie.
    types::transitions(report, &recording.events, &meeting.c, types::ACTIVE)?;
    types::transitions(report, &recording.events, &meeting.s, types::PASSIVE)?;
    report.check(verdict.wrong_pids == 0, || format!("no {hook}: {verdict}"));
    report.equal(&format!("no {hook}: addresses"), &verdict.of_kind(Fault::Address), &0);
    let gap = recording.events.iter().find(|event| {
        event.is("gap") && event.hook.as_deref() == Some(hook) && event.count == Some(0)
    });
    report.check(gap.is_some() || !must, || format!("no {hook}: no gap tells"));
    if let Some(gap) = gap {
        let why = gap.why.as_deref().unwrap_or_default();
        report.check(why.contains("refused"), || format!("no {hook}: {gap:?}"));
    }
    // All else that is missing belongs to a hook with a gap, too.
    let others = verdict.faults.iter().filter(|fault| gap.is_none() && fault.kind != Fault::Lost);
    let others: Vec<_> = others.map(|fault| &fault.text).collect();
    report.check(others.is_empty(), || format!("no {hook}, without a gap: {others:?}"));
    Ok(())
}
