//! The loop of `check`: events in, until a time or a command is over; no rows.

use std::time::Duration;

use tokio::time::Instant;

use super::{Error, LATE, LINGER, Signal, Signals, broken, ended, until};
use crate::check::Check;
use crate::command::{self, Running};
use crate::source::Source;

/// What the loop needs besides its source.
pub struct Judging<G> {
    pub signals: G,
    pub command: Option<Running>,
    pub duration: Option<Duration>,
    /// The clock of a live source, in nanoseconds since boot.
    pub clock: Option<fn() -> u64>,
}

/// How it went.
pub struct Judged {
    pub check: Check,
    /// The command's exit code.
    pub command: Option<u8>,
    pub signal: Option<Signal>,
    pub lost: u64,
}

impl<G: Signals> Judging<G> {
    pub async fn run<S: Source>(
        mut self,
        source: &mut S,
        mut check: Check,
    ) -> Result<Judged, Error> {
        let deadline = self.duration.map(|duration| Instant::now() + duration);
        let mut events = Vec::new();
        let (mut linger, mut code, mut signal) = (None, None, None);
        let mut late = false;
        loop {
            tokio::select! {
                biased;
                came = self.signals.next() => {
                    match &self.command {
                        // Ctrl-C at a terminal reaches the command without us.
                        Some(command) if signal.is_none() && code.is_none() => {
                            if came == Signal::Terminate {
                                command.terminate();
                            }
                            signal = Some(came);
                        }
                        _ => {
                            signal = Some(came);
                            break;
                        }
                    }
                }
                status = ended(&mut self.command), if linger.is_none() => {
                    code = Some(command::code(status?));
                    linger = Some(Instant::now() + LINGER);
                }
                () = until(linger) => break,
                () = until(deadline), if !late && linger.is_none() => {
                    late = true;
                    match &self.command {
                        Some(command) => command.terminate(),
                        None => break,
                    }
                }
                read = source.next(&mut events) => {
                    read.map_err(broken)?;
                    if events.is_empty() {
                        break;
                    }
                    events.drain(..).for_each(|event| check.event(&event));
                }
            }
        }
        source.finish(&mut events).map_err(broken)?;
        events.drain(..).for_each(|event| check.event(&event));
        if let Some(clock) = self.clock {
            check.advance(clock().saturating_sub(LATE.as_nanos() as u64));
        }
        Ok(Judged { check, command: code, signal, lost: source.lost() })
    }
}
