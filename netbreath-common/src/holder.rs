//! What the program that is loaded for one question (`netbreath-ebpf/src/holder.rs`) and
//! its loader agree on. It has no maps and no globals, since these would cost more than all
//! the rest of its loading: a member's offset is an instruction that moves `MARK` plus the
//! member's place in `MEMBERS` into a register, and the loader puts the running kernel's
//! offset in its stead.

/// What stands for offset 0 of `MEMBERS`. No offset is as large.
pub const MARK: i32 = 0x6e62_0000;

/// The members that the program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Member {
    FileInode,
    InodeNumber,
    SocketSk,
    SockNet,
    NetInum,
    TaskTgid,
    TaskLeader,
    TaskComm,
    TaskCred,
    CredUid,
}

/// Structure and path of each, in the order of `Member`.
pub const MEMBERS: [(&str, &str); 10] = [
    ("file", "f_inode"),
    ("inode", "i_ino"),
    ("socket", "sk"),
    ("sock", "__sk_common.skc_net.net"),
    ("net", "ns.inum"),
    ("task_struct", "tgid"),
    ("task_struct", "group_leader"),
    ("task_struct", "comm"),
    ("task_struct", "cred"),
    ("cred", "uid"),
];

impl Member {
    /// The number that stands for its offset.
    pub const fn mark(self) -> i32 {
        MARK + self as i32
    }
}
