//! What each capability is for, and which are missing. All are root's; a service can
//! have those it needs and no others.

/// A capability (capabilities(7)) that something needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    /// Its number in `include/uapi/linux/capability.h`.
    number: u32,
    /// Without it nothing can be traced.
    pub needed: bool,
    pub purpose: &'static str,
}

pub const BPF: Capability =
    Capability { name: "CAP_BPF", number: 39, needed: true, purpose: "to load kernel programs" };

pub const PERFMON: Capability = Capability {
    name: "CAP_PERFMON",
    number: 38,
    needed: true,
    purpose: "to attach them to tracepoints, and for them to read the kernel's memory",
};

pub const NET_ADMIN: Capability = Capability {
    name: "CAP_NET_ADMIN",
    number: 12,
    needed: false,
    purpose: "for the local port of SYN_SENT on kernels that refuse probes (TCP's callbacks)",
};

pub const DAC_READ_SEARCH: Capability = Capability {
    name: "CAP_DAC_READ_SEARCH",
    number: 2,
    needed: false,
    purpose: "for accept() on kernels that refuse probes (tracefs is closed to all but root), and \
        for the paths of control groups",
};

pub const SYS_ADMIN: Capability = Capability {
    name: "CAP_SYS_ADMIN",
    number: 21,
    needed: false,
    purpose: "to mount tracefs where nobody has",
};

pub const SYS_PTRACE: Capability = Capability {
    name: "CAP_SYS_PTRACE",
    number: 19,
    needed: false,
    purpose: "for --netns pid:N of another user's process",
};

/// In the order in which to give them.
pub const ALL: [&Capability; 6] =
    [&BPF, &PERFMON, &NET_ADMIN, &DAC_READ_SEARCH, &SYS_ADMIN, &SYS_PTRACE];

impl Capability {
    /// Whether this process has it, or one that stands for it.
    pub fn is_held(&self) -> bool {
        self.is_in(effective())
    }

    fn is_in(&self, held: u64) -> bool {
        let bit = |capability: &Capability| 1 << capability.number;
        // The kernel has split these off.
        let split = [BPF.number, PERFMON.number, NET_ADMIN.number].contains(&self.number);
        held & bit(self) != 0 || split && held & bit(&SYS_ADMIN) != 0
    }
}

/// The set of capabilities of this process, as bits.
fn effective() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        // Where it cannot be read, the kernel's own answer will tell.
        .unwrap_or(u64::MAX)
}

/// What tracing cannot do without and this process lacks, each with what it is for;
/// nothing if nothing is missing.
pub fn missing() -> Option<String> {
    missing_of(effective())
}

fn missing_of(held: u64) -> Option<String> {
    let missing = ALL.iter().filter(|capability| capability.needed && !capability.is_in(held));
    let missing: Vec<String> =
        missing.map(|missing| format!("{} ({})", missing.name, missing.purpose)).collect();
    (!missing.is_empty()).then(|| missing.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_it_is_for() {
        let set = |of: &[&Capability]| of.iter().fold(0, |bits, one| bits | 1 << one.number);
        let all = missing_of(0).unwrap();
        assert_eq!(
            all,
            "CAP_BPF (to load kernel programs) and CAP_PERFMON (to attach them to tracepoints, \
             and for them to read the kernel's memory)"
        );
        assert!(missing_of(set(&[&BPF])).unwrap().starts_with("CAP_PERFMON (to attach"));
        assert_eq!(missing_of(set(&[&PERFMON])).unwrap(), "CAP_BPF (to load kernel programs)");
        assert_eq!(missing_of(set(&[&BPF, &PERFMON])), None);
        assert_eq!(missing_of(set(&[&SYS_ADMIN])), None);
        assert!(!DAC_READ_SEARCH.is_in(set(&[&SYS_ADMIN])));
        assert!(NET_ADMIN.is_in(set(&[&SYS_ADMIN])) && !NET_ADMIN.is_in(set(&[&BPF])));
    }
}
