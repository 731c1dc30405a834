//! What the owner is called: the process, not the thread; the program that it runs
//! now, not the one that it ran when the connection was made; and still so when it
//! is long gone.

use anyhow::Result;

use super::{ACTIVE, LISTENER, PASSIVE, V4};
use crate::stage::{Stage, address};
use crate::step::Call;

/// Processes that live for one connection and are gone before it ends.
pub fn short_lived(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let server = stage.server()?;
    let listener = server.listen(V4)?;
    for number in 0..10 {
        let client = stage.client()?;
        let c = client.connect(address(&listener)?)?;
        let s = server.accept(&listener, Call::Accept4)?;
        if number % 2 == 0 {
            client.kill()?;
        } else {
            client.exit()?;
        }
        server.drain(&s)?;
        server.close(&s)?;
        stage.expect(&c, ACTIVE)?;
        stage.expect(&s, PASSIVE)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}

/// As inetd does: one program accepts, another one answers.
pub fn exec_after_accept(stage: &mut Stage) -> Result<()> {
    let program = stage.program("nb-answerer")?;
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = client.connect(address(&listener)?)?;
    // accept4() would have the kernel close it.
    let s = server.accept(&listener, Call::Accept)?;
    let renamed = stage.exec(&server, &program)?;
    client.send(&c, 100)?;
    server.receive(&s, 100)?;
    server.send(&s, 100)?;
    client.receive(&c, 100)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    // The kernel closed the listener for the new program.
    stage.expect_renamed(&listener, LISTENER, &renamed.at_once())?;
    stage.expect(&c, ACTIVE)?;
    stage.expect_renamed(&s, PASSIVE, &renamed)
}

/// The same of a process and a connection that are older than the tracer.
pub fn exec_of_an_old_process(stage: &mut Stage) -> Result<()> {
    let program = stage.program("nb-answerer")?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = client.connect(address(&listener)?)?;
    let s = server.accept(&listener, Call::AcceptNull)?;
    stage.trace()?;
    let renamed = stage.exec(&server, &program)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    stage.expect_renamed(&listener, "LISTEN CLOSE", &renamed.at_once())?;
    stage.expect(&c, "ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    stage.expect_renamed(&s, "ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", &renamed)
}

/// Threads have names of their own; the owner has the process's, before and after
/// it becomes another program.
pub fn named_threads(stage: &mut Stage) -> Result<()> {
    let program = stage.program("nb-threaded")?;
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    client.exec(&program, "nb-renamed")?;
    let listener = server.listen(V4)?;
    let (caller, taker) = (client.thread("nb-caller")?, server.thread("nb-taker")?);
    let c = caller.connect(address(&listener)?)?;
    let s = taker.accept(&listener, Call::Accept4)?;
    caller.close(&c)?;
    taker.drain(&s)?;
    taker.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    // It has renamed itself since it became this program: that name is the newer one.
    stage.expect_program(&c, ACTIVE, &program)?;
    stage.expect(&s, PASSIVE)
}

/// Begin, other program, end: of a process and of its child, which runs the same
/// program without ever having become it.
pub fn events(stage: &mut Stage) -> Result<()> {
    let program = stage.program("nb-answerer")?;
    stage.trace_with(&["--event".to_owned(), "exec,fork,exit,state,accept".to_owned()])?;
    let client = stage.client()?;
    let worker = client.fork("nb-worker")?;
    // The worker's orders end with the program that gave them.
    client.exec(&program, "nb-renamed")?;
    worker.gone()?;
    client.exit()?;
    let own = std::process::id();
    stage.expect_process(
        client.id,
        own,
        &[
            ("fork", &thread_name()?, None),
            // The path that was given, /proc/self/exe, names the process.
            ("exec", "exe", None),
            ("exec", "nb-answerer", Some(&program)),
            ("exit", "nb-renamed", Some(&program)),
        ],
    );
    stage.expect_process(
        worker.id,
        client.id,
        &[("fork", "nb-client", None), ("exit", "nb-worker", None)],
    );
    Ok(())
}

/// What a process is called that this thread forks.
fn thread_name() -> Result<String> {
    let comm = std::fs::read_to_string("/proc/thread-self/comm")?;
    Ok(comm.trim_end_matches('\n').to_owned())
}

/// With a filter on process ids, others are not told of.
pub fn events_of_a_pid(stage: &mut Stage) -> Result<()> {
    let program = stage.program("nb-answerer")?;
    let (client, other) = (stage.client()?, stage.server()?);
    let kinds = "exec,fork,exit".to_owned();
    stage.trace_with(&["--pid".to_owned(), client.id.to_string(), "--event".to_owned(), kinds])?;
    other.exec(&program, "nb-other")?;
    client.exec(&program, "nb-renamed")?;
    other.exit()?;
    client.exit()?;
    stage.expect_process(
        client.id,
        std::process::id(),
        &[("exec", "nb-answerer", Some(&program)), ("exit", "nb-renamed", Some(&program))],
    );
    stage.expect_no_other_process();
    Ok(())
}
