//! Giving up what is not needed any more: capabilities, new privileges by exec, and the
//! file system but for what names are looked up in.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    path_beneath_rules,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot give up capabilities: {source}")]
    Capabilities { source: caps::errors::CapsError },
    #[error("cannot give up new privileges (PR_SET_NO_NEW_PRIVS): {source}")]
    NoNewPrivileges { source: io::Error },
    #[error("cannot give up the file system (Landlock): {source}")]
    Landlock { source: landlock::RulesetError },
}

/// What is read after the start: names of hosts, services and users (nsswitch.conf names
/// the libraries), time zones, and what we weigh ourselves by.
const READ: [&str; 9] =
    ["/etc", "/lib", "/lib64", "/usr", "/proc", "/sys", "/run", "/var/lib", "/dev/urandom"];

/// Gives up all capabilities but `keep`, for this thread and those that it starts.
pub fn keep_only(keep: &[Capability]) -> Result<(), Error> {
    let failed = |source| Error::Capabilities { source };
    let keep: CapsHashSet = keep.iter().copied().collect();
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    // What we do not have, we cannot keep.
    let keep: CapsHashSet = keep.intersection(&held).copied().collect();
    if held.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::all().into_iter().filter(|one| !keep.contains(one)) {
            // Why ignored: a kernel does not have the newest ones.
            let _ = caps::drop(None, CapSet::Bounding, capability);
        }
    }
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        // Why ignored: an old kernel has no ambient set, and then nothing is in it.
        let _ = caps::clear(None, set);
    }
    caps::set(None, CapSet::Effective, &keep).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &keep).map_err(failed)
}

/// No program that is started from here on gains anything by it.
pub fn no_new_privileges() -> Result<(), Error> {
    // SAFETY: takes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(Error::NoNewPrivileges { source: io::Error::last_os_error() });
    }
    Ok(())
}

/// From here on, files can be read where names are looked up, and nothing can be written
/// or run but what is open already. As far as the kernel has it.
pub fn close_file_system() -> Result<(), Error> {
    let failed = |source| Error::Landlock { source };
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V3))
        .map_err(failed)?
        .create()
        .map_err(failed)?
        .add_rules(path_beneath_rules(READ, AccessFs::ReadFile | AccessFs::ReadDir))
        .map_err(failed)?
        .restrict_self()
        .map(drop)
        .map_err(failed)
}

/// Everything at once: what the part that parses has no need for.
pub fn give_up_all() -> Result<(), Error> {
    keep_only(&[])?;
    no_new_privileges()?;
    close_file_system()
}

/// The version of Landlock in this kernel; nothing if it has none.
pub fn landlock_version() -> Option<u32> {
    // LANDLOCK_CREATE_RULESET_VERSION (linux/landlock.h).
    const VERSION: u32 = 1;
    let none = std::ptr::null::<u8>();
    // SAFETY: with this flag, no structure is read.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own: what it gives up is gone for good.
    #[test]
    fn nothing_is_left_and_names_can_be_looked_up() {
        std::thread::spawn(|| {
            let path =
                std::env::temp_dir().join(format!("netbreath-sandbox-{}", std::process::id()));
            give_up_all().unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                let line = status.lines().find(|line| line.starts_with(set)).unwrap();
                assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{line}");
            }
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            assert!(std::fs::read_to_string("/etc/hosts").is_ok());
            if landlock_version().is_some() {
                let denied = std::fs::write(&path, "x").unwrap_err();
                assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
                assert!(std::process::Command::new("/bin/true").status().is_err());
            } else {
                eprintln!("skipped: no Landlock in this kernel");
            }
        })
        .join()
        .unwrap();
    }
}
