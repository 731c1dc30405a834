//! The members of kernel structures that the programs read. One table serves
//! both sides: the kernel side makes a global of each row, the loader sets it
//! from the running kernel's BTF.

/// The value of an offset's global when this kernel has no such member.
pub const ABSENT: u32 = u32::MAX;

/// Calls a macro with every row: `GLOBAL "struct" "path.of.members"`.
#[macro_export]
macro_rules! for_each_offset {
    ($with:ident) => {
        $with! {
            SOCK_FAMILY "sock" "__sk_common.skc_family",
            SOCK_STATE "sock" "__sk_common.skc_state",
            SOCK_NUM "sock" "__sk_common.skc_num",
            SOCK_DPORT "sock" "__sk_common.skc_dport",
            SOCK_SADDR "sock" "__sk_common.skc_rcv_saddr",
            SOCK_DADDR "sock" "__sk_common.skc_daddr",
            SOCK_SADDR6 "sock" "__sk_common.skc_v6_rcv_saddr",
            SOCK_DADDR6 "sock" "__sk_common.skc_v6_daddr",
            SOCK_COOKIE "sock" "__sk_common.skc_cookie",
            SOCK_FLAGS "sock" "__sk_common.skc_flags",
            SOCK_LISTENER "sock" "__sk_common.skc_listener",
            SOCK_HASHED "sock" "__sk_common.skc_node.pprev",
            SOCK_ERR "sock" "sk_err",
            SOCK_NET "sock" "__sk_common.skc_net.net",
            SOCK_PROTOCOL "sock" "sk_protocol",
            SOCK_CGROUP "sock" "sk_cgrp_data.cgroup",
            NET_INUM "net" "ns.inum",
            NET_FIN_TIMEOUT "net" "ipv4.sysctl_tcp_fin_timeout",
            NET_SYNACK_RETRIES "net" "ipv4.sysctl_tcp_synack_retries",
            NET_MINIS "net" "ipv4.tcp_death_row.tw_refcount.refs.counter",
            NET_MAX_MINIS "net" "ipv4.tcp_death_row.sysctl_max_tw_buckets",
            TCP_LINGER2 "tcp_sock" "linger2",
            TCP_SND_UNA "tcp_sock" "snd_una",
            TCP_WRITE_SEQ "tcp_sock" "write_seq",
            LISTENER_REQUESTS "inet_connection_sock" "icsk_accept_queue.qlen.counter",
            ICSK_RTO "inet_connection_sock" "icsk_rto",
            ICSK_SYN_RETRIES "inet_connection_sock" "icsk_syn_retries",
            MINI_STATE "inet_timewait_sock" "tw_substate",
            CGROUP_KN "cgroup" "kn",
            CGROUP_LEVEL "cgroup" "level",
            CGROUP_ANCESTORS "cgroup" "ancestors",
            CGROUP_ANCESTOR_IDS "cgroup" "ancestor_ids",
            KERNFS_ID "kernfs_node" "id",
            TASK_LEADER "task_struct" "group_leader",
            TASK_TGID "task_struct" "tgid",
            TASK_COMM "task_struct" "comm",
            TASK_START "task_struct" "start_boottime",
            TASK_FILES "task_struct" "files",
            TASK_CRED "task_struct" "cred",
            TASK_PID "task_struct" "pid",
            TASK_PARENT "task_struct" "real_parent",
            TASK_SIGNAL "task_struct" "signal",
            TASK_EXEC_ID "task_struct" "self_exec_id",
            TASK_MM "task_struct" "mm",
            SIGNAL_LIVE "signal_struct" "live",
            MM_EXE "mm_struct" "exe_file",
            MM_ARG_START "mm_struct" "arg_start",
            MM_ARG_END "mm_struct" "arg_end",
            TASK_FLAGS "task_struct" "flags",
            CRED_UID "cred" "uid",
            FILES_FDT "files_struct" "fdt",
            FDT_FD "fdtable" "fd",
            FDT_MAX "fdtable" "max_fds",
            FILE_PRIVATE "file" "private_data",
            FILE_MNT "file" "f_path.mnt",
            FILE_DENTRY "file" "f_path.dentry",
            DENTRY_PARENT "dentry" "d_parent",
            DENTRY_NAME "dentry" "d_name.name",
            VFSMOUNT_ROOT "vfsmount" "mnt_root",
            MOUNT_VFSMOUNT "mount" "mnt",
            MOUNT_PARENT "mount" "mnt_parent",
            MOUNT_POINT "mount" "mnt_mountpoint",
            SOCKET_SK "socket" "sk",
            SOCKET_FILE "socket" "file",
        }
    };
}
