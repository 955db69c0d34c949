//! A backlog that waits when a consumer starts: how many records it commits a second, and what they cost.

use std::time::{Duration, Instant};

use crate::member::Member;
use crate::stand::{PARTITIONS, Stand};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// An engine that was seen without a merge so often has none to do.
const QUIET_LOOKS: u32 = 6;

/// Records in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Records a second.
    pub a_second: f64,
    /// CPU of the process, microseconds a record.
    pub cpu_us: f64,
}

impl Rate {
    /// So many, in that time, by so much CPU.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn of(records: u64, took: Duration, spent: Duration) -> Self {
        Self {
            a_second: records as f64 / took.as_secs_f64(),
            cpu_us: spent.as_secs_f64() * 1e6 / records as f64,
        }
    }
}

/// The consumer's rate, and what its parts and others spent on a record until all were committed, in microseconds of CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consumed {
    pub rate: Rate,
    /// Of the consumer's, threads that fetch, unpack and hand out.
    pub fetch_us: f64,
    pub broker_us: f64,
    pub engine_us: f64,
    /// Of the engine, on merges that were left then.
    pub merges_us: f64,
    /// Up to where everything is committed.
    pub committed: i64,
}

/// CPU that was spent so far.
#[derive(Clone, Copy, Debug)]
struct Spent {
    consumer: Duration,
    fetch: Duration,
    broker: Duration,
    engine: Duration,
}

impl Spent {
    fn by(stand: &Stand, member: &Member) -> Self {
        let is_fetching = |name: &str| name == "tg-group" || name.starts_with("rdk:");
        Self {
            consumer: cpu_time(member.pid()),
            fetch: cpu_time_of_threads(member.pid(), is_fetching),
            broker: cpu_time(stand.cluster.pid(1)),
            engine: cpu_time(stand.engine_pid()),
        }
    }
}

/// Waits until everything that waits beyond `before` is committed. The time counts from the first commit on: before it the group forms.
pub(crate) async fn catch_up(
    stand: &Stand,
    member: &Member,
    records: u64,
    before: i64,
) -> Consumed {
    let mut first = None;
    loop {
        let at = member.partitions().await;
        let committed: i64 = at.values().map(|at| at.committed).sum();
        let is_whole = at.len() == PARTITIONS as usize;
        if is_whole && committed > before && first.is_none() {
            first = Some((committed, Instant::now(), Spent::by(stand, member)));
        }
        if let Some((at_first, began, before_all)) = first
            && is_whole
            && at.values().all(|at| at.committed == at.readable)
        {
            // Every partition holds cuts as well as records.
            assert!(
                (committed - before).unsigned_abs() >= records,
                "VOID: not all was readable"
            );
            let done = (committed - at_first).unsigned_abs();
            let took = began.elapsed();
            let after = Spent::by(stand, member);
            merged(stand).await;
            let merges = cpu_time(stand.engine_pid()).saturating_sub(after.engine);
            let of = |part: fn(&Spent) -> Duration| part(&after).saturating_sub(part(&before_all));
            let a_record = |spent| Rate::of(done, took, spent).cpu_us;
            return Consumed {
                rate: Rate::of(done, took, of(|spent| spent.consumer)),
                fetch_us: a_record(of(|spent| spent.fetch)),
                broker_us: a_record(of(|spent| spent.broker)),
                engine_us: a_record(of(|spent| spent.engine)),
                merges_us: a_record(merges),
                committed,
            };
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the engine merges nothing more.
async fn merged(stand: &Stand) {
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        let merging = stand.count("SELECT count() FROM system.merges").await;
        quiet = if merging == 0 { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// CPU time of a process so far, its own and the kernel's for it.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    cpu_time_in(&text)
}

/// The same of its threads with such names, as many as still run.
fn cpu_time_of_threads(pid: u32, is_meant: impl Fn(&str) -> bool) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let texts = threads.filter_map(|thread| {
        let thread = thread.ok()?.path();
        let name = std::fs::read_to_string(thread.join("comm")).ok()?;
        is_meant(name.trim_end()).then(|| std::fs::read_to_string(thread.join("stat")).ok())?
    });
    texts.map(|text| cpu_time_in(&text)).sum()
}

fn cpu_time_in(text: &str) -> Duration {
    // Behind the name, which may hold blanks: fields 14 and 15 of proc(5), in ticks of 10 ms.
    let behind = text.rsplit_once(')').expect("a name in brackets").1;
    let ticks = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}
