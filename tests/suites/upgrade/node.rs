//! One gateway or consumer, whose program may change while its configuration, its journal and its address stay.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tests::{App, At, eventually, listens, partitions};

use crate::versions::Version;

/// A process.
pub(crate) struct Node {
    role: &'static str,
    config: PathBuf,
    log: PathBuf,
    ops: SocketAddr,
    app: SocketAddr,
    child: Option<Child>,
}

impl Node {
    /// Writes its configuration; starts nothing yet.
    pub(crate) fn new(
        role: &'static str,
        folder: &Path,
        text: &str,
        [app, ops]: [SocketAddr; 2],
    ) -> Self {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let config = folder.join("tollgate.toml");
        std::fs::write(&config, text).expect("a file can be written");
        Self {
            role,
            config,
            log: folder.join("log"),
            ops,
            app,
            child: None,
        }
    }

    /// Starts it with the program of this version.
    pub(crate) async fn begin(&mut self, version: Version) {
        let mut command = Command::new(version.program());
        command.args([self.role, "--config"]).arg(&self.config);
        self.child = Some(run(command, &self.log));
        listens(self.ops).await;
        listens(self.app).await;
    }

    /// An orderly stop.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has a number"), Signal::TERM).expect("it runs");
        let status = eventually("it ends", async || {
            child.try_wait().expect("a child can be waited for")
        })
        .await;
        assert!(status.success(), "{} ended with {status}", self.role);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("a killed child ends");
    }

    /// An orderly stop, and this version in its place.
    pub(crate) async fn become_of(&mut self, version: Version) {
        self.stop().await;
        self.begin(version).await;
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn app(&self) -> App {
        App::of(format!("http://{}/v1/chat/completions", self.app))
    }

    /// What a page for operators says; nothing if nobody answers.
    pub(crate) async fn says(&self, page: &str) -> String {
        let asked = reqwest::get(format!("http://{}/{page}", self.ops)).await;
        match asked {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// A consumer's partitions.
    pub(crate) async fn partitions(&self) -> BTreeMap<i32, At> {
        partitions(self.ops).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            eprintln!("the end of {}:", self.log.display());
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        if let Some(mut child) = self.child.take() {
            drop((child.kill(), child.wait()));
        }
    }
}

/// Starts a program whose words are appended to a file.
pub(crate) fn run(mut command: Command, log: &Path) -> Child {
    let open = OpenOptions::new().create(true).append(true).open(log);
    let output = open.expect("a log can be written");
    command
        .env_remove(runtime::failpoint::VARIABLE)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file has a second handle"))
        .stderr(output)
        .spawn()
        .expect("the program starts")
}
