//! Who holds which socket, in all network namespaces: one pass over all open files of all
//! processes, by a small program of its own (`netbreath-ebpf/src/holder.rs`). It is quick
//! where there are many files; to load it takes as long as to look through some ten
//! thousand of them in `/proc`.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use aya::programs::{Iter, ProgramError};
use aya::{EbpfError, EbpfLoader, Endianness};
use netbreath_common::offset::ABSENT;
use netbreath_common::record::Holder as Record;

use super::btf::{self, Btf};
use super::{load, privilege};
use crate::table::socket::{Holder, Holders, Process};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/holder.bpf.o"));

const PROGRAM: &str = "nb_holder";

/// Why the pass could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{missing} is missing to load a kernel program")]
    Privilege { missing: String },
    #[error("there is no type information of this kernel: {source}")]
    Btf { source: btf::Error },
    #[error("this kernel has no member {member} where one is needed")]
    Member { member: &'static str },
    #[error("cannot parse the kernel's type information: {source}")]
    Types { source: aya::BtfError },
    #[error("cannot load the kernel program: {source}")]
    Load { source: Box<EbpfError> },
    #[error("the kernel program {PROGRAM} is not in the object")]
    NoProgram,
    #[error("the kernel refused the program {PROGRAM}: {source}")]
    Refused { source: Box<ProgramError> },
    #[error("cannot start the pass over all open files: {source}")]
    Start { source: aya::programs::links::LinkError },
    #[error("cannot read what the kernel program wrote: {source}")]
    Read { source: std::io::Error },
}

/// Members without which nothing can be told.
const NEEDED: [&str; 5] = ["FILE_INODE", "INODE_NUMBER", "TASK_TGID", "SOCKET_SK", "TASK_COMM"];

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
    let bytes = read()?;
    let size = size_of::<Record>();
    let mut all = Vec::with_capacity(bytes.len() / size);
    let mut processes: HashMap<u32, Process> = HashMap::new();
    let mut netns = HashMap::new();
    for chunk in bytes.chunks_exact(size) {
        // SAFETY: the chunk is as long as the record, and all bytes are allowed in it.
        let record = unsafe { chunk.as_ptr().cast::<Record>().read_unaligned() };
        let Record { inode, pid, fd, uid, comm, .. } = record;
        all.push(Holder { inode, pid, fd });
        processes.entry(pid).or_insert_with(|| {
            let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
            let comm = comm[..len].to_vec();
            Process { pid, comm, uid: Some(uid), ..Process::default() }
        });
        if namespaces {
            netns.insert(inode, record.netns);
        }
    }
    let holders = Holders::new(all, processes.into_values().collect());
    Ok(Found { holders, netns })
}

/// The records, as the program wrote them.
fn read() -> Result<Vec<u8>, Error> {
    let btf = Btf::read(Path::new(Btf::KERNEL)).map_err(|source| Error::Btf { source })?;
    let offsets = load::offsets(Some(&btf));
    for member in NEEDED {
        if offsets.iter().any(|(name, offset)| *name == member && *offset == ABSENT) {
            return Err(Error::Member { member });
        }
    }
    let points = btf.outline(&["bpf_iter_task_file".to_owned()]);
    let points = aya::Btf::parse(&points, Endianness::default())
        .map_err(|source| Error::Types { source })?;
    let mut loader = EbpfLoader::new();
    loader.btf(Some(&points));
    for (name, offset) in &offsets {
        // Why not demanded: the linker leaves out what this program does not read.
        loader.override_global(name, offset, false);
    }
    let mut object = loader.load(OBJECT).map_err(|source| Error::Load { source: source.into() })?;
    let refused = |source: ProgramError| Error::Refused { source: source.into() };
    let program: &mut Iter =
        object.program_mut(PROGRAM).ok_or(Error::NoProgram)?.try_into().map_err(refused)?;
    program.load("task_file", &points).map_err(refused)?;
    let link = program.attach().map_err(refused)?;
    let link = program.take_link(link).map_err(refused)?;
    let mut file = link.into_file().map_err(|source| Error::Start { source })?;
    let mut bytes = Vec::with_capacity(64 * 1024);
    file.read_to_end(&mut bytes).map_err(|source| Error::Read { source })?;
    Ok(bytes)
}
