//! Prints what one append of 1 KB costs: CPU of the appending thread and of the whole process
//! (group fsync included); then what reading one costs. Run with `--release`.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Item, Journal, Options, RealLayer};

const APPENDS: u32 = 400_000;
const PAYLOAD_BYTES: usize = 1024;

/// CPU time of one task: the first figure, in nanoseconds, of its `schedstat`.
fn task_cpu(task: &str) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{task}/schedstat"))?;
    let spent = text
        .split(' ')
        .next()
        .and_then(|figure| figure.parse().ok());
    spent
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other("schedstat has no figures"))
}

fn thread_cpu() -> io::Result<Duration> {
    task_cpu("thread-self")
}

fn process_cpu() -> io::Result<Duration> {
    let mut spent = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        spent += task_cpu(&format!("self/task/{}", task?.file_name().display()))?;
    }
    Ok(spent)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("journal-append-cost-{}", std::process::id()));
    let (journal, _) = Journal::open(Options::new(&dir), Arc::new(RealLayer))?;
    let payload = vec![b'x'; PAYLOAD_BYTES];
    let started = Instant::now();
    let (thread, process) = (thread_cpu()?, process_cpu()?);
    for _ in 0..APPENDS / 2 {
        let (reservation, _admitted) = journal.admit(1, &payload)?;
        reservation.settle(2, &payload)?;
    }
    let elapsed = started.elapsed();
    let (thread, process) = (
        thread_cpu()?.saturating_sub(thread),
        process_cpu()?.saturating_sub(process),
    );
    print("append, appending thread's CPU", thread);
    print("append, process CPU with fsync", process);
    print("append, elapsed", elapsed);
    journal.close()?;
    let reading = thread_cpu()?;
    let mut reader = journal.reader(0);
    let mut frames = 0_u32;
    while let Some(Item::Frame(_)) = reader.read()? {
        frames += 1;
    }
    assert_eq!(frames, APPENDS + 1);
    print(
        "read, reading thread's CPU",
        thread_cpu()?.saturating_sub(reading),
    );
    fs::remove_dir_all(&dir)?;
    Ok(())
}

fn print(what: &str, total: Duration) {
    println!(
        "{what:32} {:6.2} µs each",
        total.as_secs_f64() * 1e6 / f64::from(APPENDS)
    );
}
