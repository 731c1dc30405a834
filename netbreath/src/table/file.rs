//! What a process has open, as `lsof` sees it: its folders, its program, what it has
//! mapped, and its descriptors.

/// A file that a process has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub at: At,
    pub access: Access,
    pub kind: Kind,
    /// Major and minor number of the device that it lies on; of a device, its own.
    pub device: Option<(u32, u32)>,
    /// The device that it lies on, also of a device.
    pub on: Option<(u32, u32)>,
    /// Bytes; only of what has a size.
    pub size: Option<u64>,
    pub offset: u64,
    pub inode: Option<u64>,
    pub links: Option<u64>,
    /// A path, or what the kernel calls it.
    pub name: Vec<u8>,
    /// The flags that it was opened with (`O_*`).
    pub flags: Option<u32>,
}

/// Where a process has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    Cwd,
    Root,
    Text,
    Mapped,
    /// Mapped, and no longer to be found.
    Deleted,
    Fd(u32),
    /// Its descriptors may not be looked at.
    NoFd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Both,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    Character,
    Block,
    Fifo,
    /// With its inode number; who wants more asks the socket table.
    Socket(u32),
    Link,
    /// Something of the kernel's without a place: an eventfd, an epoll.
    Anonymous,
    Unknown,
}

impl At {
    /// The word of lsof; a descriptor is a number.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            At::Cwd => Some("cwd"),
            At::Root => Some("rtd"),
            At::Text => Some("txt"),
            At::Mapped => Some("mem"),
            At::Deleted => Some("DEL"),
            At::NoFd => Some("NOFD"),
            At::Fd(_) => None,
        }
    }
}

impl Access {
    pub const fn letter(self) -> char {
        match self {
            Access::Read => 'r',
            Access::Write => 'w',
            Access::Both => 'u',
            Access::Unknown => ' ',
        }
    }
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Regular => "REG",
            Kind::Directory => "DIR",
            Kind::Character => "CHR",
            Kind::Block => "BLK",
            Kind::Fifo => "FIFO",
            Kind::Socket(_) => "sock",
            Kind::Link => "LINK",
            Kind::Anonymous => "a_inode",
            Kind::Unknown => "unknown",
        }
    }
}
