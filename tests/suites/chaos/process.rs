//! A process of the system that is killed and started again many times.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tests::Serving;

use crate::patience::eventually;
use crate::table::Void;

const KILLED: i32 = 9;

/// A process, running or not.
pub struct Process {
    name: String,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    log: PathBuf,
    /// A failpoint of every start.
    always: Option<String>,
    serving: Option<Serving>,
}

impl Process {
    /// One that does not run yet.
    pub fn new(
        name: &str,
        log: PathBuf,
        always: Option<&str>,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            command: Box::new(command),
            log,
            always: always.map(str::to_owned),
            serving: None,
        }
    }

    /// Starts it; it must not run.
    pub fn start(&mut self, failpoint: Option<&str>) {
        assert!(self.serving.is_none(), "{} runs already", self.name);
        let points = self.always.as_deref().into_iter().chain(failpoint);
        let points: Vec<&str> = points.collect();
        let points = points.join(",");
        let points = Some(points.as_str()).filter(|points| !points.is_empty());
        self.serving = Some(Serving::run((self.command)(), &self.log, points));
    }

    /// Starts it if it does not run.
    pub fn ensure(&mut self) {
        if self.serving.is_none() {
            self.start(None);
        }
    }

    /// Whether it was started and not killed.
    pub fn is_up(&self) -> bool {
        self.serving.is_some()
    }

    /// What runs, and must: a process that has ended by itself is a fault of the product.
    pub fn running(&mut self) -> &mut Serving {
        let serving = self.serving.as_mut().expect("it was started");
        if let Some(status) = serving.ended() {
            panic!("{} ended by itself: {status}", self.name);
        }
        serving
    }

    /// `kill -9`, if it runs; whether it did.
    pub fn kill(&mut self, fault: &'static str) -> Result<String, Void> {
        let pid = self.running().pid();
        let status = self.running().kill();
        self.serving = None;
        self.check(fault, pid, status)
    }

    /// Waits until it has died by itself, at the point that it was started with.
    pub async fn dies(&mut self, fault: &'static str) -> Result<String, Void> {
        let serving = self.serving.as_mut().expect("it was started");
        let pid = serving.pid();
        let what = format!("{} comes by its point: {fault}", self.name);
        let status = eventually(&what, async || serving.ended()).await;
        self.serving = None;
        self.check(fault, pid, status)
    }

    fn check(
        &self,
        fault: &'static str,
        pid: u32,
        status: std::process::ExitStatus,
    ) -> Result<String, Void> {
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        if signal == Some(KILLED) {
            return Ok(format!(
                "{}, process {pid}, gone by signal {KILLED}",
                self.name
            ));
        }
        let why = format!("{} ended otherwise: {status}", self.name);
        Err(Void { fault, why })
    }

    /// SIGTERM, and waits for its end.
    pub async fn end(&mut self) {
        let serving = self.running();
        serving.signal(Signal::TERM);
        let status = serving.end().await;
        assert!(status.success(), "{} ended with {status}", self.name);
        self.serving = None;
    }

    /// The lines that it said, in all its starts, with one of these words.
    pub fn said(&self, words: &[&str]) -> Vec<String> {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let has_one = |line: &&str| words.iter().any(|words| line.contains(words));
        log.lines().filter(has_one).map(str::to_owned).collect()
    }

    /// `kill -STOP`, and waits until it stands still.
    pub async fn stop(&mut self) {
        self.running().signal(Signal::STOP);
        self.stands_still().await;
    }

    /// Waits until it stands still.
    pub async fn stands_still(&mut self) {
        let what = format!("{} stands still", self.name);
        eventually(&what, async || self.running().is_stopped().then_some(())).await;
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.running().signal(Signal::CONT);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            eprintln!("--- {} said last:", self.name);
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}
