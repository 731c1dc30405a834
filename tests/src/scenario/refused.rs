//! Nobody listens: SYN, RST.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde_json::json;

use super::{V4, V6, with_address};
use crate::ledger::Entry;
use crate::stage::Stage;
use crate::step::{Family, Proto};

const REFUSED: &str = "CLOSE SYN_SENT CLOSE";

pub fn v4(stage: &mut Stage) -> Result<()> {
    refused(stage, Family::V4, V4)
}

pub fn v6(stage: &mut Stage) -> Result<()> {
    refused(stage, Family::V6, V6)
}

/// The kernel chooses the port, after the first transition.
fn refused(stage: &mut Stage, family: Family, at: &str) -> Result<()> {
    stage.trace()?;
    let client = stage.client()?;
    let socket = client.open(family, Proto::Tcp)?;
    let c = with_address(client.connect_on(&socket, closed_port(at)?)?);
    expect_refusal(c.errno)?;
    client.close(&c)?;
    stage.expect(&c, REFUSED)?;
    told(stage, &c)
}

pub fn with_a_chosen_port(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let client = stage.client()?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    client.bind(&socket, "127.0.0.1:4000".parse()?)?;
    let c = client.connect_on(&socket, closed_port(V4)?)?;
    expect_refusal(c.errno)?;
    client.close(&c)?;
    stage.expect(&c, REFUSED)?;
    told(stage, &c)
}

pub fn without_waiting(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let client = stage.client()?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    let c = with_address(client.start_connect_on(&socket, closed_port(V4)?)?);
    if c.errno != Some(libc::EINPROGRESS) {
        expect_refusal(c.errno)?;
    }
    client.readable(&c)?;
    client.close(&c)?;
    stage.expect(&c, REFUSED)?;
    told(stage, &c)
}

fn told(stage: &mut Stage, c: &Entry) -> Result<()> {
    let says = [("error", json!("ECONNREFUSED")), ("syns", json!(1))];
    stage.expect_detail(c, "connect_failed", &says)?;
    stage.expect_detail(c, "reset", &[("received", json!(true)), ("state", json!("SYN_SENT"))])
}

/// No way leads there, so connect() fails before it sends anything; no transition tells of
/// it.
pub fn no_route(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let client = stage.client()?;
    for (family, to) in [(Family::V4, "10.9.9.9:80"), (Family::V6, "[2001:db8::1]:443")] {
        let socket = client.open(family, Proto::Tcp)?;
        let c = client.connect_on(&socket, to.parse()?)?;
        if c.errno != Some(libc::ENETUNREACH) {
            bail!("connect() said {:?}, not \"network unreachable\"", c.errno);
        }
        client.close(&c)?;
        stage.expect_unbound(&c, "CLOSE")?;
        let says = [("error", json!("ENETUNREACH")), ("syns", json!(0))];
        stage.expect_detail(&c, "connect_failed", &says)?;
    }
    Ok(())
}

/// Every port of a new namespace is closed.
fn closed_port(at: &str) -> Result<SocketAddr> {
    let mut to: SocketAddr = at.parse()?;
    to.set_port(81);
    Ok(to)
}

fn expect_refusal(errno: Option<i32>) -> Result<()> {
    if errno != Some(libc::ECONNREFUSED) {
        bail!("connect() said {errno:?}, not \"connection refused\"");
    }
    Ok(())
}
