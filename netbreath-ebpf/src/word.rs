//! Copies by words.
//!
//! What is larger than a few words, and may overlap for all that the compiler knows, becomes a
//! call of a loop over bytes else: slow when it runs, and slower to verify.

/// Copies what `from` points at to `to`.
///
/// # Safety
///
/// As for `core::ptr::copy_nonoverlapping`.
#[inline(always)]
pub unsafe fn copy<T: Copy>(from: *const T, to: *mut T) {
    const { assert!(align_of::<T>() == align_of::<u64>()) };
    let (from, to) = (from.cast::<u64>(), to.cast::<u64>());
    for i in 0..const { size_of::<T>() / size_of::<u64>() } {
        // Volatile: else the compiler makes one copy of it again.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
}
