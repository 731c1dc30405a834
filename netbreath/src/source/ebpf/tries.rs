//! Programs that are loaded side by side before they are needed. The verifier takes most
//! of the time of a start, and takes it for each program alone.

use std::collections::HashMap;
use std::sync::Mutex;

use aya::Ebpf as Object;
use aya::programs::Program;

use super::hooks::{Attach, Rung};
use super::load::{Kernel, Refusal, load_program};

/// What the kernel answered to programs that were loaded ahead, by their names.
#[derive(Default)]
pub struct Tries(HashMap<&'static str, Result<(), Refusal>>);

impl Tries {
    /// Loads the programs of the best rung of each list that the kernel takes, as far as
    /// loading tells.
    pub fn load(object: &mut Object, mut lists: Vec<Vec<&'static Rung>>, kernel: &Kernel) -> Tries {
        let mut tries = Tries::default();
        loop {
            let best: Vec<&Rung> = lists.iter().filter_map(|list| list.first().copied()).collect();
            if best.is_empty() {
                return tries;
            }
            tries.side_by_side(object, &best, kernel);
            for list in &mut lists {
                let taken = list.first().is_some_and(|rung| tries.takes(rung));
                list.drain(..if taken { list.len() } else { list.len().min(1) });
            }
        }
    }

    /// What the kernel answered to this program, if it was loaded ahead.
    pub fn answer(&mut self, program: &str) -> Option<Result<(), Refusal>> {
        self.0.remove(program)
    }

    fn takes(&self, rung: &Rung) -> bool {
        rung.programs().all(|(name, _)| matches!(self.0.get(name), Some(Ok(()))))
    }

    fn side_by_side(&mut self, object: &mut Object, rungs: &[&'static Rung], kernel: &Kernel) {
        let points: Vec<(&'static str, &'static Attach)> = rungs
            .iter()
            .filter(|rung| kernel.has_types() || !rung.needs_types)
            .flat_map(|rung| rung.programs())
            .collect();
        let mut work: Vec<(usize, &mut Program)> = object
            .programs_mut()
            .filter_map(|(name, program)| {
                let at = points.iter().position(|(wanted, _)| *wanted == name)?;
                Some((at, program))
            })
            .collect();
        // Taken from the end: the largest are the last.
        work.sort_unstable_by_key(|(at, _)| *at);
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(work.len());
        let (work, answers) = (Mutex::new(work), Mutex::new(&mut self.0));
        let worker = || {
            let next = || work.lock().ok().and_then(|mut work| work.pop());
            while let Some((at, program)) = next() {
                let Some((name, point)) = points.get(at) else { continue };
                let answer = load_program(program, point, kernel);
                if let Ok(mut answers) = answers.lock() {
                    answers.insert(name, answer);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(worker);
            }
            worker();
        });
    }
}
