//! Who takes the core first where there is too little of it: an app waits for the threads that serve, and nobody for a merge.

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

#[cfg(test)]
mod tests {
    use super::*;

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
