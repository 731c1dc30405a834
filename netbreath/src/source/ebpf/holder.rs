//! Who holds which socket, in all network namespaces: one pass over all open files of all
//! processes, by a small program of its own (`netbreath-ebpf/src/holder.rs`).
//!
//! It is loaded without aya's loader, which parses all of the kernel's types first and
//! makes a map for the globals: that takes ten times as long as the question itself. All
//! there is to do here is to put the offsets into the instructions, and three calls.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_insn, bpf_prog_type};
use aya_obj::{Object, ParseError};
use netbreath_common::holder::{MARK, MEMBERS};
use netbreath_common::record::Holder as Record;

use super::btf::{self, Btf};
use super::{privilege, raw};
use crate::table::socket::{Holder, Holders, Process};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/holder.bpf.o"));

const PROGRAM: &str = "nb_holder";
/// The function of the kernel that stands for the iterator.
const ITERATOR: &str = "bpf_iter_task_file";

/// Why the pass could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{missing} is missing to load a kernel program")]
    Privilege { missing: String },
    #[error(
        "the kernel tells process ids of the whole machine, and this is a pid namespace of its own"
    )]
    PidNamespace,
    #[error("there is no type information of this kernel: {source}")]
    Btf { source: btf::Error },
    #[error("this kernel has no {what}, which is needed to look through all open files")]
    Missing { what: String },
    #[error("cannot read the kernel program {PROGRAM}: {source}")]
    Object { source: ParseError },
    #[error("the kernel program {PROGRAM} is not in the object")]
    NoProgram,
    #[error("the kernel refused {what} of {PROGRAM}: {source}")]
    Refused { what: &'static str, source: io::Error },
    #[error("cannot read what the kernel program wrote: {source}")]
    Read { source: io::Error },
}

/// All holders, and the network namespace of each socket.
pub struct Found {
    pub holders: Holders,
    /// Inode numbers of namespaces, by those of sockets.
    pub netns: HashMap<u32, u32>,
}

/// Looks through all open files. With `namespaces`, sockets' namespaces are noted too.
pub fn pass(namespaces: bool) -> Result<Found, Error> {
    if let Some(missing) = privilege::missing() {
        return Err(Error::Privilege { missing });
    }
    if !in_first_pid_namespace() {
        return Err(Error::PidNamespace);
    }
    let bytes = read()?;
    let size = size_of::<Record>();
    let mut all = Vec::with_capacity(bytes.len() / size);
    let mut processes: Vec<Process> = Vec::new();
    let mut netns = HashMap::new();
    for chunk in bytes.chunks_exact(size) {
        // SAFETY: the chunk is as long as the record, and all bytes are allowed in it.
        let record = unsafe { chunk.as_ptr().cast::<Record>().read_unaligned() };
        let Record { inode, pid, fd, uid, comm, .. } = record;
        all.push(Holder { inode, pid, fd });
        // The descriptors of a process come one after the other.
        if processes.last().is_none_or(|last| last.pid != pid) {
            let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
            let comm = comm[..len].to_vec();
            processes.push(Process { pid, comm, uid: Some(uid), ..Process::default() });
        }
        if namespaces {
            netns.insert(inode, record.netns);
        }
    }
    Ok(Found { holders: Holders::new(all, processes), netns })
}

/// Whether `/proc` numbers processes as the kernel does.
fn in_first_pid_namespace() -> bool {
    /// `PROC_PID_INIT_INO` of `linux/proc_ns.h`.
    const FIRST: u64 = 0xefff_fffc;
    let about = std::fs::metadata("/proc/self/ns/pid");
    about.is_ok_and(|about| std::os::unix::fs::MetadataExt::ino(&about) == FIRST)
}

