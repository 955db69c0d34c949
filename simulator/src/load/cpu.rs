//! CPU time and memory of another process, by the names of its threads, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// Threads that no group claims are counted here.
const OTHER: &str = "other";
/// Linux shows process times in hundredths of a second on every architecture (`USER_HZ`).
const US_PER_TICK: u64 = 10_000;

/// Which process is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The process.
    pub pid: u32,
    /// Prefixes of thread names; the longest that fits claims a thread. Names have 15 bytes at most.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// The process could not be read.
#[derive(Debug, thiserror::Error)]
#[error("process {pid}: {source}; is it still running?")]
pub struct CpuError {
    pid: u32,
    source: io::Error,
}

/// What a process used in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuReport {
    /// CPU time of each group's threads in µs.
    pub groups_us: BTreeMap<String, u64>,
    /// Their sum.
    pub threads_us: u64,
    /// CPU time of the whole process, ended threads included, to 10 ms.
    pub process_us: u64,
    /// Resident memory at the end of the window in KiB.
    pub rss_kib: u64,
    /// The largest resident memory seen in the window in KiB.
    pub rss_peak_kib: u64,
    /// The largest since the process began, in KiB.
    pub rss_peak_ever_kib: u64,
}

/// A process at one moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    threads: BTreeMap<u32, Thread>,
    process_us: u64,
    pub(super) rss_kib: u64,
    rss_peak_ever_kib: u64,
}

#[derive(Debug, Clone)]
struct Thread {
    name: String,
    run_ns: u64,
}

impl Watch {
    pub(super) fn snapshot(&self) -> Result<Snapshot, CpuError> {
        snapshot(self.pid).map_err(|source| CpuError {
            pid: self.pid,
            source,
        })
    }

    /// The difference of two snapshots; `rss_peak_kib` is what was seen between them.
    pub(super) fn report(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        rss_peak_kib: u64,
    ) -> CpuReport {
        let mut spent_ns: BTreeMap<String, u64> =
            self.groups.iter().map(|group| (group.clone(), 0)).collect();
        for (tid, thread) in &after.threads {
            let began_ns = before.threads.get(tid).map_or(0, |thread| thread.run_ns);
            *spent_ns.entry(self.group(&thread.name)).or_default() +=
                thread.run_ns.saturating_sub(began_ns);
        }
        let groups_us: BTreeMap<String, u64> = spent_ns
            .into_iter()
            .map(|(group, ns)| (group, ns / 1_000))
            .collect();
        CpuReport {
            threads_us: groups_us.values().sum(),
            groups_us,
            process_us: after.process_us.saturating_sub(before.process_us),
            rss_kib: after.rss_kib,
            rss_peak_kib: rss_peak_kib.max(after.rss_kib).max(before.rss_kib),
            rss_peak_ever_kib: after.rss_peak_ever_kib,
        }
    }

    fn group(&self, thread: &str) -> String {
        let fits = self
            .groups
            .iter()
            .filter(|group| thread.starts_with(group.as_str()));
        fits.max_by_key(|group| group.len())
            .cloned()
            .unwrap_or_else(|| OTHER.to_owned())
    }
}

fn snapshot(pid: u32) -> io::Result<Snapshot> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A thread may end while it is looked at; its time is then in `process_us` only.
        if let Ok(thread) = read_thread(&task.path()) {
            threads.insert(tid, thread);
        }
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(Snapshot {
        threads,
        process_us: process_ticks(&stat).ok_or(io::ErrorKind::InvalidData)? * US_PER_TICK,
        rss_kib: status_kib(&status, "VmRSS:"),
        rss_peak_ever_kib: status_kib(&status, "VmHWM:"),
    })
}

fn read_thread(task: &std::path::Path) -> io::Result<Thread> {
    let name = fs::read_to_string(task.join("comm"))?.trim_end().to_owned();
    let schedstat = fs::read_to_string(task.join("schedstat"))?;
    let run_ns = schedstat
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Thread { name, run_ns })
}

/// Fields 14 and 15 (utime, stime) of `/proc/PID/stat`; the name in field 2 may hold anything, so count from its end.
fn process_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn status_kib(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|value| value.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn time_goes_to_the_thread_that_used_it() {
        let watch = Watch {
            pid: std::process::id(),
            groups: vec!["busy".to_owned(), "busy-bee".to_owned(), "idle".to_owned()],
        };
        let (begin_work, work) = std::sync::mpsc::channel::<()>();
        let (done, worked) = std::sync::mpsc::channel();
        let (leave, left) = std::sync::mpsc::channel::<()>();
        let busy = std::thread::Builder::new().name("busy-bee-7".to_owned());
        let handle = busy
            .spawn(move || {
                work.recv().unwrap();
                let sum = (0..50_000_000_u64).fold(0, |sum, x| std::hint::black_box(sum ^ x));
                done.send(sum).unwrap();
                left.recv().unwrap();
            })
            .unwrap();
        let before = watch.snapshot().unwrap();
        begin_work.send(()).unwrap();
        worked.recv().unwrap();
        let report = watch.report(&before, &watch.snapshot().unwrap(), 0);
        leave.send(()).unwrap();
        handle.join().unwrap();
        assert!(report.groups_us["busy-bee"] > 1_000, "{report:?}");
        assert_eq!((report.groups_us["busy"], report.groups_us["idle"]), (0, 0));
        assert!(report.rss_kib > 0 && report.rss_peak_ever_kib >= report.rss_kib);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let watch = Watch {
            pid: u32::MAX,
            groups: Vec::new(),
        };
        assert!(
            watch
                .snapshot()
                .unwrap_err()
                .to_string()
                .contains("4294967295")
        );
    }
}
