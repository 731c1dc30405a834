//! A thousand connections from four processes to four workers, all at once.

use anyhow::{Result, ensure};

use super::{ACTIVE, LISTENER, PASSIVE};
use crate::stage::{Stage, address};
use crate::step::Call;

const PROCESSES: usize = 4;
const EACH: usize = 250;

pub fn prefork(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let server = stage.server()?;
    let listener = server.listen("0.0.0.0:80")?;
    let calls = [Call::Accept, Call::AcceptNull, Call::Accept4, Call::Accept4Null];
    let mut workers = Vec::new();
    for (number, call) in calls.into_iter().enumerate() {
        let worker = server.fork(&format!("nb-worker-{number}"))?;
        worker.start_serve(&listener, call, EACH)?;
        workers.push(worker);
    }
    let mut clients = Vec::new();
    for _ in 0..PROCESSES {
        clients.push(stage.client()?);
    }
    let port = address(&listener)?.port();
    for (net, client) in (1..).zip(&clients) {
        client.start_burst(port, net, EACH)?;
    }
    for (tasks, path) in [(&clients, ACTIVE), (&workers, PASSIVE)] {
        for task in tasks {
            let sockets = task.finish()?;
            ensure!(sockets.len() == EACH, "{} sockets, not {EACH}", sockets.len());
            for socket in &sockets {
                stage.expect(socket, path)?;
            }
        }
    }
    for worker in &workers {
        worker.close(&listener)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}