/// The records, as the program wrote them.
fn read() -> Result<Vec<u8>, Error> {
    let btf = Btf::read(Path::new(Btf::KERNEL)).map_err(|source| Error::Btf { source })?;
    let iterator = btf
        .function(ITERATOR)
        .ok_or_else(|| Error::Missing { what: format!("iterator {ITERATOR}") })?;
    let instructions = instructions(&btf)?;
    drop(btf);
    let program = load(&instructions, iterator)?;
    let link = attach(&program)?;
    let mut file = iterate(&link)?;
    let mut bytes = Vec::with_capacity(64 * 1024);
    file.read_to_end(&mut bytes).map_err(|source| Error::Read { source })?;
    Ok(bytes)
}

/// The program with this kernel's offsets in it.
fn instructions(btf: &Btf) -> Result<Vec<bpf_insn>, Error> {
    let mut names: Vec<&str> = MEMBERS.iter().map(|(structure, _)| *structure).collect();
    names.sort_unstable();
    names.dedup();
    let places = btf.structures(&names);
    let mut offsets = [0; MEMBERS.len()];
    for (offset, (structure, member)) in offsets.iter_mut().zip(MEMBERS) {
        let place = names.binary_search(&structure).ok().and_then(|i| *places.get(i)?);
        let found = place.and_then(|at| btf.offset(at, member));
        let what = || format!("member {member} in struct {structure}");
        *offset = found
            .and_then(|offset| i32::try_from(offset).ok())
            .ok_or_else(|| Error::Missing { what: what() })?;
    }
    let object = Object::parse(OBJECT).map_err(|source| Error::Object { source })?;
    let key = object.programs.get(PROGRAM).ok_or(Error::NoProgram)?.function_key();
    let mut instructions = object.functions.get(&key).ok_or(Error::NoProgram)?.instructions.clone();
    // BPF_ALU64 | BPF_MOV | BPF_K (linux/bpf_common.h).
    const MOVE: u8 = 0xb7;
    for instruction in instructions.iter_mut().filter(|instruction| instruction.code == MOVE) {
        let place = instruction.imm.checked_sub(MARK).and_then(|at| usize::try_from(at).ok());
        if let Some(offset) = place.and_then(|place| offsets.get(place)) {
            instruction.imm = *offset;
        }
    }
    Ok(instructions)
}

fn load(instructions: &[bpf_insn], iterator: u32) -> Result<OwnedFd, Error> {
    let mut attr = raw::empty();
    // SAFETY: the member of the union that this command reads.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = u32::try_from(instructions.len()).unwrap_or(u32::MAX);
    load.license = c"Dual MIT/GPL".as_ptr() as u64;
    load.attach_btf_id = iterator;
    for (to, from) in load.prog_name.iter_mut().zip(PROGRAM.bytes()) {
        *to = from as _;
    }
    raw::open(bpf_cmd::BPF_PROG_LOAD, &mut attr)
        .map_err(|source| Error::Refused { what: "the load", source })
}

fn attach(program: &OwnedFd) -> Result<OwnedFd, Error> {
    let mut attr = raw::empty();
    // SAFETY: the member of the union that this command reads.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    create.attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
    raw::open(bpf_cmd::BPF_LINK_CREATE, &mut attr)
        .map_err(|source| Error::Refused { what: "the start", source })
}

fn iterate(link: &OwnedFd) -> Result<File, Error> {
    let mut attr = raw::empty();
    // SAFETY: the member of the union that this command reads.
    let create = unsafe { &mut attr.iter_create };
    create.link_fd = link.as_raw_fd() as u32;
    let file = raw::open(bpf_cmd::BPF_ITER_CREATE, &mut attr)
        .map_err(|source| Error::Refused { what: "a pass", source })?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_its_place_in_the_program() {
        let object = Object::parse(OBJECT).unwrap();
        let key = object.programs[PROGRAM].function_key();
        let places: Vec<i32> =
            object.functions[&key].instructions.iter().map(|i| i.imm - MARK).collect();
        for place in 0..MEMBERS.len() as i32 {
            assert!(places.contains(&place), "{:?}", MEMBERS[place as usize]);
        }
        // What it needs no loader for.
        assert!(object.maps.is_empty());
    }
}
