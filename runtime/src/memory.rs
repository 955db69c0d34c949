//! Memory that was freed: how long it stays with the process. Which allocator it is must not live here: a program that uses
//! another is not changed by any of this.

use std::ffi::c_long;

use libmimalloc_sys::{mi_collect, mi_option_get, mi_option_set_default, mi_option_t};

/// `mi_option_purge_delay` of version 2: how many milliseconds memory stays with the process after it was freed.
const PURGE_DELAY: mi_option_t = 15;
/// What it is unless it is set.
const DEFAULT_MS: c_long = 10;
/// A body of 100 kB takes memory that one like it gave back a moment ago. After 10 ms the kernel has it, and fills it with zeros
/// again, page by page: a fifth of what such a request costs. What is free for longer goes back.
const KEPT_MS: c_long = 250;

/// Says how long freed memory is kept. What `MIMALLOC_PURGE_DELAY` says in the environment stands.
pub fn keep_for_a_moment() {
    #[expect(unsafe_code, reason = "the allocator's options are C functions")]
    // SAFETY: both functions take plain numbers and read or write one entry of a static table, whose bounds they check
    // themselves; the number is of `mi_option_purge_delay` in the one version that the feature `v2` builds, and with another
    // meaning its value would not be the default that is asked for first.
    unsafe {
        if mi_option_get(PURGE_DELAY) == DEFAULT_MS {
            mi_option_set_default(PURGE_DELAY, KEPT_MS);
        }
    }
}

/// Gives what this thread has freed back to the kernel, now. For whoever is done with much, and will not need it at once.
pub fn give_back() {
    #[expect(unsafe_code, reason = "the allocator's options are C functions")]
    // SAFETY: it may be called at any time by any thread, and frees nothing that is in use.
    unsafe {
        mi_collect(true);
    }
}

/// Gives what this thread has freed, and not used for as long as freed memory is kept, back to the kernel. The allocator looks
/// only when something else is freed, and a thread that has had much to do may have nothing more to free.
pub fn tidy() {
    #[expect(unsafe_code, reason = "the allocator's options are C functions")]
    // SAFETY: as above.
    unsafe {
        mi_collect(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        keep_for_a_moment();
        give_back();
        tidy();
        #[expect(unsafe_code, reason = "the allocator's options are C functions")]
        // SAFETY: as above.
        let kept = unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(kept, KEPT_MS);
    }
}
