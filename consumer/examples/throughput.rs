//! How fast, and at what price: events from a journal into the real engine, with the CPU time of consumer and engine apart.
//!
//! `cargo build --release -p consumer --examples && target/release/examples/throughput [EVENTS] [SIZE]`, where `SIZE` is `full`
//! (every field filled) or `usual` (a plain chat answer).

#[path = "../tests/suite/events.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the tests, which use the rest"
)]
mod events;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use consumer::{JournalSource, Options};
use journal::{Journal, RealLayer};
use schemas::{RecordKind, UsageEvent};
use store::User;
use store::supervisor::{State, Supervisor};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let make = if arguments.next().as_deref() == Some("full") {
        events::event
    } else {
        usual
    };
    let dir = tempfile::tempdir()?;
    let supervisor = start_engine(dir.path())?;
    supervisor.ready(Duration::from_mins(2)).await?;
    let client = supervisor.client(User::Writer, "tollgate");
    store::migrate::migrate(&client, schemas::migrations::ALL).await?;
    let journal = Journal::open(
        journal::Options::new(dir.path().join("journal")),
        Arc::new(RealLayer),
    )?
    .0;
    let bytes = fill(&journal, count, make)?;
    journal.sync_now().await?;

    let engine = format!(
        "/proc/{}",
        engine_pid(&supervisor).context("the engine is gone")?
    );
    let before = (cpu_of_process(&engine)?, Instant::now());
    let options = Options::new(client.clone(), dir.path().join("consumer.cursor"));
    let consumer = consumer::spawn(JournalSource::new(journal.clone(), "gw-1"), options)?;
    let end = i64::try_from(journal.synced_end())?;
    ensure!(
        consumer.settled(end).await,
        "the consumer stopped: {:?}",
        consumer.status()
    );
    let elapsed = before.1.elapsed();
    let engine_cpu = cpu_of_process(&engine)?.saturating_sub(before.0);
    let consumer_cpu = cpu_of_threads(consumer::THREAD_NAME)?;
    let stored: u64 = client
        .query("SELECT count() FROM usage_events")
        .fetch_one()
        .await?;
    ensure!(
        stored == count,
        "{stored} of {count} events arrived: the run is void"
    );
    report(
        count,
        bytes,
        elapsed,
        [("consumer", consumer_cpu), ("engine", engine_cpu)],
    );
    println!("peak resident {} MB (this process)", peak_resident_mb()?);

    let asked = Instant::now();
    let status = consumer.audit().await;
    println!(
        "audit of everything: {:.2} s, verified up to {} of {}",
        asked.elapsed().as_secs_f64(),
        status.verified,
        status.committed
    );
    let asked = Instant::now();
    consumer.audit().await;
    println!(
        "audit with nothing new: {:.3} s",
        asked.elapsed().as_secs_f64()
    );
    consumer.stop();
    consumer.ended().await;
    supervisor.stop().await;
    Ok(())
}

/// One line, one attempt.
fn usual(number: u64) -> UsageEvent {
    let mut event = events::event(number);
    event.lines.truncate(1);
    event.attempts.remove(0);
    event
}

fn start_engine(dir: &Path) -> anyhow::Result<Supervisor> {
    let program = std::env::current_exe()?.with_file_name("consumer_engine");
    let args = vec![dir.as_os_str().to_owned()];
    let options = store::supervisor::Options {
        data_dir: dir.to_owned(),
        library: None,
        program,
        args,
    };
    Ok(Supervisor::start(options)?)
}

fn fill(journal: &Journal, count: u64, make: fn(u64) -> UsageEvent) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for number in 0..count {
        let record = events::encode(&make(number));
        bytes += record.len() as u64;
        journal.append(RecordKind::Usage as u8, &record)?;
    }
    Ok(bytes)
}

fn engine_pid(supervisor: &Supervisor) -> Option<u32> {
    match &*supervisor.state().borrow() {
        State::Ready(endpoint) => Some(endpoint.pid),
        State::Starting | State::Down { .. } | State::Stopped => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(count: u64, bytes: u64, elapsed: Duration, cpu: [(&str, Duration); 2]) {
    let seconds = elapsed.as_secs_f64();
    let (events, per_event) = (count as f64, bytes as f64 / count as f64);
    println!(
        "{count} events of {per_event:.0} bytes in {seconds:.2} s: {:.0} events/s",
        events / seconds
    );
    for (who, time) in cpu {
        println!(
            "{who}: {:.2} s CPU, {:.2} µs an event",
            time.as_secs_f64(),
            time.as_secs_f64() * 1e6 / events
        );
    }
}

/// Fields 14 and 15 of `stat` (proc(5)), after the name in brackets: user and system time in hundredths of a second.
fn cpu_in(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn cpu_of_process(proc: &str) -> anyhow::Result<Duration> {
    cpu_in(&std::fs::read_to_string(format!("{proc}/stat"))?).context("stat can not be read")
}

fn cpu_of_threads(name: &str) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == name {
            total += cpu_of_process(&task.display().to_string())?;
        }
    }
    Ok(total)
}

fn peak_resident_mb() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}
