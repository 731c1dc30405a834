//! UNIX sockets: who listens, who connects, who accepts, and who closes.

use anyhow::Result;
use serde_json::Value;

use crate::judge::{Claim, Word};
use crate::ledger::Entry;
use crate::stage::{Stage, unix_id};
use crate::step::{Call, UnixKind};
use crate::task::Task;

const CLIENT: &str = "nb-client";
const SERVER: &str = "nb-server";

fn trace(stage: &mut Stage, more: &[&str]) -> Result<()> {
    let options = [&["--event", "unix,seed"], more].concat();
    stage.trace_with(&options.into_iter().map(str::to_owned).collect::<Vec<_>>())
}

/// A path that no other scenario has.
fn path(stage: &Stage) -> String {
    let path = std::env::temp_dir().join(format!("nb-{}.sock", stage.netns.inode()));
    let _ = std::fs::remove_file(&path);
    path.to_string_lossy().into_owned()
}

fn id(socket: &Entry) -> String {
    unix_id(socket).to_string()
}

fn listener(task: &Task, kind: UnixKind, name: &str) -> Result<Entry> {
    let socket = task.open_unix(kind)?;
    task.bind_unix(&socket, name)?;
    task.listen_on(&socket)
}

/// A client and a server, each with its end of a connection, and the listener.
struct Pair {
    client: Task,
    server: Task,
    listener: Entry,
    c: Entry,
    s: Entry,
}

fn meet(stage: &Stage, kind: UnixKind, name: &str, call: Call) -> Result<Pair> {
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = listener(&server, kind, name)?;
    let c = client.open_unix(kind)?;
    let c = client.connect_unix(&c, name)?;
    let s = server.accept(&listener, call)?;
    Ok(Pair { client, server, listener, c, s })
}

/// What is told of the three until they are closed; `shown` is the name as it is shown.
fn words(stage: &Stage, pair: &Pair, kind: &str, shown: &str) -> [Vec<Word>; 3] {
    let Pair { client, server, listener, c, s } = pair;
    let listens = stage.owner(server, "listen", SERVER);
    let connects = stage.owner(client, "connect", CLIENT);
    let accepts = stage.owner(server, "accept", SERVER);
    let says = |event: &str, owner: &Claim| {
        Word::new(event, owner).says("path", shown).says("type", kind).says("proto", "unix")
    };
    [
        vec![says("unix listen", &listens).says("inode", listener.inode)],
        vec![
            says("unix connect", &connects)
                .says("inode", c.inode)
                .says("peer_owner.pid", server.id)
                .says("peer_owner.how", "listen"),
        ],
        vec![
            says("unix accept", &accepts)
                .says("inode", s.inode)
                .says("peer", id(c))
                .says("peer_owner.pid", client.id)
                .says("peer_owner.how", "connect"),
        ],
    ]
}

fn whole_life(
    stage: &mut Stage,
    kind: UnixKind,
    name: &str,
    shown: &str,
    text: &str,
) -> Result<()> {
    let pair = meet(stage, kind, name, Call::Accept4Null)?;
    let Pair { client, server, listener, c, s } = &pair;
    client.send(c, 5)?;
    server.receive(s, 5)?;
    server.send(s, 7)?;
    client.receive(c, 7)?;
    client.close(c)?;
    server.close(s)?;
    server.close(listener)?;
    let [mut of_listener, mut of_client, mut of_server] = words(stage, &pair, text, shown);
    let own = stage.owner(server, "listen", SERVER);
    of_listener.push(Word::new("unix close", &own).says("path", shown).says("peer", Value::Null));
    let own = stage.owner(client, "connect", CLIENT);
    of_client
        .push(Word::new("unix close", &own).says("peer", id(s)).says("peer_owner.pid", server.id));
    let own = stage.owner(server, "accept", SERVER);
    of_server
        .push(Word::new("unix close", &own).says("peer", id(c)).says("peer_owner.pid", client.id));
    stage.expect_unix(listener, of_listener);
    stage.expect_unix(c, of_client);
    stage.expect_unix(s, of_server);
    Ok(())
}

pub fn stream(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let path = path(stage);
    whole_life(stage, UnixKind::Stream, &path, &path, "stream")?;
    std::fs::remove_file(path)?;
    Ok(())
}

