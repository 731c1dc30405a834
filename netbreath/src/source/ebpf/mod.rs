//! Events from kernel programs. Placeholder until the real one is merged.

use std::future::Future;

use super::{Ask, Source};
use crate::event::Event;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "this process lacks CAP_BPF and CAP_PERFMON, which loading programs into the kernel \
         needs; run it as root: sudo netbreath trace"
    )]
    Privilege,
    #[error("the source of kernel events is not wired yet")]
    NotWired,
}

pub struct Ebpf;

pub fn open(_ask: &Ask) -> Result<Ebpf, Error> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 { Err(Error::Privilege) } else { Err(Error::NotWired) }
}

impl Source for Ebpf {
    type Error = Error;

    fn next(&mut self, _: &mut Vec<Event>) -> impl Future<Output = Result<(), Error>> {
        std::future::ready(Err(Error::NotWired))
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), Error> {
        Err(Error::NotWired)
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Err(Error::NotWired)
    }

    fn lost(&self) -> u64 {
        0
    }
}
