//! Named points at which a test can have the process killed, as if by `kill -9`.
//!
//! `TOLLGATE_FAILPOINT=name:n` kills the process at the n-th time that it comes by `name`. Without the
//! variable a point costs one comparison.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that arms a point.
pub const VARIABLE: &str = "TOLLGATE_FAILPOINT";

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

fn parse(setting: &str) -> Option<Armed> {
    let (name, count) = setting.rsplit_once(':')?;
    let count: u64 = count.parse().ok().filter(|n| *n > 0)?;
    Some(Armed {
        name: name.to_owned(),
        left: AtomicU64::new(count),
    })
}

fn armed() -> Option<&'static Armed> {
    ARMED
        .get_or_init(|| std::env::var(VARIABLE).ok().as_deref().and_then(parse))
        .as_ref()
}

/// Comes by the point `name`; does not return if it is armed and its count is reached.
pub fn hit(name: &str) {
    let Some(armed) = armed() else { return };
    if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        die();
    }
}

fn die() -> ! {
    let myself = rustix::process::getpid();
    // SIGKILL cannot be caught; the loop only satisfies the type.
    loop {
        let _killed = rustix::process::kill_process(myself, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_a_name_and_a_positive_count() {
        let armed = parse("consumer.before_insert:3").unwrap();
        assert_eq!(armed.name, "consumer.before_insert");
        assert_eq!(armed.left.load(Ordering::SeqCst), 3);
        for bad in ["x", "x:0", "x:-1", "x:", ""] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
