//! A `tollgate consumer` as a process, and what it says of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::{At, free_address, tollgate};

pub(crate) struct Member {
    child: Child,
    config: PathBuf,
    log: PathBuf,
    ops: SocketAddr,
}

fn start(config: &PathBuf, log: &PathBuf) -> Child {
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log);
    let output = open.expect("a log can be written");
    Command::new(tollgate())
        .args(["consumer", "--config"])
        .arg(config)
        .env_remove(runtime::failpoint::VARIABLE)
        .env_remove("RUST_LOG")
        .env("TEST_KAFKA_PASSWORD", tests::secure::PLAIN)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file has a second handle"))
        .stderr(output)
        .spawn()
        .expect("the program under test starts")
}

impl Member {
    /// Starts a member of the configuration's group under a name.
    pub(crate) fn start(stand: &super::stand::Stand, name: &str) -> Self {
        Self::start_with(stand, name, |text| text)
    }

    /// The same on the topics of another prefix.
    pub(crate) fn start_on(stand: &super::stand::Stand, name: &str, prefix: &str) -> Self {
        let of = |prefix: &str| format!("topic_prefix = \"{prefix}\"");
        Self::start_with(stand, name, |text| {
            text.replace(&of(super::stand::PREFIX), &of(prefix))
        })
    }

    /// The same with a configuration that is changed.
    pub(crate) fn start_with(
        stand: &super::stand::Stand,
        name: &str,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let ops = free_address();
        Self::with(stand, name, ops, &change(stand.toml(name, ops)))
    }

    /// The same by a configuration of one's own.
    pub(crate) fn with(
        stand: &super::stand::Stand,
        name: &str,
        ops: SocketAddr,
        toml: &str,
    ) -> Self {
        let config = stand.folder().join(format!("{name}.toml"));
        std::fs::write(&config, toml).expect("a file can be written");
        let log = stand.folder().join(format!("{name}.log"));
        Self {
            child: start(&config, &log),
            config,
            log,
            ops,
        }
    }

    /// The same, and it archives what it reads.
    pub(crate) fn start_archiving(stand: &super::stand::Stand, name: &str) -> Self {
        let archive = format!(
            "[archive]\ndir = \"{}\"\nage_seconds = 1\n",
            stand.archive().display()
        );
        Self::start_with(stand, name, |text| text + &archive)
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ops)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has a number"), signal).expect("it runs");
    }

    /// kill -9, and its replacement.
    pub(crate) fn replace(&mut self) {
        self.kill();
        self.child = start(&self.config, &self.log);
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and waits until it has left.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        tests::eventually("the member ends", async || {
            self.child.try_wait().expect("a child can be waited for")
        })
        .await;
    }

    /// What it answers; nothing while it does not.
    pub(crate) async fn ask(&self, path: &str) -> Option<(u16, String)> {
        let url = self.url(path);
        let client = reqwest::Client::new();
        let asked = client.get(url).timeout(Duration::from_secs(2)).send();
        let answer = asked.await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Its partitions, as far as it answers.
    pub(crate) async fn partitions(&self) -> BTreeMap<i32, At> {
        tests::partitions(self.ops).await
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(25).collect();
            eprintln!("the end of {}:", self.log.display());
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        drop((self.child.kill(), self.child.wait()));
    }
}
