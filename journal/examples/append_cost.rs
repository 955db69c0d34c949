//! Prints what one append of 1 KB costs: CPU of the appending thread and of the whole process
//! (group fsync included), alone and with a reader that follows. Run with `--release`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Item, Journal, Options, RealLayer};
use rustix::time::{ClockId, clock_gettime};

const APPENDS: u32 = 400_000;
const PAYLOAD_BYTES: usize = 1024;

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("journal-append-cost-{}", std::process::id()));
    let (journal, _) = Journal::open(Options::new(&dir), Arc::new(RealLayer))?;
    let payload = vec![b'x'; PAYLOAD_BYTES];
    let started = Instant::now();
    let (thread, process) = (cpu(ClockId::ThreadCPUTime), cpu(ClockId::ProcessCPUTime));
    for _ in 0..APPENDS / 2 {
        let (reservation, _admitted) = journal.admit(1, &payload)?;
        reservation.settle(2, &payload)?;
    }
    let (thread, process, elapsed) = (
        cpu(ClockId::ThreadCPUTime) - thread,
        cpu(ClockId::ProcessCPUTime) - process,
        started.elapsed(),
    );
    journal.close()?;
    print("append, appending thread's CPU", thread);
    print("append, process CPU with fsync", process);
    print("append, elapsed", elapsed);
    let reading = cpu(ClockId::ThreadCPUTime);
    let mut reader = journal.reader(0);
    let mut frames = 0_u32;
    while let Some(Item::Frame(_)) = reader.read()? {
        frames += 1;
    }
    assert_eq!(frames, APPENDS + 1);
    print(
        "read, reading thread's CPU",
        cpu(ClockId::ThreadCPUTime) - reading,
    );
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn print(what: &str, total: Duration) {
    println!(
        "{what:32} {:6.2} µs each",
        total.as_secs_f64() * 1e6 / f64::from(APPENDS)
    );
}
