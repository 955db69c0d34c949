//! The processes of a bench: started on their cores, stopped in order, their CPU time and memory read from `/proc`.
//! What is measured with them must not live here.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::signal::unix::{SignalKind, signal as signal_stream};

/// How long a process may take to end in order.
const STOP: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// The cores of the two sides: the gateway has one to itself, load and provider share the other.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Gateway, consumer and engine.
    pub gateway: usize,
    /// Load generator and simulator.
    pub load: usize,
}

impl Cores {
    /// The first two cores that this process may use; `None` where there are not two.
    pub fn find() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        Some(Self {
            gateway: cores.next()?,
            load: cores.next()?,
        })
    }
}

/// Binds this thread, and whatever it starts from now on, to a core.
pub fn bind_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot bind to core {core}"))
}

/// A child process; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    /// Starts a program.
    pub fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// An error if it has ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended ({status})", self.name),
            None => Ok(()),
        }
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).with_context(|| format!("cannot stop {}", self.name))?;
        let deadline = Instant::now() + STOP;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not stop within {} s", self.name, STOP.as_secs());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

impl Process {
    /// Waits until it has ended, and no longer than so.
    pub fn wait_at_most(&mut self, longest: Duration) {
        let deadline = Instant::now() + longest;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            nap(PAUSE);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a drop cannot wait otherwise, and the bench has nothing else to do"
)]
fn nap(time: Duration) {
    std::thread::sleep(time);
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and that is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// CPU time of a process's threads so far, in nanoseconds, by the names of the threads.
pub type CpuByThread = BTreeMap<String, u64>;

/// Reads them. A worker's number at the end of a name is left out.
pub fn cpu_ns(pid: u32) -> anyhow::Result<CpuByThread> {
    let mut spent = CpuByThread::new();
    let tasks = format!("/proc/{pid}/task");
    for task in fs::read_dir(&tasks).with_context(|| format!("{tasks}: the process is gone"))? {
        let task = task?.path();
        // A thread may end while it is looked at.
        let (Ok(name), Ok(schedstat)) = (
            fs::read_to_string(task.join("comm")),
            fs::read_to_string(task.join("schedstat")),
        ) else {
            continue;
        };
        let run_ns: u64 = schedstat
            .split(' ')
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);
        *spent.entry(name.trim_end().to_owned()).or_default() += run_ns;
    }
    Ok(spent)
}

/// The sum over threads whose names begin with `prefix`.
pub fn sum_ns(cpu: &CpuByThread, prefix: &str) -> u64 {
    let fits = cpu.iter().filter(|(name, _)| name.starts_with(prefix));
    fits.map(|(_, ns)| ns).sum()
}

/// Waits until a person, or a program, has enough of this one. What was started is ended by whoever drops it.
pub async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal_stream(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// Lets a process stand still.
pub fn freeze(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::STOP)
}

/// Lets it go on.
pub fn thaw(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::CONT)
}

/// Asks it to end.
pub fn terminate(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::TERM)
}

fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(process.context("a process has a number above 0")?, signal)
        .with_context(|| format!("process {pid} can not be sent a signal"))
}

/// Resident memory in KiB: now, and the most there ever was.
pub fn resident_kib(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    field("VmRSS:")
        .zip(field("VmHWM:"))
        .with_context(|| format!("{path} does not tell the memory"))
}

/// Time that a core has been busy, in milliseconds.
pub fn core_busy_ms(core: usize) -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let label = format!("cpu{core} ");
    let Some(line) = stat.lines().find_map(|line| line.strip_prefix(&label)) else {
        return 0;
    };
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .map(|ticks| ticks.parse().unwrap_or(0))
        .collect();
    // user nice system idle iowait irq softirq steal, in hundredths of a second.
    let busy = [0, 1, 2, 5, 6, 7];
    busy.iter()
        .filter_map(|field| ticks.get(*field))
        .sum::<u64>()
        * 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_threads_and_memory() {
        let before = sum_ns(&cpu_ns(std::process::id()).unwrap(), "");
        let work = (0..20_000_000_u64).fold(0, |sum, x| std::hint::black_box(sum ^ x));
        assert_eq!(std::hint::black_box(work), work);
        assert!(sum_ns(&cpu_ns(std::process::id()).unwrap(), "") > before);
        let (now, most) = resident_kib(std::process::id()).unwrap();
        assert!(now > 0 && most >= now);
    }

    #[test]
    fn prefixes_gather_threads() {
        let cpu = CpuByThread::from([
            ("tg-gateway".to_owned(), 5),
            ("tg-gateway-2".to_owned(), 6),
            ("tg-journal".to_owned(), 7),
        ]);
        assert_eq!((sum_ns(&cpu, "tg-gateway"), sum_ns(&cpu, "")), (11, 18));
    }
}
