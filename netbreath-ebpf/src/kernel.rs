//! Reading kernel memory, by one of two ways.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};

/// A pointer to a kernel structure.
pub trait Kernel: Copy {
    /// Whether notes can be kept on a socket that is given by such a pointer.
    const STORES: bool;
    /// Whether the kernel's layout can be read through such a pointer.
    const READS: bool = true;

    fn new(ptr: *const c_void) -> Self;

    fn ptr(self) -> *const c_void;

    /// The `T` at `offset`, or nothing if it cannot be read.
    fn load<T: Copy>(self, offset: u32) -> Option<T>;

    /// The `T` at `offset`, or zeros if it cannot be read: for integers and pointers.
    ///
    /// With an `Option`, the compiler may move a value that was never written, and
    /// chooses later; the verifier allows no such move.
    fn read<T: Copy>(self, offset: u32) -> T;

    /// The pointer at `offset`.
    #[inline(always)]
    fn follow(self, offset: u32) -> Option<Self> {
        self.load::<*const c_void>(offset).map(Self::new)
    }

    #[inline(always)]
    fn addr(self) -> u64 {
        self.ptr() as u64
    }
}

/// A pointer whose type the verifier knows. Loads are plain instructions, checked
/// against the kernel's BTF when the program is loaded; one through a bad pointer
/// reads 0.
#[derive(Clone, Copy)]
pub struct Typed(*const c_void);

impl Kernel for Typed {
    const STORES: bool = true;

    #[inline(always)]
    fn new(ptr: *const c_void) -> Self {
        Typed(ptr)
    }

    #[inline(always)]
    fn ptr(self) -> *const c_void {
        self.0
    }

    #[inline(always)]
    fn load<T: Copy>(self, offset: u32) -> Option<T> {
        Some(self.read(offset))
    }

    #[inline(always)]
    fn read<T: Copy>(self, offset: u32) -> T {
        // Volatile: loads must stay as wide as the members that they read.
        unsafe { self.0.byte_add(offset as usize).cast::<T>().read_volatile() }
    }
}

/// A typed pointer that was read from another structure: the helper that makes a cookie
/// takes none of those.
#[derive(Clone, Copy)]
pub struct Walked(Typed);

impl Kernel for Walked {
    const STORES: bool = true;

    #[inline(always)]
    fn new(ptr: *const c_void) -> Self {
        Walked(Typed::new(ptr))
    }

    #[inline(always)]
    fn ptr(self) -> *const c_void {
        self.0.ptr()
    }

    #[inline(always)]
    fn load<T: Copy>(self, offset: u32) -> Option<T> {
        self.0.load(offset)
    }

    #[inline(always)]
    fn read<T: Copy>(self, offset: u32) -> T {
        self.0.read(offset)
    }
}

/// A pointer that is just a number to the verifier: every load is a call.
#[derive(Clone, Copy)]
pub struct Untyped(*const c_void);

impl Untyped {
    /// The same address as a pointer whose type the verifier knows and forbids to calculate
    /// with: read from memory, it is just a number.
    #[inline(always)]
    pub fn forgetting(ptr: *const c_void) -> Untyped {
        let place = ptr;
        Untyped((&raw const place).cast::<c_void>()).follow(0).unwrap_or(Untyped(core::ptr::null()))
    }
}

impl Kernel for Untyped {
    const STORES: bool = false;

    #[inline(always)]
    fn new(ptr: *const c_void) -> Self {
        Untyped(ptr)
    }

    #[inline(always)]
    fn ptr(self) -> *const c_void {
        self.0
    }

    #[inline(always)]
    fn load<T: Copy>(self, offset: u32) -> Option<T> {
        unsafe { bpf_probe_read_kernel(self.0.byte_add(offset as usize).cast::<T>()).ok() }
    }

    #[inline(always)]
    fn read<T: Copy>(self, offset: u32) -> T {
        let mut value = MaybeUninit::<T>::zeroed();
        unsafe {
            // Where it fails, it leaves zeros.
            generated::bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                self.0.byte_add(offset as usize),
            );
            value.assume_init()
        }
    }
}

/// The socket of a callback: the verifier knows that it is a socket, so its storage
/// can be had, but not the kernel's layout of it.
#[derive(Clone, Copy)]
pub struct Callback(*const c_void);

impl Kernel for Callback {
    const STORES: bool = true;
    const READS: bool = false;

    #[inline(always)]
    fn new(ptr: *const c_void) -> Self {
        Callback(ptr)
    }

    #[inline(always)]
    fn ptr(self) -> *const c_void {
        self.0
    }

    /// The verifier allows none of the arithmetic that this would take.
    #[inline(always)]
    fn load<T: Copy>(self, _offset: u32) -> Option<T> {
        None
    }

    #[inline(always)]
    fn read<T: Copy>(self, _offset: u32) -> T {
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}
