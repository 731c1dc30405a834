//! Two ends on one machine, in two network namespaces that a veth pair joins. (All other
//! scenarios have them on loopback.)

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{ACTIVE, LISTENER, PASSIVE};
use crate::netns::Netns;
use crate::stage::{Stage, address};
use crate::step::Call;

pub fn over_veth(stage: &mut Stage) -> Result<()> {
    let other = stage.another_namespace()?;
    join(&stage.netns, &other)?;
    stage.trace()?;
    let client = stage.client()?;
    let (_, server) = stage.pair_in(&other)?;
    let listener = server.listen("192.0.2.2:80")?;
    let c = client.connect(address(&listener)?)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect_peer(&s);
    stage.expect(&s, PASSIVE)?;
    stage.expect_peer(&c);
    Ok(())
}

/// Lays a veth pair between two namespaces.
fn join(one: &Netns, other: &Netns) -> Result<()> {
    let there = format!("/proc/{}/fd/{}", std::process::id(), other.fd());
    one.inside(|| {
        ip(&["link", "add", "nb0", "type", "veth", "peer", "name", "nb1", "netns", &there])?;
        ip(&["address", "add", "192.0.2.1/24", "dev", "nb0"])?;
        ip(&["link", "set", "nb0", "up"])
    })?;
    other.inside(|| {
        ip(&["address", "add", "192.0.2.2/24", "dev", "nb1"])?;
        ip(&["link", "set", "nb1", "up"])
    })
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("run ip")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {error}", args.join(" "));
    Ok(())
}
