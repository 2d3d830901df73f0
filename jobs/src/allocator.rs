//! How the program's allocator deals with the system.
//!
//! It asks for no huge pages (the feature `no_thp`): a machine whose host takes free memory back has to fetch two
//! megabytes for the first byte that is touched of them, and zero them all. That took 27% of the time of a replay of
//! ten million rows; small pages, which were in use a moment before, 8%, and the program needs a tenth less memory.
//! Where the system gives huge pages to everybody unasked (`always`), it still does.
//!
//! Every batch asks for the room that the one before it gave back. What the system was given in between comes back
//! as pages that it must fill with zeros first: with mimalloc's own delay of a second that took 2 to 12% of the
//! time of a replay of ten million rows, depending on the machine. So memory goes back to the system when it was
//! not wanted for [`KEPT_MS`].
//!
//! This is the one module with unsafe code: the allocator's options are set by a C function that has no safe
//! wrapper, or by variables of the environment, for which the program would have to start itself again.
#![expect(
    unsafe_code,
    reason = "the allocator's options are set by a C function"
)]

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// So many milliseconds freed memory waits to be used again, unless `MIMALLOC_PURGE_DELAY` says otherwise.
pub const KEPT_MS: c_long = 10_000;

/// `mi_option_purge_delay` of `mimalloc.h`, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// Sets for how long the allocator keeps what was freed. To be called before there are other threads.
pub fn keep_what_is_freed() {
    // SAFETY: the function writes one entry of a table that lives as long as the program, if there is such an
    // entry and the environment has not set it. No other thread reads it meanwhile.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT_MS) }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: it reads an entry of a table.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        // That of the allocator itself: another option has another value.
        assert_eq!(delay(), 1_000);
        keep_what_is_freed();
        assert_eq!(delay(), KEPT_MS);
    }
}
