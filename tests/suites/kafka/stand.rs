//! A `tollgate gateway` over a simulated provider, its log in a real broker, for tests that kill either.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use journal::{Item, Reader};
use rustix::process::{Pid, Signal, kill_process};
use schemas::{RecordKind, Topic, fs_names};
use tests::{App, Setup, eventually, free_address, tollgate};

/// What a test chooses.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For `bootstrap`.
    pub servers: String,
    /// Further settings of `[log.kafka]`, lines.
    pub kafka: String,
    /// What the topics' names begin with; something new if there is none.
    pub prefix: Option<String>,
    /// Environment of the gateway.
    pub environment: Vec<(&'static str, String)>,
    /// The rest.
    pub setup: Setup,
}

impl Plan {
    /// One broker is enough for its topics.
    pub fn single(servers: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            kafka: "replication = 1\nmin_in_sync = 1\npartitions = 6\n".to_owned(),
            prefix: None,
            environment: Vec::new(),
            setup: Setup::default(),
        }
    }
}

/// The gateway and its provider.
pub struct Stand {
    pub simulator: simulator::Simulator,
    plan: Plan,
    prefix: String,
    app: SocketAddr,
    ops: SocketAddr,
    serving: Option<Child>,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Stand {
    /// Starts everything and waits until the gateway serves, with or without Kafka.
    pub async fn start(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let simulator = simulator::Simulator::start(simulator::Config {
            settings: plan.setup.simulator.clone(),
            ..simulator::Config::default()
        });
        let http = reqwest::Client::builder().no_proxy().build();
        let mut stand = Self {
            simulator: simulator.expect("the simulator starts"),
            // A broker that was given has topics of other tests.
            prefix: (plan.prefix.clone())
                .unwrap_or_else(|| format!("test-{:x}.", rand::random::<u64>())),
            plan,
            app: free_address(),
            ops: free_address(),
            serving: None,
            http: http.expect("an HTTP client"),
            folder,
        };
        stand.write_config();
        stand.start_again().await;
        stand
    }

    /// From its next start on the gateway's brokers are these.
    pub fn lead_to(&mut self, servers: &str) {
        servers.clone_into(&mut self.plan.servers);
        self.write_config();
    }

    /// From its next start on it publishes to topics of another prefix, which continue the ones before.
    pub fn begin_generation(&mut self) {
        let before = std::mem::replace(
            &mut self.prefix,
            format!("test-{:x}.", rand::random::<u64>()),
        );
        writeln!(self.plan.kafka, "continues = \"{before}\"").expect("a text grows");
        self.write_config();
    }

    fn write_config(&self) {
        let mut text = self
            .plan
            .setup
            .toml(self.app, self.ops, &self.simulator.base_url());
        let (servers, prefix) = (&self.plan.servers, &self.prefix);
        let section =
            format!("[log.kafka]\nbootstrap = \"{servers}\"\ntopic_prefix = \"{prefix}\"");
        writeln!(text, "\n{section}\n{}", self.plan.kafka).expect("a text grows");
        std::fs::write(self.config(), text).expect("a configuration can be written");
    }

    /// Starts the gateway, which must not run.
    pub async fn start_again(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("gateway.log"));
        let log = log.expect("a log can be written");
        let serving = Command::new(tollgate())
            .args(["gateway", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has a second handle"))
            .stderr(log)
            .env_remove("RUST_LOG")
            .envs(self.plan.environment.iter().cloned())
            .spawn();
        self.serving = Some(serving.expect("the program under test starts"));
        let (http, url) = (self.http.clone(), self.ops_url("/readyz"));
        eventually("the gateway is ready", async || {
            let serving = self.serving.as_mut().expect("it was started");
            if let Some(status) = serving.try_wait().expect("a child can be waited for") {
                panic!("the gateway ended: {status}\n{}", self.log());
            }
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.kill().expect("a child can be killed");
            serving.wait().expect("a killed child ends");
        }
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut serving = self.serving.take().expect("the gateway runs");
        let pid = i32::try_from(serving.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), Signal::TERM).expect("a signal is sent");
        let status = eventually("the gateway ends", async || {
            serving.try_wait().expect("a child can be waited for")
        })
        .await;
        assert!(
            status.success(),
            "an orderly stop ended with {status}\n{}",
            self.log()
        );
        status
    }

    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("gateway.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tollgate.toml")
    }

    pub fn journal_dir(&self) -> PathBuf {
        self.folder.path().join("data").join(fs_names::JOURNAL_DIR)
    }

    pub fn topic(&self, topic: Topic) -> String {
        topic.name(&self.prefix)
    }

    pub fn app(&self) -> App {
        App::of(format!("http://{}/v1/chat/completions", self.app))
    }

    fn ops_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ops)
    }

    /// What `/readyz` says.
    pub async fn readyz(&self) -> Option<(u16, String)> {
        let answer = self.http.get(self.ops_url("/readyz")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// A metric without labels, `tollgate_` left out.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.http.get(self.ops_url("/metrics")).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let wanted = format!("tollgate_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&wanted))?;
        value.trim().parse().ok()
    }

    /// Waits until Kafka has what the journal has now, of a gateway that beats and may be under load.
    pub async fn drained(&self) {
        let (lag, acked) = eventually("the gateway says how far Kafka is", async || {
            let lag = self.metric("publisher_lag_positions").await?;
            Some((lag, self.metric("publisher_acked_total").await?))
        })
        .await;
        eventually("Kafka has what the journal has", async || {
            (self.metric("publisher_publishing").await? > 0.0).then_some(())?;
            let idle = self.metric("publisher_lag_positions").await? < 1.0;
            // In order: after so many more, all that lay before them is there.
            let passed = self.metric("publisher_acked_total").await? >= acked + lag.max(1.0);
            (idle || passed).then_some(())
        })
        .await;
    }

    /// The journal's records of a kind, in order.
    pub fn records(&self, kind: RecordKind) -> Vec<Vec<u8>> {
        let mut reader = Reader::open_dir(&self.journal_dir()).expect("a journal can be read");
        let mut records = Vec::new();
        while let Some(item) = reader.read().expect("a journal can be read") {
            match item {
                Item::Frame(frame) if frame.kind == kind as u8 => {
                    records.push(frame.payload.to_vec());
                }
                Item::Frame(_) => {}
                Item::Damaged(damage) => {
                    assert_eq!(damage.cause, journal::DamageCause::TornTail, "{damage:?}");
                }
            }
        }
        records
    }
}

/// Runs another command of the program.
pub fn run_tollgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(tollgate());
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("the program under test starts")
}

impl Drop for Stand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4_000);
            eprintln!(
                "the end of the gateway's log:\n{}",
                log.get(from..).unwrap_or(&log)
            );
        }
        self.kill();
    }
}
