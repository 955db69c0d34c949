//! Named points at which a test can have the process killed, as if by `kill -9`, or stopped, as if by `kill -STOP`; and a clock
//! that is wrong on purpose. Nothing else may change how a process behaves for a test.
//!
//! `TOLLGATE_FAILPOINT=name:n` kills the process at the n-th time that it comes by `name`, `name:n:stop` stops it there until
//! somebody lets it go on, and `clock:seconds` moves its clock; commas stand between several. Without the variable a point
//! costs one comparison; with it the process says so in its log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// The variable that arms points.
pub const VARIABLE: &str = "TOLLGATE_FAILPOINT";

/// Names the clock instead of a point.
const CLOCK: &str = "clock";
const US_PER_S: i64 = 1_000_000;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Kill,
    Stop,
}

#[derive(Debug)]
struct Point {
    name: String,
    left: AtomicU64,
    act: Act,
}

#[derive(Debug, Default)]
struct Armed {
    points: Vec<Point>,
    clock_us: i64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

fn point(setting: &str) -> Option<Point> {
    let (name, rest) = setting.split_once(':')?;
    let (count, act) = match rest.split_once(':') {
        None => (rest, Act::Kill),
        Some((count, "stop")) => (count, Act::Stop),
        Some(_) => return None,
    };
    let count: u64 = count.parse().ok().filter(|n| *n > 0)?;
    Some(Point {
        name: name.to_owned(),
        left: AtomicU64::new(count),
        act,
    })
}

fn parse(settings: &str) -> Option<Armed> {
    let mut armed = Armed::default();
    for setting in settings.split(',') {
        match setting.split_once(':') {
            Some((CLOCK, seconds)) => {
                let seconds: i64 = seconds.parse().ok()?;
                armed.clock_us = seconds.checked_mul(US_PER_S)?;
            }
            _ => armed.points.push(point(setting)?),
        }
    }
    Some(armed)
}

fn armed() -> Option<&'static Armed> {
    ARMED
        .get_or_init(|| std::env::var(VARIABLE).ok().as_deref().and_then(parse))
        .as_ref()
}

/// Comes by the point `name`; does not return if it is armed to kill and its count is reached.
pub fn hit(name: &str) {
    let Some(armed) = armed() else { return };
    let due = |point: &&Point| point.name == name && point.left.fetch_sub(1, Ordering::SeqCst) == 1;
    match armed.points.iter().find(due).map(|point| point.act) {
        None => {}
        Some(Act::Kill) => die(),
        Some(Act::Stop) => drop(kill_process(getpid(), Signal::STOP)),
    }
}

/// By how much the clock is to be wrong.
pub(crate) fn clock_us() -> i64 {
    armed().map_or(0, |armed| armed.clock_us)
}

/// Says in the log that this process is made to fail, if it is: nobody may run with it unknowingly.
pub(crate) fn warn_if_armed() {
    if let Some(armed) = armed() {
        let points = &armed.points;
        let clock_s = armed.clock_us / US_PER_S;
        tracing::warn!(
            ?points,
            clock_s,
            "{VARIABLE} is set: this process fails on purpose; it is for tests only"
        );
    }
}

fn die() -> ! {
    // SIGKILL cannot be caught; the loop only satisfies the type.
    loop {
        let _killed = kill_process(getpid(), Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_a_name_and_a_positive_count() {
        let armed = parse("consumer.before_insert:3,publisher.after_ack:1:stop").unwrap();
        let points: Vec<_> = armed.points.iter().collect();
        assert_eq!(points[0].name, "consumer.before_insert");
        assert_eq!(points[0].left.load(Ordering::SeqCst), 3);
        assert_eq!((points[0].act, points[1].act), (Act::Kill, Act::Stop));
        for bad in ["x", "x:0", "x:-1", "x:", "", "x:1:go", "x:1,", "clock:x"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_clock_is_moved_by_seconds_either_way_beside_points() {
        let armed = parse("clock:-3600,x:1").unwrap();
        assert_eq!(armed.clock_us, -3_600_000_000);
        assert_eq!(armed.points.len(), 1);
        assert_eq!(parse("clock:+3600").unwrap().clock_us, 3_600_000_000);
    }
}
