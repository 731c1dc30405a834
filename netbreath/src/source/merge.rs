//! Two sources as one stream, in the order of time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Cost, Source};
use crate::event::{Body, Event};

/// How long events of the second source wait for earlier ones of the first, which
/// delivers in batches of a few milliseconds.
const HELD: Duration = Duration::from_millis(20);

/// The first source, and among its events those of the second.
pub struct Merged<A, B> {
    first: A,
    second: B,
    /// Of the first, not delivered yet.
    batch: Vec<Event>,
    /// Of the second, in order.
    held: Vec<Event>,
    /// When those are delivered, whatever the first does.
    until: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error<A: std::error::Error + 'static, B: std::error::Error + 'static> {
    #[error(transparent)]
    First(A),
    #[error(transparent)]
    Second(B),
}

impl<A: Source, B: Source> Merged<A, B> {
    /// The clock is the first's.
    pub fn new(first: A, second: B) -> Merged<A, B> {
        Merged { first, second, batch: Vec::new(), held: Vec::new(), until: None }
    }

    /// Delivers the batch, and what was held and is not later than its end.
    fn deliver(&mut self, events: &mut Vec<Event>, end: u64) {
        let before = self.held.partition_point(|event| event.at <= end);
        events.append(&mut self.batch);
        events.extend(self.held.drain(..before));
        // Stable: of the same moment, the first's come first.
        events.sort_by_key(|event| event.at);
        if self.held.is_empty() {
            self.until = None;
        }
    }

    fn drop_clock(&mut self) {
        self.held.retain(|event| !matches!(event.body, Body::Clock { .. }));
    }
}

impl<A: Source, B: Source> Source for Merged<A, B> {
    type Error = Error<A::Error, B::Error>;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Self::Error> {
        loop {
            tokio::select! {
                biased;
                read = self.first.next(&mut self.batch) => {
                    read.map_err(Error::First)?;
                    let end = match self.batch.last() {
                        Some(last) => last.at,
                        // Its stream has ended: so does ours, with all there is.
                        None => u64::MAX,
                    };
                    self.deliver(events, end);
                    return Ok(());
                }
                () = until(self.until) => {
                    self.deliver(events, u64::MAX);
                    return Ok(());
                }
                read = self.second.next(&mut self.held) => {
                    read.map_err(Error::Second)?;
                    self.drop_clock();
                    if !self.held.is_empty() {
                        self.until.get_or_insert_with(|| Instant::now() + HELD);
                    }
                }
            }
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Self::Error> {
        self.first.finish(&mut self.batch).map_err(Error::First)?;
        self.second.finish(&mut self.held).map_err(Error::Second)?;
        self.drop_clock();
        self.deliver(events, u64::MAX);
        Ok(())
    }

    fn follow(&mut self, pid: u32) -> Result<(), Self::Error> {
        self.first.follow(pid).map_err(Error::First)
    }

    fn lost(&self) -> u64 {
        self.first.lost() + self.second.lost()
    }

    fn costs(&self) -> Vec<Cost> {
        let mut costs = self.first.costs();
        costs.extend(self.second.costs());
        costs
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Gap, Via};

    /// Gives batches of events at these times, each after a wait; then waits for ever, or
    /// ends.
    struct Script {
        batches: Vec<(u64, Vec<u64>)>,
        ends: bool,
    }

    impl Source for Script {
        type Error = std::io::Error;

        async fn next(&mut self, events: &mut Vec<Event>) -> std::io::Result<()> {
            let Some((wait, _)) = self.batches.first() else {
                if self.ends {
                    return Ok(());
                }
                return std::future::pending().await;
            };
            tokio::time::sleep(Duration::from_millis(*wait)).await;
            events.extend(self.batches.remove(0).1.into_iter().map(event));
            Ok(())
        }

        fn finish(&mut self, events: &mut Vec<Event>) -> std::io::Result<()> {
            events.extend(self.batches.drain(..).flat_map(|(_, all)| all).map(event));
            Ok(())
        }

        fn follow(&mut self, _: u32) -> std::io::Result<()> {
            Ok(())
        }

        fn lost(&self) -> u64 {
            1
        }
    }

    fn event(at: u64) -> Event {
        let text = String::new;
        let gap = Gap {
            what: text(),
            why: text(),
            mend: text(),
            hook: None,
            unseen: Vec::new(),
            count: 0,
        };
        Event { at, via: Via::Kernel, body: Body::Gap(gap) }
    }

    /// Its clock stands still while anything is to be done, and jumps to what is waited for
    /// else: nothing is late on a busy machine.
    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    }

    fn played(first: Script, second: Script) -> Vec<u64> {
        runtime().block_on(async {
            let mut merged = Merged::new(first, second);
            let mut all = Vec::new();
            loop {
                let mut events = Vec::new();
                merged.next(&mut events).await.unwrap();
                if events.is_empty() {
                    break;
                }
                all.extend(events.iter().map(|event| event.at));
            }
            assert_eq!(merged.lost(), 2);
            all
        })
    }

    #[test]
    fn a_late_batch_takes_its_place_before_what_was_held() {
        let first = Script { batches: vec![(4, vec![1, 5, 9]), (4, vec![12])], ends: true };
        let second = Script { batches: vec![(0, vec![3, 9, 10])], ends: false };
        assert_eq!(played(first, second), [1, 3, 5, 9, 9, 10, 12]);
    }

    #[test]
    fn what_is_held_comes_though_the_first_is_silent() {
        let first = Script { batches: Vec::new(), ends: false };
        let second = Script { batches: vec![(0, vec![7])], ends: false };
        let mut merged = Merged::new(first, second);
        let mut events = Vec::new();
        runtime().block_on(merged.next(&mut events)).unwrap();
        assert_eq!(events, [event(7)]);
    }
}
