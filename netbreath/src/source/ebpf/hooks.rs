//! The hook ladders: for each hook its rungs, best first, and what each does not show.
//! Rungs are tried, never guessed from the kernel's version.

use netbreath_common::config::emit;
use netbreath_common::hook::Hook;

use self::Attach::{
    BtfArguments, BtfTracepoint, Cgroup, Fentry, Fexit, Iterator, Kprobe, RawTracepoint, SockOps,
    Tracepoint, Traffic,
};
use super::unseen::Unseen;

/// A hook and the ways to attach it.
pub struct Ladder {
    pub hook: Hook,
    /// What it is for, and so what is missing without it.
    pub purpose: &'static str,
    /// Attached only if one of these is asked for: bits of `config::emit`.
    pub events: u32,
    /// Without it there is nothing to trace.
    pub needed: bool,
    pub rungs: &'static [Rung],
}

/// One way to attach a hook.
pub struct Rung {
    /// The name of its program in the object.
    pub program: &'static str,
    /// A program on the same attach point, right behind it, that does its work where the
    /// kernel has skipped it.
    pub second: Option<&'static str>,
    pub attach: Attach,
    /// Programs on other attach points, which the rung needs too.
    pub more: &'static [(&'static str, Attach)],
    /// What this rung does not show that better ones do; see `Ladder::unseen`.
    unseen: &'static [Unseen],
    /// What it costs those who are not traced; empty if nothing to speak of.
    pub cost: &'static str,
    /// It reads structures of the kernel, so the kernel must describe its types.
    pub needs_types: bool,
}