/// A name in the abstract namespace may hold any bytes.
pub fn abstract_seqpacket(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    whole_life(stage, UnixKind::Seqpacket, "\0nb \x1b,\0x", "@nb \x1b,\0x", "seqpacket")
}

/// Datagrams: bound, connected; two that are each other's ends and have no name, of which
/// nothing is told.
pub fn datagrams(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let s = server.open_unix(UnixKind::Dgram)?;
    server.bind_unix(&s, "\0nb-dgram")?;
    let c = client.open_unix(UnixKind::Dgram)?;
    let c = client.connect_unix(&c, "\0nb-dgram")?;
    client.send(&c, 3)?;
    server.receive(&s, 3)?;
    let (one, other) = client.pair_unix(UnixKind::Stream)?;
    client.send(&one, 3)?;
    client.receive(&other, 3)?;
    client.close(&one)?;
    client.close(&other)?;
    client.close(&c)?;
    server.close(&s)?;
    let own = stage.owner(&server, "bind", SERVER);
    stage.expect_unix(
        &s,
        vec![
            Word::new("unix bind", &own).says("path", "@nb-dgram").says("type", "dgram"),
            Word::new("unix close", &own),
        ],
    );
    let own = stage.owner(&client, "connect", CLIENT);
    stage.expect_unix(
        &c,
        vec![
            Word::new("unix connect", &own)
                .says("path", "@nb-dgram")
                .says("peer", id(&s))
                .says("peer_owner.pid", server.id)
                .says("peer_owner.how", "bind"),
            Word::new("unix close", &own).says("peer", id(&s)),
        ],
    );
    for silent in [&one, &other] {
        stage.expect_unix(silent, Vec::new());
    }
    Ok(())
}

/// A child takes over what its parent accepted, and closes it last; its end closes what
/// else it has.
pub fn shared_with_a_child(stage: &mut Stage) -> Result<()> {
    used_by_a_child(stage, true, true)
}

/// One who only reads is seen by that.
pub fn child_only_reads(stage: &mut Stage) -> Result<()> {
    used_by_a_child(stage, true, false)
}

/// One who only writes is seen by that.
pub fn child_only_writes(stage: &mut Stage) -> Result<()> {
    used_by_a_child(stage, false, true)
}

fn used_by_a_child(stage: &mut Stage, reads: bool, writes: bool) -> Result<()> {
    trace(stage, &[])?;
    let pair = meet(stage, UnixKind::Stream, "\0nb-shared", Call::Accept)?;
    let Pair { client, server, listener, c, s } = &pair;
    let child = server.fork("nb-child")?;
    server.close(s)?;
    if reads {
        client.send(c, 4)?;
        child.receive(s, 4)?;
    }
    if writes {
        child.send(s, 4)?;
        client.receive(c, 4)?;
    }
    child.close(s)?;
    client.close(c)?;
    // The child has the listener too, so this is not its end.
    server.close(listener)?;
    child.close(listener)?;
    let [mut of_listener, mut of_client, mut of_server] =
        words(stage, &pair, "stream", "@nb-shared");
    let own = stage.owner(server, "listen", SERVER);
    of_listener.push(Word::new("unix close", &own));
    let own = stage.owner(client, "connect", CLIENT);
    of_client.push(Word::new("unix close", &own).says("peer_owner.pid", child.id));
    let own = stage.owner(&child, "io", "nb-child");
    of_server.push(
        Word::new("unix owner", &own).says("from.pid", server.id).says("opened_by.pid", server.id),
    );
    of_server.push(Word::new("unix close", &own).says("peer_owner.pid", client.id));
    stage.expect_unix(listener, of_listener);
    stage.expect_unix(c, of_client);
    stage.expect_unix(s, of_server);
    Ok(())
}

/// The kernel closes the sockets of a process that is killed, or ends.
pub fn killed(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let pair = meet(stage, UnixKind::Stream, "\0nb-killed", Call::Accept)?;
    let Pair { client, server, listener, c, s } = &pair;
    client.kill()?;
    server.exit()?;
    let [mut of_listener, mut of_client, mut of_server] =
        words(stage, &pair, "stream", "@nb-killed");
    let own = stage.owner(server, "listen", SERVER);
    of_listener.push(Word::new("unix close", &own));
    let own = stage.owner(client, "connect", CLIENT);
    of_client.push(Word::new("unix close", &own));
    let own = stage.owner(server, "accept", SERVER);
    of_server.push(Word::new("unix close", &own));
    stage.expect_unix(listener, of_listener);
    stage.expect_unix(c, of_client);
    stage.expect_unix(s, of_server);
    Ok(())
}

