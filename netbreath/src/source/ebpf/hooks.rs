//! The hook ladders: for each hook its rungs, best first, and what is lost on each.
//! Rungs are tried, never guessed from the kernel's version.

use netbreath_common::hook::Hook;

/// A hook and the ways to attach it.
pub struct Ladder {
    pub hook: Hook,
    /// What it is for, and so what is missing without it.
    pub purpose: &'static str,
    /// Without it there is nothing to trace.
    pub needed: bool,
    pub rungs: &'static [Rung],
}

/// One way to attach a hook.
pub struct Rung {
    /// The name of its program in the object.
    pub program: &'static str,
    pub attach: Attach,
    /// What this rung cannot give that better ones do; empty if nothing.
    pub lost: &'static str,
}

/// An attach point.
pub enum Attach {
    /// A tracepoint with typed arguments.
    BtfTracepoint(&'static str),
    /// A tracepoint with bare arguments.
    RawTracepoint(&'static str),
    /// Tracepoints through perf; needs tracefs.
    Tracepoint(&'static [(&'static str, &'static str)]),
    /// A function's entry, through a trampoline.
    Fentry(&'static str),
    /// A function's return, if it has so many parameters.
    Fexit(&'static str, usize),
    /// A function's entry or return, through a breakpoint.
    Kprobe(&'static str),
    /// TCP's callbacks, on the root cgroup.
    SockOps,
    /// A pass over what exists.
    Iterator(&'static str),
}

impl Rung {
    /// Its pointers are typed, so that slots can lie on the socket.
    pub const fn is_typed(&self) -> bool {
        matches!(self.attach, Attach::BtfTracepoint(_))
    }
}

impl std::fmt::Display for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attach::BtfTracepoint(name) => write!(f, "tp_btf {name}"),
            Attach::RawTracepoint(name) => write!(f, "raw_tp {name}"),
            Attach::Tracepoint(names) => {
                f.write_str("tracepoint ")?;
                for (i, (category, name)) in names.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{category}:{name}")?;
                }
                Ok(())
            }
            Attach::Fentry(name) => write!(f, "fentry {name}"),
            Attach::Fexit(name, parameters) => write!(f, "fexit {name}({parameters} parameters)"),
            Attach::Kprobe(name) => write!(f, "kprobe {name}"),
            Attach::SockOps => f.write_str("sock_ops on the root cgroup"),
            Attach::Iterator(name) => write!(f, "iterator {name}"),
        }
    }
}

const NO_INHERITANCE: &str = "before accept() the owner of a connection that came in is \
    unknown, not the listener's";

/// In the order in which they are attached: transitions after what they lean on.
pub const LADDERS: &[Ladder] = &[
    Ladder {
        hook: Hook::Destroy,
        purpose: "when a socket is freed: without it, a socket that is closed before it is \
            accepted shows no accept",
        needed: false,
        rungs: &[
            Rung {
                program: "nb_destroy_btf",
                attach: Attach::BtfTracepoint("tcp_destroy_sock"),
                lost: "",
            },
            Rung {
                program: "nb_destroy_raw",
                attach: Attach::RawTracepoint("tcp_destroy_sock"),
                lost: "",
            },
            Rung {
                program: "nb_destroy_tp",
                attach: Attach::Tracepoint(&[("tcp", "tcp_destroy_sock")]),
                lost: "",
            },
            Rung {
                program: "nb_destroy_kp",
                attach: Attach::Kprobe("inet_csk_destroy_sock"),
                lost: "",
            },
        ],
    },
    Ladder {
        hook: Hook::Accept,
        purpose: "which process takes a connection from a listener's queue: without it, the \
            owner of a connection that came in is the listener's",
        needed: false,
        rungs: &[
            Rung {
                program: "nb_accept_fx2",
                attach: Attach::Fexit("inet_csk_accept", 2),
                lost: "the new descriptor's number; who already waits in accept() at the start",
            },
            Rung {
                program: "nb_accept_fx4",
                attach: Attach::Fexit("inet_csk_accept", 4),
                lost: "the new descriptor's number; who already waits in accept() at the start",
            },
            Rung {
                program: "nb_accept_krp",
                attach: Attach::Kprobe("inet_csk_accept"),
                lost: "the new descriptor's number; who already waits in accept() at the start",
            },
            Rung {
                program: "nb_accept_sys",
                attach: Attach::Tracepoint(&[
                    ("syscalls", "sys_exit_accept"),
                    ("syscalls", "sys_exit_accept4"),
                ]),
                lost: "connections that io_uring accepts; and every system call of this \
                    machine takes some 20 ns longer",
            },
        ],
    },
    Ladder {
        hook: Hook::Connect,
        purpose: "which local port a connection goes out from: without it, SYN_SENT shows none",
        needed: false,
        rungs: &[
            Rung { program: "nb_connect_fe", attach: Attach::Fentry("tcp_connect"), lost: "" },
            Rung { program: "nb_connect_kp", attach: Attach::Kprobe("tcp_connect"), lost: "" },
            Rung { program: "nb_connect_ops", attach: Attach::SockOps, lost: "" },
        ],
    },
    Ladder {
        hook: Hook::SockState,
        purpose: "state transitions of all TCP sockets",
        needed: true,
        rungs: &[
            Rung {
                program: "nb_state_btf",
                attach: Attach::BtfTracepoint("inet_sock_set_state"),
                lost: "",
            },
            Rung {
                program: "nb_state_raw",
                attach: Attach::RawTracepoint("inet_sock_set_state"),
                lost: NO_INHERITANCE,
            },
            Rung {
                program: "nb_state_tp",
                attach: Attach::Tracepoint(&[("sock", "inet_sock_set_state")]),
                lost: NO_INHERITANCE,
            },
            Rung {
                program: "nb_state_kp",
                attach: Attach::Kprobe("tcp_set_state"),
                lost: "the transitions CLOSE to LISTEN and LISTEN to SYN_RECV; and before \
                    accept() the owner of a connection that came in",
            },
        ],
    },
];

/// Only where a command is followed.
pub const PROCESS: Ladder = Ladder {
    hook: Hook::Process,
    purpose: "the children of the traced command",
    needed: true,
    rungs: &[
        Rung {
            program: "nb_fork_btf",
            attach: Attach::BtfTracepoint("sched_process_fork"),
            lost: "",
        },
        Rung {
            program: "nb_fork_raw",
            attach: Attach::RawTracepoint("sched_process_fork"),
            lost: "",
        },
    ],
};

/// One pass when the rest is attached.
pub const SEED: Ladder = Ladder {
    hook: Hook::Seed,
    purpose: "sockets that were open before netbreath started: without it, their owner is \
        unknown",
    needed: false,
    rungs: &[Rung { program: "nb_seed_files", attach: Attach::Iterator("task_file"), lost: "" }],
};
