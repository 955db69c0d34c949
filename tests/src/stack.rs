//! A whole Tollgate for a test: a simulated provider in this process, `tollgate up` as a child, a data directory.

use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::Signal;
use store::{Client, Credentials, DataDir, Endpoint, Engine, User};
use tempfile::TempDir;

use crate::binary::tollgate;
use crate::books::Books;
use crate::http::App;
use crate::journal::{JournalContents, read_journal};
use crate::ports::free_address;
use crate::process::{Serving, signal_process};
use crate::setup::Setup;
use crate::store as rows;
use crate::truth::Truth;
use crate::wait::eventually;

/// The stack. Dropping it kills its processes; if the test failed, the end of the log is printed.
pub struct Stack {
    /// What it was made of.
    pub setup: Setup,
    /// The provider.
    pub simulator: simulator::Simulator,
    /// The serving process.
    pub serving: Serving,
    app: SocketAddr,
    ops: SocketAddr,
    http: reqwest::Client,
    killed_engine: Option<u32>,
    folder: TempDir,
}

impl Stack {
    /// Starts everything and waits until it is ready.
    ///
    /// # Panics
    /// If anything does not start.
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let simulator = simulator::Simulator::start(simulator::Config {
            settings: setup.simulator.clone(),
            ..simulator::Config::default()
        });
        let simulator = simulator.expect("the simulator starts");
        let (app, ops) = (free_address(), free_address());
        let config = folder.path().join("tollgate.toml");
        let text = setup.toml(app, ops, &simulator.base_url());
        std::fs::write(&config, text).expect("a configuration can be written");
        let log = folder.path().join("serving.log");
        let serving = Serving::start(&config, &log, setup.failpoint.as_deref());
        let http = reqwest::Client::builder()
            .no_proxy()
            .retry(reqwest::retry::never())
            .build();
        let mut stack = Self {
            setup,
            simulator,
            serving,
            app,
            ops,
            http: http.expect("an HTTP client"),
            killed_engine: None,
            folder,
        };
        stack.ready().await;
        stack
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("tollgate.toml")
    }

    /// The configuration file's text as the setup makes it.
    pub fn config_text(&self) -> String {
        self.setup
            .toml(self.app, self.ops, &self.simulator.base_url())
    }

    /// A page of the operators' door.
    pub fn ops_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ops)
    }

    /// Where apps send chat calls.
    pub fn chat_url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.app)
    }

    /// An app that calls this stack.
    pub fn app(&self) -> App {
        App::new(self.http.clone(), self.chat_url())
    }

    /// Where apps connect.
    pub fn app_address(&self) -> SocketAddr {
        self.app
    }

    /// Where operators connect.
    pub fn ops_address(&self) -> SocketAddr {
        self.ops
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// If the process ends instead.
    pub async fn ready(&mut self) {
        let url = self.ops_url("/readyz");
        let http = self.http.clone();
        eventually("the gateway is ready", async || {
            if let Some(status) = self.serving.ended() {
                panic!("the serving process ended: {status}");
            }
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// The status and text of `/readyz`, if the operators' door is open.
    pub async fn readyz(&self) -> Option<(u16, String)> {
        let url = self.ops_url("/readyz");
        let answer = self.http.get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// `kill -9` of the serving process.
    pub fn kill(&mut self) {
        self.serving.kill();
    }

    /// Starts the serving process again, which must have ended, without waiting until it is ready.
    pub fn start_again(&mut self, failpoint: Option<&str>) {
        let log = self.folder.path().join("serving.log");
        self.serving = Serving::start(&self.config_path(), &log, failpoint);
    }

    /// `kill -9` of the serving process and a new start, ready when this returns.
    pub async fn restart(&mut self) {
        self.kill();
        self.start_again(None);
        self.ready().await;
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// If it does not end well.
    pub async fn terminate(&mut self) {
        self.serving.signal(Signal::TERM);
        let status = self.serving.end().await;
        assert!(status.success(), "an orderly stop ended with {status}");
    }

    /// `kill -9` of the engine; waits until one runs that was not killed before.
    pub async fn kill_engine(&mut self) {
        let data_dir = DataDir::new(self.data_dir());
        let killed = self.killed_engine;
        let pid = eventually("an engine runs", async || {
            let endpoint = Endpoint::of_running(&data_dir)?;
            (Some(endpoint.pid) != killed).then_some(endpoint.pid)
        })
        .await;
        signal_process(pid, Signal::KILL);
        self.killed_engine = Some(pid);
    }

    /// The running engine, as a user of it; waits until it answers.
    pub async fn engine(&self, user: User) -> Client {
        let data_dir = DataDir::new(self.data_dir());
        eventually("the engine answers", async || {
            let endpoint = Endpoint::of_running(&data_dir)?;
            let credentials = Credentials::open_or_create(&data_dir).ok()?;
            let password = credentials.of(user).clone();
            let client = Client::connect(endpoint.url, user.name(), password, store::DATABASE);
            client.ping().await.is_ok().then_some(client)
        })
        .await
    }

    /// An engine of our own over the data directory of a stack that does not run.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn own_engine(&self) -> Engine {
        let options = store::supervisor::Options {
            data_dir: self.data_dir(),
            library: None,
            program: tollgate().to_owned(),
            args: vec![
                "engine".into(),
                "--child".into(),
                "--data-dir".into(),
                self.data_dir().into(),
            ],
        };
        let engine = Engine::connect_or_start(&options).await;
        engine.expect("an engine starts")
    }

    /// The value of a whole-number metric without labels, `tollgate_` left out.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let url = format!("http://{}/metrics", self.ops);
        let text = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let wanted = format!("tollgate_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&wanted))?;
        value.trim().parse().ok()
    }

    /// What the journal holds.
    pub fn journal(&self) -> JournalContents {
        read_journal(&self.data_dir())
    }

    /// What the provider did.
    pub fn truth(&self) -> Truth {
        Truth::of(&self.simulator)
    }

    /// Waits until nothing runs any more: no connection of an app works, nothing is open, nothing is drained.
    pub async fn idle(&self) {
        eventually("no request is open", async || {
            let open = self.metric("open_requests").await?;
            let drains = self.metric("drains").await?;
            (open == 0 && drains == 0).then_some(())
        })
        .await;
    }

    /// Waits until nothing runs and the store has every record that the journal has; gives what all of them say.
    pub async fn settled(&self) -> Books {
        self.idle().await;
        let reader = eventually("the store has what the journal has", async || {
            let _consumer_runs = self.metric("consumer_lag_positions").await?;
            let journal = self.journal();
            let reader = self.engine(User::Reader).await;
            let trail = rows::trail(&reader).await.ok()?;
            let end = rows::written_end(&reader).await.ok()?;
            let mut published = journal.published.keys();
            let has_all = published.all(|at| *at < end && trail.contains_key(at));
            has_all.then_some(reader)
        })
        .await;
        self.books(&reader).await
    }

    /// What the journal, the provider and the store say now.
    ///
    /// # Panics
    /// If the store does not answer.
    pub async fn books(&self, reader: &Client) -> Books {
        Books::of(&self.data_dir(), reader, &self.simulator).await
    }

    /// The end of what the serving process said.
    pub fn log_tail(&self) -> String {
        let log = self.serving.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the serving process said last:\n{}", self.log_tail());
        }
    }
}
