//! A backlog that lasts: records are fed in as fast as they are committed, and the consumer's memory is looked at each second.

use std::time::{Duration, Instant};

use rustix::process::{Pid, setpriority_process};

use crate::kinds::Kind;
use crate::member::Member;
use crate::stand::{PARTITIONS, Stand};

/// So many records wait at the least while the backlog lasts.
const BACKLOG: u64 = 400_000;
const PORTION: u64 = 50_000;
/// How far the consumer steps back for what feeds it, which is on the same processors: it would have no backlog else.
const STEP_BACK: i32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The last quarter may hold so much more than the first: pages that a small allocation touched first.
const TOLERANCE: f64 = 1.1;

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Records fed.
    pub fed: u64,
    /// How long.
    pub seconds: u64,
    /// The consumer's resident memory, each second, MiB.
    pub resident: Vec<f64>,
    /// The fewest records that waited.
    pub least: u64,
}

impl Held {
    fn most(samples: &[f64]) -> f64 {
        samples.iter().copied().fold(0.0, f64::max)
    }

    /// The most in the first quarter, in the last quarter, in all, MiB.
    pub(crate) fn peaks(&self) -> [f64; 3] {
        let quarter = self.resident.len().div_ceil(4);
        [
            Self::most(&self.resident[..quarter]),
            Self::most(&self.resident[self.resident.len() - quarter..]),
            Self::most(&self.resident),
        ]
    }

    /// Does it grow?
    pub(crate) fn is_flat(&self) -> bool {
        let [first, last, _] = self.peaks();
        last <= first * TOLERANCE
    }
}

/// Feeds the first events of a backlog.
pub(crate) async fn begin(stand: &Stand, kind: Kind, from: u64) {
    for at in (from..from + BACKLOG).step_by(usize::try_from(PORTION).expect("it is small")) {
        feed(stand, kind, at).await;
    }
}

/// Feeds a portion.
async fn feed(stand: &Stand, kind: Kind, from: u64) {
    stand.produce_all((from..from + PORTION).map(|number| kind.event(number)));
    stand.flush().await;
}

/// Feeds events of a kind behind a backlog that begins with the number `from`, after `before` places that are committed, and looks.
pub(crate) async fn hold(
    stand: &Stand,
    member: &Member,
    (kind, from, before): (Kind, u64, i64),
    length: Duration,
) -> Held {
    step_back(member.pid());
    let (began, mut sampled) = (Instant::now(), Instant::now());
    let (mut fed, mut resident) = (BACKLOG, vec![resident_mib(member.pid())]);
    let mut least = fed;
    while began.elapsed() < length {
        let committed: i64 = member
            .partitions()
            .await
            .values()
            .map(|at| at.committed)
            .sum();
        // Cuts are in the log as well, so that this feeds a little early.
        let done = u64::try_from(committed - before).unwrap_or(0);
        let waiting = fed.saturating_sub(done);
        least = least.min(waiting);
        let is_short = fed < done + BACKLOG;
        if is_short {
            feed(stand, kind, from + fed).await;
            fed += PORTION;
        }
        if sampled.elapsed() >= SAMPLE_EVERY {
            resident.push(resident_mib(member.pid()));
            sampled = Instant::now();
        }
        if !is_short {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    assert!(
        least >= PORTION,
        "VOID: no backlog, once only {least} records waited: the consumer is faster than what feeds it"
    );
    Held {
        fed,
        seconds: length.as_secs(),
        resident,
        least,
    }
}

/// Everything is there, once.
pub(crate) async fn whole(stand: &Stand, member: &Member, events: u64) {
    loop {
        let at = member.partitions().await;
        let is_done = at.values().all(|at| at.committed == at.readable);
        if is_done && at.len() == PARTITIONS as usize {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for (what, sql) in [
        ("events", "SELECT count() FROM usage_events"),
        (
            "events of the trail",
            "SELECT countIf(fate = 'event') FROM audit_log",
        ),
        (
            "events of the cuts",
            "SELECT toUInt64(sum(events)) FROM cuts FINAL",
        ),
    ] {
        assert_eq!(stand.count(sql).await, events, "VOID: {what}");
    }
}

/// Lowers the priority of all threads that a process has, and with them of those that they start.
fn step_back(pid: u32) {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let names = threads.filter_map(|thread| thread.ok()?.file_name().into_string().ok());
    let threads = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
    // One that has ended meanwhile needs none.
    let stepped = threads.filter(|thread| setpriority_process(Some(*thread), STEP_BACK).is_ok());
    assert!(stepped.count() > 0, "a priority can be lowered");
}

fn resident_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> =
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.expect("its memory") / 1024.0
}
