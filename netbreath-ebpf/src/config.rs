//! Globals that the loader sets before the programs are loaded. They lie in
//! read-only data, so the verifier knows their values and drops dead branches.

macro_rules! offsets {
    ($($name:ident $structure:literal $member:literal,)*) => {
        mod globals {
            use netbreath_common::offset::ABSENT;
            $(
                #[doc = concat!("Offset of `", $member, "` in `struct ", $structure, "`.")]
                #[unsafe(no_mangle)]
                pub static $name: u32 = ABSENT;
            )*

            /// Bits of `netbreath_common::config::filter`.
            #[unsafe(no_mangle)]
            pub static FILTER: u32 = 0;
            /// Bits of `netbreath_common::config::emit`.
            #[unsafe(no_mangle)]
            pub static EMIT: u32 = 0;
            /// States to keep, as bits; 0 keeps all.
            #[unsafe(no_mangle)]
            pub static STATES: u32 = 0;
            /// Family to keep, 4 or 6; 0 keeps both.
            #[unsafe(no_mangle)]
            pub static FAMILY: u32 = 0;
            /// Id and level of the cgroup to keep.
            #[unsafe(no_mangle)]
            pub static CGROUP: u64 = 0;
            #[unsafe(no_mangle)]
            pub static LEVEL: u32 = 0;
            /// 1 if slots lie on their sockets.
            #[unsafe(no_mangle)]
            pub static HAS_STORAGE: u32 = 0;
            /// 1 if a hook tells when an active open has chosen its port.
            #[unsafe(no_mangle)]
            pub static HAS_CONNECT: u32 = 0;
            /// 1 if a hook watches accept().
            #[unsafe(no_mangle)]
            pub static HAS_ACCEPT: u32 = 0;
            /// 1 if a hook tells when a socket is freed.
            #[unsafe(no_mangle)]
            pub static HAS_DESTROY: u32 = 0;
            /// 1 if a hook tells of half-open connections.
            #[unsafe(no_mangle)]
            pub static HAS_HALF_OPEN: u32 = 0;
            /// Bytes of each packet to keep.
            #[unsafe(no_mangle)]
            pub static SNAP_LEN: u32 = 0;
            /// 1 if packets pass a filter that the loader has made.
            #[unsafe(no_mangle)]
            pub static HAS_PACKET_FILTER: u32 = 0;
        }
        $(accessor! { $name: u32 })*
    };
}

macro_rules! accessor {
    ($name:ident: $type:ty) => {
        #[allow(non_snake_case)]
        #[inline(always)]
        pub fn $name() -> $type {
            // Volatile: else the compiler takes the initial value for the only one.
            unsafe { (&raw const globals::$name).read_volatile() }
        }
    };
}

netbreath_common::for_each_offset!(offsets);
accessor! { FILTER: u32 }
accessor! { EMIT: u32 }
accessor! { STATES: u32 }
accessor! { FAMILY: u32 }
accessor! { CGROUP: u64 }
accessor! { LEVEL: u32 }
accessor! { HAS_STORAGE: u32 }
accessor! { HAS_CONNECT: u32 }
accessor! { HAS_ACCEPT: u32 }
accessor! { HAS_DESTROY: u32 }
accessor! { HAS_HALF_OPEN: u32 }
accessor! { SNAP_LEN: u32 }
accessor! { HAS_PACKET_FILTER: u32 }

/// Whether a filter is set; see `netbreath_common::config::filter`.
#[inline(always)]
pub fn filters(bits: u32) -> bool {
    FILTER() & bits != 0
}

/// Whether records of this kind are wanted; see `netbreath_common::config::emit`.
#[inline(always)]
pub fn emits(bits: u32) -> bool {
    EMIT() & bits != 0
}