/// Sockets that are older than the tracer, with both of their owners.
pub fn snapshot(stage: &mut Stage) -> Result<()> {
    let pair = meet(stage, UnixKind::Stream, "\0nb-old", Call::Accept)?;
    let Pair { client, server, listener, c, s } = &pair;
    trace(stage, &[])?;
    client.send(c, 4)?;
    server.receive(s, 4)?;
    client.close(c)?;
    server.close(s)?;
    server.close(listener)?;
    let own = stage.owner(server, "snapshot", SERVER);
    stage.expect_unix(
        listener,
        vec![
            Word::new("unix seed", &own).says("path", "@nb-old").says("fd", listener.fd),
            Word::new("unix close", &own),
        ],
    );
    let says = |word: Word, peer: &Entry, other: &Task| {
        word.says("path", "@nb-old").says("peer", id(peer)).says("peer_owner.pid", other.id)
    };
    stage.expect_unix(
        s,
        vec![
            says(Word::new("unix seed", &own), c, client),
            says(Word::new("unix close", &own), c, client),
        ],
    );
    let own = stage.owner(client, "snapshot", CLIENT);
    stage.expect_unix(
        c,
        vec![
            says(Word::new("unix seed", &own), s, server),
            // Its peer goes on, and is named as what it was.
            says(Word::new("unix close", &own), s, server),
        ],
    );
    Ok(())
}

pub fn filter_pid(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    trace(stage, &["--pid", &client.id.to_string()])?;
    let listener = listener(&server, UnixKind::Stream, "\0nb-filter")?;
    let c = client.open_unix(UnixKind::Stream)?;
    let c = client.connect_unix(&c, "\0nb-filter")?;
    let s = server.accept(&listener, Call::Accept)?;
    client.close(&c)?;
    server.close(&s)?;
    server.close(&listener)?;
    let own = stage.owner(&client, "connect", CLIENT);
    stage.expect_unix(
        &c,
        vec![
            Word::new("unix connect", &own).says("peer_owner.pid", server.id),
            Word::new("unix close", &own).says("peer_owner.pid", server.id),
        ],
    );
    stage.expect_unix(&listener, Vec::new());
    stage.expect_unix(&s, Vec::new());
    Ok(())
}

/// Many connections to the workers of one listener.
pub fn many(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = listener(&server, UnixKind::Stream, "\0nb-many")?;
    let workers = [server.fork("nb-worker-0")?, server.fork("nb-worker-1")?];
    let mut entries = Vec::new();
    for number in 0..250 {
        let worker = &workers[number % 2];
        let c = client.open_unix(UnixKind::Stream)?;
        let c = client.connect_unix(&c, "\0nb-many")?;
        let s = worker.accept(&listener, Call::Accept4)?;
        client.close(&c)?;
        worker.close(&s)?;
        entries.push((number % 2, c, s));
    }
    for task in workers.iter().chain([&server]) {
        task.close(&listener)?;
    }
    let connects = stage.owner(&client, "connect", CLIENT);
    for (number, c, s) in &entries {
        let worker = &workers[*number];
        let accepts = stage.owner(worker, "accept", &format!("nb-worker-{number}"));
        stage.expect_unix(
            c,
            vec![
                Word::new("unix connect", &connects).says("peer_owner.pid", server.id),
                Word::new("unix close", &connects)
                    .says("peer", id(s))
                    .says("peer_owner.pid", worker.id),
            ],
        );
        stage.expect_unix(
            s,
            vec![
                Word::new("unix accept", &accepts).says("peer", id(c)),
                Word::new("unix close", &accepts).says("peer_owner.pid", client.id),
            ],
        );
    }
    let own = stage.owner(&server, "listen", SERVER);
    stage.expect_unix(
        &listener,
        vec![Word::new("unix listen", &own), Word::new("unix close", &own)],
    );
    Ok(())
}