/// An attach point.
pub enum Attach {
    /// A tracepoint with typed arguments.
    BtfTracepoint(&'static str),
    /// The same, if it has at least so many arguments.
    BtfArguments(&'static str, usize),
    /// A tracepoint with bare arguments.
    RawTracepoint(&'static str),
    /// Tracepoints through perf; needs tracefs.
    Tracepoint(&'static [(&'static str, &'static str)]),
    /// A function's entry, through a trampoline.
    Fentry(&'static str),
    /// A function's return, if it has so many parameters; 0 stands for any number.
    Fexit(&'static str, usize),
    /// A function's entry or return, through a breakpoint.
    Kprobe(&'static str),
    /// TCP's callbacks, on the root cgroup.
    SockOps,
    /// What the sockets of the root cgroup, and so of all, are about to do.
    Cgroup(&'static str),
    /// A pass over what exists.
    Iterator(&'static str),
    /// Where an interface's traffic is controlled, by the programs that are attached there or
    /// by those that these call. Which interfaces, the capture knows.
    Traffic,
}

impl Ladder {
    /// Whether the hook looks for the slots of any sockets, which untyped pointers find in
    /// the map only. That of accept() finds the slots that matter to it there in any case,
    /// and what is about to be freed takes its storage with it.
    const fn finds_slots(&self) -> bool {
        matches!(
            self.hook,
            Hook::SockState
                | Hook::Connect
                | Hook::Send
                | Hook::SendBegin
                | Hook::Receive
                | Hook::Retransmit
                | Hook::RetransmitSynAck
                | Hook::ResetSent
                | Hook::ResetReceived
                | Hook::Drop
        )
    }

    /// Whether slots can lie on their sockets when the hook is attached by this rung.
    pub const fn allows_storage(&self, rung: &Rung) -> bool {
        rung.is_typed() || !self.finds_slots()
    }

    /// What is not seen when the hook is attached by this rung.
    pub fn unseen(&self, rung: &Rung) -> Vec<Unseen> {
        let mut unseen = rung.unseen.to_vec();
        // Only storage is handed on from a listener to its connections.
        if !self.allows_storage(rung) {
            unseen.push(Unseen::InheritedOwner);
        }
        unseen
    }

    /// What a rung of it is called, by `doctor` and by `--rung`: its attach point, with
    /// its program where a better rung has the same one.
    pub fn name_of(&self, rung: &Rung) -> String {
        let point = rung.attach.to_string();
        let first = self.rungs.iter().find(|other| other.attach.to_string() == point);
        match first {
            Some(first) if first.program != rung.program => format!("{point} ({})", rung.program),
            _ => point,
        }
    }
}

impl Attach {
    /// The name of its type in the kernel's BTF, if it is attached by that.
    pub fn type_name(&self) -> Option<String> {
        match self {
            Attach::BtfTracepoint(name) | Attach::BtfArguments(name, _) => {
                Some(format!("btf_trace_{name}"))
            }
            Attach::Fentry(name) | Attach::Fexit(name, _) => Some((*name).to_owned()),
            Attach::Iterator(name) => Some(format!("bpf_iter_{name}")),
            Attach::RawTracepoint(_)
            | Attach::Tracepoint(_)
            | Attach::Kprobe(_)
            | Attach::SockOps
            | Attach::Cgroup(_)
            | Attach::Traffic => None,
        }
    }
}

impl Rung {
    const fn new(program: &'static str, attach: Attach) -> Rung {
        Rung { program, second: None, attach, more: &[], unseen: &[], cost: "", needs_types: true }
    }

    const fn hiding(self, unseen: &'static [Unseen]) -> Rung {
        Rung { unseen, ..self }
    }

    const fn costing(self, cost: &'static str) -> Rung {
        Rung { cost, ..self }
    }

    const fn backed_by(self, second: &'static str) -> Rung {
        Rung { second: Some(second), ..self }
    }

    const fn with(self, more: &'static [(&'static str, Attach)]) -> Rung {
        Rung { more, ..self }
    }

    const fn without_types(self) -> Rung {
        Rung { needs_types: false, ..self }
    }

    /// Its programs, in the order in which they must be attached for the second to be
    /// called after the first: a trampoline calls the newest first.
    pub fn programs(&self) -> impl std::iter::Iterator<Item = (&'static str, &Attach)> {
        let newest_first = matches!(self.attach, Attach::Fentry(_) | Attach::Fexit(..));
        let (early, late) = if newest_first { (self.second, None) } else { (None, self.second) };
        let own = early.into_iter().chain([self.program]).chain(late);
        let more = self.more.iter().map(|(program, attach)| (*program, attach));
        own.map(|program| (program, &self.attach)).chain(more)
    }

    /// Its attach points.
    pub fn points(&self) -> impl std::iter::Iterator<Item = &Attach> {
        [&self.attach].into_iter().chain(self.more.iter().map(|(_, attach)| attach))
    }

    /// It is called for each transition there is.
    pub const fn sees_every_transition(&self) -> bool {
        !matches!(self.attach, Attach::Kprobe(_)) && self.second.is_some()
    }

    /// Its pointers are typed, so that slots can lie on the socket.
    const fn is_typed(&self) -> bool {
        match self.attach {
            Attach::BtfTracepoint(_)
            | Attach::BtfArguments(..)
            | Attach::Fentry(_)
            | Attach::Fexit(..)
            | Attach::SockOps
            | Attach::Cgroup(_)
            | Attach::Iterator(_)
            | Attach::Traffic => true,
            Attach::RawTracepoint(_) | Attach::Tracepoint(_) | Attach::Kprobe(_) => false,
        }
    }
}

impl std::fmt::Display for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attach::BtfTracepoint(name) => write!(f, "tp_btf {name}"),
            Attach::BtfArguments(name, least) => write!(f, "tp_btf {name}({least} arguments)"),
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
            Attach::Fexit(name, 0) => write!(f, "fexit {name}"),
            Attach::Fexit(name, parameters) => write!(f, "fexit {name}({parameters} parameters)"),
            Attach::Kprobe(name) => write!(f, "kprobe {name}"),
            Attach::SockOps => f.write_str("sock_ops on the root cgroup"),
            Attach::Cgroup(name) => write!(f, "{name} on the root cgroup"),
            Attach::Iterator(name) => write!(f, "iterator {name}"),
            Attach::Traffic => f.write_str("tc on interfaces"),
        }
    }
}

/// Other hooks lean on it.
const ALWAYS: u32 = u32::MAX;

/// The function ends before there is a descriptor, and its end is watched from its
/// beginning on, until any program is attached to it or detached from it.
const IN_ACCEPT: &[Unseen] = &[Unseen::Descriptor, Unseen::AcceptUnderWay];

/// Whose sockets are used.
const IO: u32 = emit::TCP | emit::DATAGRAM | emit::UNIX;

const UNIX_COST: &str = "every system call on this machine takes some 20 ns longer";

/// Passes over what exists.
pub const PASSES: [&Ladder; 4] = [&PROCESSES, &SEED, &SEED_UDP, &SEED_UNIX];

/// What captures need beside all others.
pub const SEND_BEGIN: Ladder = Ladder {
    hook: Hook::SendBegin,
    purpose: "which process begins to write to a connection: without it, the first packet of one \
        that was passed to another process or inherited seems to be its opener's",
    events: emit::PACKET,
    needed: false,
    rungs: &[
        Rung::new("nb_begin_btf", BtfTracepoint("tcp_sendmsg_locked")),
        Rung::new("nb_begin_fe", Fentry("tcp_sendmsg")),
        Rung::new("nb_begin_kp", Kprobe("tcp_sendmsg")),
    ],
};

/// As much of [`Hook::UdpPacket`] as captures need, where nobody asks for more.
pub const SENDER: Ladder = Ladder {
    hook: Hook::UdpPacket,
    purpose: "which process sends a packet that is not of TCP: without it, one from a socket that \
        several use seems to be its last reader's",
    events: emit::PACKET,
    needed: false,
    rungs: &[Rung::new("nb_udp_out", Cgroup("egress"))],
};

/// Packets themselves. They are attached to interfaces (see `packet`).
pub const PACKET: Ladder = Ladder {
    hook: Hook::Packet,
    purpose: "packets, and whose they are",
    events: emit::PACKET,
    needed: true,
    rungs: &[Rung::new("nb_packet_in", Traffic).with(&[
        ("nb_packet_out", Traffic),
        ("nb_keep_in", Traffic),
        ("nb_keep_out", Traffic),
    ])],
};

/// Every ladder there is, but for those of captures alone.
pub fn all() -> impl std::iter::Iterator<Item = &'static Ladder> {
    LADDERS.iter().chain(PASSES)
}

/// The time in SYN_RECV is known by half-open connections, too.
pub const HALF_OPEN_EVENTS: u32 = emit::HALF_OPEN | emit::STATE;

/// In the order in which they are attached: transitions after what they lean on.
pub const LADDERS: &[Ladder] = &[
    Ladder {
        hook: Hook::Fork,
        purpose: "which processes begin: without it, the program of one that runs its parent's is \
            not known, and the children of a command cannot be followed",
        events: ALWAYS,
        // Where a command is followed, it is: see `load`.
        needed: false,
        rungs: &[
            Rung::new("nb_fork_btf", BtfTracepoint("sched_process_fork")).backed_by("nb_fork_btf2"),
            Rung::new("nb_fork_raw", RawTracepoint("sched_process_fork")),
        ],
    },
    Ladder {
        hook: Hook::Exec,
        purpose: "which programs processes become: without it, the path and the new name of one \
            that started later are not known",
        events: ALWAYS,
        needed: false,
        rungs: &[
            Rung::new("nb_exec_btf", BtfTracepoint("sched_process_exec")).backed_by("nb_exec_btf2"),
            Rung::new("nb_exec_raw", RawTracepoint("sched_process_exec")),
        ],
    },
    Ladder {
        hook: Hook::Rename,
        purpose: "which names processes give themselves: without it, a process has the name that \
            it had when it became its program",
        events: ALWAYS,
        needed: false,
        rungs: &[
            Rung::new("nb_rename_btf", BtfTracepoint("task_rename")).backed_by("nb_rename_btf2"),
            Rung::new("nb_rename_raw", RawTracepoint("task_rename")),
        ],
    },
    Ladder {
        hook: Hook::Exit,
        purpose: "which processes end: without it, they are remembered for longer than they need \
            be",
        events: ALWAYS,
        needed: false,
        rungs: &[
            Rung::new("nb_exit_btf", BtfTracepoint("sched_process_exit")).backed_by("nb_exit_btf2"),
            Rung::new("nb_exit_raw", RawTracepoint("sched_process_exit")),
        ],
    },
    Ladder {
        hook: Hook::Destroy,
        purpose: "when a socket is freed: without it, a connection that its peer gives up \
            before it is accepted shows no accept",
        events: emit::TCP,
        needed: false,
        rungs: &[
            Rung::new("nb_destroy_btf", BtfTracepoint("tcp_destroy_sock")),
            Rung::new("nb_destroy_raw", RawTracepoint("tcp_destroy_sock")),
            Rung::new("nb_destroy_tp", Tracepoint(&[("tcp", "tcp_destroy_sock")])),
            Rung::new("nb_destroy_kp", Kprobe("inet_csk_destroy_sock")),
        ],
    },
    Ladder {
        hook: Hook::Accept,
        purpose: "which process takes a connection from a listener's queue: without it, a \
            connection that came in is the listener's for good",
        events: emit::TCP,
        needed: false,
        rungs: &[
            Rung::new("nb_accept_fe", Fentry("security_sock_graft"))
                .backed_by("nb_accept_fe2")
                .hiding(&[Unseen::Descriptor]),
            Rung::new("nb_accept_kp", Kprobe("security_sock_graft")).hiding(&[Unseen::Descriptor]),
            Rung::new("nb_accept_fx2", Fexit("inet_csk_accept", 2)).hiding(IN_ACCEPT),
            Rung::new("nb_accept_fx4", Fexit("inet_csk_accept", 4)).hiding(IN_ACCEPT),
            Rung::new(
                "nb_accept_sys",
                Tracepoint(&[("syscalls", "sys_exit_accept"), ("syscalls", "sys_exit_accept4")]),
            )
            .costing(
                "every system call on this machine takes some 20 ns longer; --no-accept-hook \
                 avoids that",
            ),
        ],
    },
    Ladder {
        hook: Hook::Connect,
        purpose: "which local port a connection goes out from: without it, SYN_SENT shows none",
        events: emit::TCP,
        needed: false,
        rungs: &[
            Rung::new("nb_connect_fe", Fentry("tcp_connect")).backed_by("nb_connect_fe2"),
            Rung::new("nb_connect_kp", Kprobe("tcp_connect")),
            Rung::new("nb_connect_ops", SockOps),
        ],
    },
    Ladder {
        hook: Hook::ConnectReturn,
        purpose: "which calls of connect() fail before they send anything, such as for want of a \
            route",
        events: emit::CONNECT_FAILED,
        needed: false,
        rungs: &[Rung::new(
            "nb_connret_sys",
            Tracepoint(&[("syscalls", "sys_enter_connect"), ("syscalls", "sys_exit_connect")]),
        )
        .costing("every system call on this machine takes some 20 ns longer")],
    },
    Ladder {
        hook: Hook::HalfOpen,
        events: HALF_OPEN_EVENTS,
        purpose: "connections that are half-open: without it, nothing shows of one before its \
            socket is made, and its time in SYN_RECV begins only then",
        needed: false,
        // A SYN that is answered with a SYN cookie is known when its connection is made.
        rungs: &[Rung::new("nb_half_open_ops", SockOps)],
    },
    Ladder {
        hook: Hook::Mini,
        events: emit::STATE,
        purpose: "packets to connections in TIME_WAIT, and to those in FIN_WAIT2 that no process \
            holds: without it, when these get the peer's FIN is not seen",
        needed: false,
        rungs: &[Rung::new("nb_mini_btf", BtfArguments("kfree_skb", 4))],
    },
    Ladder {
        hook: Hook::MiniReset,
        events: emit::STATE,
        purpose: "data to connections in FIN_WAIT2 that no process holds: without it, that this \
            ends one is noticed only when its time would have been over",
        needed: false,
        // With two arguments, it is not called for mini-sockets.
        rungs: &[Rung::new("nb_mini_reset_btf", BtfArguments("tcp_send_reset", 3))],
    },
    Ladder {
        hook: Hook::Send,
        purpose: "which process writes to a connection: without it, one that was passed to \
            another process or inherited seems to be its opener's",
        events: IO,
        needed: false,
        rungs: &[
            Rung::new("nb_send_btf", BtfTracepoint("sock_send_length")),
            Rung::new("nb_send_fe", Fentry("tcp_sendmsg")),
            Rung::new("nb_send_kp", Kprobe("tcp_sendmsg")),
        ],
    },
    Ladder {
        hook: Hook::Receive,
        purpose: "which process reads from a connection: without it, one that was passed to \
            another process or inherited seems to be its opener's",
        events: IO,
        needed: false,
        rungs: &[
            Rung::new("nb_recv_btf", BtfTracepoint("sock_recv_length")),
            Rung::new("nb_recv_fe", Fentry("tcp_recvmsg")),
            Rung::new("nb_recv_kp", Kprobe("tcp_recvmsg")),
            Rung::new("nb_recv_adjust", BtfTracepoint("tcp_rcv_space_adjust"))
                .hiding(&[Unseen::ReadOfEnd]),
        ],
    },
    Ladder {
        hook: Hook::Retransmit,
        purpose: "which segments are sent again: without it, loss on the way is not seen",
        events: emit::RETRANSMIT,
        needed: false,
        rungs: &[
            Rung::new("nb_retrans_btf", BtfTracepoint("tcp_retransmit_skb")),
            Rung::new("nb_retrans_raw", RawTracepoint("tcp_retransmit_skb")),
        ],
    },
    Ladder {
        hook: Hook::RetransmitSynAck,
        purpose: "which SYN-ACKs are sent again: without it, clients that do not go on are not \
            seen",
        events: emit::RETRANSMIT,
        needed: false,
        rungs: &[
            Rung::new("nb_synack_btf", BtfTracepoint("tcp_retransmit_synack")),
            Rung::new("nb_synack_raw", RawTracepoint("tcp_retransmit_synack"))
                .hiding(&[Unseen::Cookie]),
        ],
    },
    Ladder {
        hook: Hook::ResetSent,
        purpose: "which resets go out, and why",
        events: emit::RESET,
        needed: false,
        rungs: &[
            Rung::new("nb_rst_out_btf", BtfArguments("tcp_send_reset", 3)),
            Rung::new("nb_rst_out_btf2", BtfTracepoint("tcp_send_reset"))
                .hiding(&[Unseen::ResetReason]),
            Rung::new("nb_rst_out_raw", RawTracepoint("tcp_send_reset"))
                .hiding(&[Unseen::ResetReason]),
        ],
    },
    Ladder {
        hook: Hook::ResetReceived,
        purpose: "which resets come in",
        events: emit::RESET,
        needed: false,
        rungs: &[
            Rung::new("nb_rst_in_btf", BtfTracepoint("tcp_receive_reset")),
            Rung::new("nb_rst_in_raw", RawTracepoint("tcp_receive_reset")),
        ],
    },
    Ladder {
        hook: Hook::Drop,
        purpose: "which packets of connections the kernel throws away, and why",
        events: emit::DROP,
        needed: false,
        rungs: &[
            Rung::new("nb_drop_btf", BtfArguments("kfree_skb", 4)),
            Rung::new("nb_drop_btf3", BtfArguments("kfree_skb", 3)).hiding(&[Unseen::DropReceived]),
            Rung::new("nb_drop_btf2", BtfTracepoint("kfree_skb"))
                .hiding(&[Unseen::DropReceived, Unseen::DropReason]),
        ],
    },
    Ladder {
        hook: Hook::UdpOpen,
        purpose: "which UDP sockets are made: without it, all seem to be older than netbreath",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[Rung::new("nb_udp_open", Cgroup("sock_create"))],
    },
    Ladder {
        hook: Hook::UdpPacket,
        purpose: "the ends of datagrams, and the messages of DNS: without it, there are no dns \
            events, and the ends are those of the socket",
        events: emit::UDP | emit::DNS,
        needed: false,
        rungs: &[Rung::new("nb_udp_out", Cgroup("egress"))
            .with(&[
                ("nb_udp_in", Cgroup("ingress")),
                ("nb_udp_from4", Cgroup("recvmsg4")),
                ("nb_udp_from6", Cgroup("recvmsg6")),
            ])
            .costing("every packet of this machine's sockets takes a little longer")],
    },
    Ladder {
        hook: Hook::UdpBind,
        purpose: "which UDP sockets are bound",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[Rung::new("nb_udp_bind4", Cgroup("post_bind4"))
            .with(&[("nb_udp_bind6", Cgroup("post_bind6"))])],
    },
    Ladder {
        hook: Hook::UdpConnect,
        purpose: "which UDP sockets are connected",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[
            Rung::new("nb_udp_conn_fx", Fexit("inet_dgram_connect", 4)),
            Rung::new("nb_udp_connect4", Cgroup("connect4"))
                .with(&[("nb_udp_connect6", Cgroup("connect6"))])
                .hiding(&[Unseen::UdpConnectResult]),
        ],
    },
    Ladder {
        hook: Hook::UdpSend,
        purpose: "which process sends datagrams, how many and how much",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[Rung::new("nb_udp_send4_fx", Fexit("udp_sendmsg", 3))
            .with(&[("nb_udp_send6_fx", Fexit("udpv6_sendmsg", 3))])],
    },
    Ladder {
        hook: Hook::UdpReceive,
        purpose: "which process reads datagrams, how many and how much",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[
            Rung::new("nb_udp_recv4_f4", Fexit("udp_recvmsg", 4))
                .with(&[("nb_udp_recv6_f4", Fexit("udpv6_recvmsg", 4))]),
            Rung::new("nb_udp_recv4_fx", Fexit("udp_recvmsg", 5))
                .with(&[("nb_udp_recv6_fx", Fexit("udpv6_recvmsg", 5))]),
        ],
    },
    Ladder {
        hook: Hook::UdpClose,
        purpose: "when UDP sockets are closed, and what they have sent and received",
        events: emit::DATAGRAM,
        needed: false,
        rungs: &[Rung::new("nb_udp_close", Cgroup("sock_release"))],
    },
    Ladder {
        hook: Hook::UnixSend,
        purpose: "which process writes to a UNIX socket: without it, one that was passed to \
            another process or inherited seems to be its opener's",
        events: emit::UNIX,
        needed: false,
        rungs: &[Rung::new("nb_unix_snd_fx", Fexit("unix_stream_sendmsg", 3))
            .with(&[("nb_unix_dsnd_fx", Fexit("unix_dgram_sendmsg", 3))])],
    },
    Ladder {
        hook: Hook::UnixReceive,
        purpose: "which process reads from a UNIX socket: without it, one that was passed to \
            another process or inherited seems to be its opener's",
        events: emit::UNIX,
        needed: false,
        rungs: &[Rung::new("nb_unix_rcv_fx", Fexit("unix_stream_recvmsg", 4))
            .with(&[("nb_unix_drcv_fx", Fexit("unix_dgram_recvmsg", 4))])],
    },
    Ladder {
        hook: Hook::UnixClose,
        purpose: "when UNIX sockets are closed",
        events: emit::UNIX,
        needed: false,
        rungs: &[
            Rung::new("nb_unix_rel_fe", Fentry("unix_release")),
            Rung::new("nb_unix_rel_kp", Kprobe("unix_release")),
            Rung::new("nb_unix_close", Tracepoint(&[("syscalls", "sys_enter_close")]))
                .with(&[("nb_unix_exit", BtfTracepoint("sched_process_exit"))])
                .hiding(&[Unseen::UnixCloseOtherwise])
                .costing(UNIX_COST),
        ],
    },
    Ladder {
        hook: Hook::UnixBind,
        purpose: "which UNIX sockets for datagrams are given a name",
        events: emit::UNIX,
        needed: false,
        rungs: &[
            Rung::new("nb_unix_bind_fx", Fexit("unix_bind", 3)),
            Rung::new("nb_unix_bind", Tracepoint(&[("syscalls", "sys_exit_bind")]))
                .with(&[("nb_unix_bind_in", Tracepoint(&[("syscalls", "sys_enter_bind")]))])
                .hiding(&[Unseen::UnixOtherCalls])
                .costing(UNIX_COST),
        ],
    },
    Ladder {
        hook: Hook::UnixListen,
        purpose: "which UNIX sockets listen",
        events: emit::UNIX,
        needed: false,
        rungs: &[
            Rung::new("nb_unix_list_fx", Fexit("unix_listen", 2)),
            Rung::new("nb_unix_listen", Tracepoint(&[("syscalls", "sys_exit_listen")]))
                .with(&[("nb_unix_list_in", Tracepoint(&[("syscalls", "sys_enter_listen")]))])
                .hiding(&[Unseen::UnixOtherCalls])
                .costing(UNIX_COST),
        ],
    },
    Ladder {
        hook: Hook::UnixAccept,
        purpose: "which process takes a connection from a UNIX listener's queue",
        events: emit::UNIX,
        needed: false,
        rungs: &[
            Rung::new("nb_unix_acc_fx", Fexit("unix_accept", 0)),
            Rung::new(
                "nb_unix_accept",
                Tracepoint(&[("syscalls", "sys_exit_accept"), ("syscalls", "sys_exit_accept4")]),
            )
            .hiding(&[Unseen::UnixOtherCalls])
            .costing(UNIX_COST),
        ],
    },
    Ladder {
        hook: Hook::UnixConnect,
        purpose: "which UNIX sockets are connected",
        events: emit::UNIX,
        needed: false,
        rungs: &[
            Rung::new("nb_unix_conn_fx", Fexit("unix_stream_connect", 4))
                .with(&[("nb_unix_dcon_fx", Fexit("unix_dgram_connect", 4))]),
            Rung::new("nb_unix_connect", Tracepoint(&[("syscalls", "sys_exit_connect")]))
                .with(&[("nb_unix_conn_in", Tracepoint(&[("syscalls", "sys_enter_connect")]))])
                .hiding(&[Unseen::UnixOtherCalls])
                .costing(UNIX_COST),
        ],
    },
    Ladder {
        hook: Hook::SockState,
        purpose: "every change of state of every TCP socket",
        events: emit::TCP,
        needed: true,
        rungs: &[
            Rung::new("nb_state_btf", BtfTracepoint("inet_sock_set_state"))
                .backed_by("nb_state_btf2"),
            Rung::new("nb_state_raw", RawTracepoint("inet_sock_set_state"))
                .hiding(&[Unseen::Cookie]),
            Rung::new("nb_state_tp", Tracepoint(&[("sock", "inet_sock_set_state")]))
                .hiding(&[Unseen::Cookie]),
            Rung::new("nb_state_kp", Kprobe("tcp_set_state"))
                .hiding(&[Unseen::Listen, Unseen::Cookie]),
            Rung::new("nb_state_bare", Tracepoint(&[("sock", "inet_sock_set_state")]))
                .hiding(&[
                    Unseen::Cookie,
                    Unseen::HandedOn,
                    Unseen::SynSentPort,
                    Unseen::Surroundings,
                    Unseen::End,
                ])
                .without_types(),
        ],
    },
];

/// One pass over the processes when the rest is attached.
pub const PROCESSES: Ladder = Ladder {
    hook: Hook::Processes,
    purpose: "processes that ran before netbreath started: without it, their programs are not \
        known",
    events: ALWAYS,
    needed: false,
    rungs: &[Rung::new("nb_processes", Iterator("task"))],
};

/// One pass over the sockets when the rest is attached.
pub const SEED: Ladder = Ladder {
    hook: Hook::Seed,
    purpose: "sockets that were open before netbreath started: without it, nobody is known to \
        own them",
    events: emit::TCP,
    needed: false,
    rungs: &[Rung::new("nb_seed_files", Iterator("task_file"))],
};

/// The same of UDP sockets.
pub const SEED_UDP: Ladder = Ladder {
    hook: Hook::SeedUdp,
    purpose: "UDP sockets that were open before netbreath started: without it, nobody is known \
        to own them until they are used",
    events: emit::DATAGRAM,
    needed: false,
    rungs: &[Rung::new("nb_seed_udp", Iterator("task_file"))],
};

/// The same of UNIX sockets.
pub const SEED_UNIX: Ladder = Ladder {
    hook: Hook::SeedUnix,
    purpose: "UNIX sockets that were open before netbreath started: without it, nothing is told \
        of them",
    events: emit::UNIX,
    needed: false,
    rungs: &[Rung::new("nb_seed_unix", Iterator("task_file"))],
};
