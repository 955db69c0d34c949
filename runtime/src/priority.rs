//! Who takes the core first where there is too little of it: an app waits for the threads that serve, and nobody for a merge.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};

/// How much nicer the rest is. A thread so much nicer has a tenth of what one that serves has, where both want the same core;
/// so it falls behind there, and does not stand still.
const NICER: i32 = 10;
/// The nicest there is.
const NICEST: i32 = 19;

/// Lets threads that serve go before this one, and before those that it starts from now on. There is no way back for it: to
/// become less nice is a privilege.
pub fn step_behind() {
    // Of this thread: the kernel has a priority for each.
    let behind = getpriority_process(None)
        .and_then(|now| setpriority_process(None, NICEST.min(now + NICER)));
    if let Err(error) = behind {
        tracing::debug!(%error, "no thread could be put behind those that serve");
    }
}

/// So long a thread that serves wants the core at a time, in nanoseconds: the least that the kernel takes.
const SLICE_NS: u64 = 100_000;

/// As the kernel reads it (`sched_setattr(2)`): the first version, which every kernel with the call knows.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Of a thread of the usual policy: its slice, from Linux 6.12 on; older kernels do not look at it.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Lets this thread have the core soon after it has something to do: it says that it wants it for a moment only, and who wants it for less
/// goes first. Its share stays what it is.
pub fn come_soon() {
    if let Err(error) = set_slice(SLICE_NS) {
        tracing::debug!(%error, "no thread could say for how long it wants the core");
    }
}

#[expect(
    unsafe_code,
    reason = "no safe interface of `sched_setattr` takes a slice"
)]
fn set_slice(slice_ns: u64) -> io::Result<()> {
    let mut attributes = Attributes {
        size: u32::try_from(size_of::<Attributes>()).unwrap_or(0),
        // The call sets it too.
        nice: getpriority_process(None)?,
        runtime: slice_ns,
        ..Attributes::default()
    };
    // SAFETY: 0 is this thread. The kernel reads `size` bytes from the pointer, which is to a live value of that size, may write the size
    // that it knows into the first member, and keeps nothing of it.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw mut attributes, 0) };
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_says_how_long_it_wants_the_core_and_keeps_its_share() {
        let own = std::thread::spawn(|| {
            step_behind();
            let before = getpriority_process(None).unwrap();
            set_slice(SLICE_NS).unwrap();
            (before, getpriority_process(None).unwrap())
        });
        let (before, after) = own.join().unwrap();
        assert_eq!(before, after);
        let named = std::thread::spawn(|| {
            set_slice(SLICE_NS).unwrap();
            std::fs::read_to_string("/proc/thread-self/sched").unwrap_or_default()
        });
        let told = named.join().unwrap();
        // Kernels that know slices tell them.
        let slice = told.lines().find(|line| line.starts_with("se.slice"));
        let is_told = slice.is_none_or(|line| line.ends_with("100000"));
        assert!(is_told, "{slice:?}");
    }

    #[test]
    fn a_thread_steps_behind_with_what_it_starts_and_nobody_else_does() {
        let before = getpriority_process(None).unwrap();
        let nice = std::thread::spawn(|| {
            step_behind();
            let own = getpriority_process(None).unwrap();
            let child = std::thread::spawn(|| getpriority_process(None).unwrap());
            (own, child.join().unwrap())
        });
        let behind = NICEST.min(before + NICER);
        assert_eq!(nice.join().unwrap(), (behind, behind));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
