//! The program under test as a child, in most tests `tollgate up`; killed when dropped.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::tollgate;
use crate::wait::eventually;

/// A running process of the program.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    log: PathBuf,
}

impl Serving {
    /// Starts `tollgate up`; what it says is appended to `log`.
    ///
    /// # Panics
    /// If there is no such program.
    pub fn start(config: &Path, log: &Path, failpoint: Option<&str>) -> Self {
        let mut command = Command::new(tollgate());
        command.args(["up", "--config"]).arg(config);
        Self::run(command, log, failpoint)
    }

    /// Starts a command, whose program becomes the one under test; the same otherwise.
    ///
    /// # Panics
    /// If there is no such program.
    pub fn run(mut command: Command, log: &Path, failpoint: Option<&str>) -> Self {
        let open = OpenOptions::new().create(true).append(true).open(log);
        let output = open.expect("a log can be written");
        let errors = output.try_clone().expect("a file has a second handle");
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .env_remove(runtime::failpoint::VARIABLE)
            .env_remove("RUST_LOG");
        if let Some(failpoint) = failpoint {
            command.env(runtime::failpoint::VARIABLE, failpoint);
        }
        Self {
            child: command.spawn().expect("the program under test starts"),
            log: log.to_owned(),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// Never in a sane system.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Sends a signal; does nothing to a process that has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            signal_process(self.pid(), signal);
        }
    }

    /// `kill -9`, and waits for its end.
    ///
    /// # Panics
    /// Never in a sane system.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.child.wait().expect("a killed child ends")
    }

    /// Whether it stands still, as after `kill -STOP`.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        // The name in parentheses may hold anything; the state comes after it.
        stat.is_ok_and(|stat| {
            stat.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        eventually("the serving process ends", async || self.ended()).await
    }

    /// Its high-water mark of resident memory, in KiB.
    ///
    /// # Panics
    /// If it does not run.
    pub fn peak_resident_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Its resident memory now, in KiB.
    ///
    /// # Panics
    /// If it does not run.
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse().ok())
            .expect("the kernel counts resident memory")
    }

    /// What it said so far, all its starts together.
    ///
    /// # Panics
    /// If the log is gone.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("a log can be read")).into_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to any process; one that is gone is no error.
pub(crate) fn signal_process(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.expect("a process number is positive");
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("no signal to {pid:?}: {error}"),
    }
}
