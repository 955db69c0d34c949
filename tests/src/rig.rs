//! A Tollgate whose provider, configuration and environment a test writes itself, for suites that send what no client
//! library would. Waiting for states and reading what was written down, no claim about behaviour.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use schemas::fs_names;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Client, Credentials, DataDir, Endpoint, User};

use crate::binary::tollgate;
use crate::journal::read_journal;
use crate::ports::free_address;
use crate::store::written_end;
use crate::wait::eventually;

/// What a rig is made of.
#[derive(Debug, Default)]
pub struct Plan {
    /// Lines before the first section, and of sections of the top level.
    pub top: String,
    /// Lines of `[gateway]`.
    pub gateway: String,
    /// Deployments, routes and tenants; `{provider}` stands for the simulator's base URL, `{resource}` for the same
    /// without `/v1`, as Azure's addresses begin.
    pub rest: String,
    /// Environment of the serving process.
    pub environment: Vec<(&'static str, String)>,
    /// How the provider behaves.
    pub simulator: simulator::Settings,
}

impl Plan {
    /// Adds a backend and the models that it serves. `credential` is its line for that.
    #[must_use]
    pub fn backend(mut self, id: &str, base_url: &str, credential: &str, models: &[&str]) -> Self {
        let add = |text: &mut String, line: &dyn std::fmt::Display| {
            writeln!(text, "{line}").expect("a text grows");
        };
        let head =
            format_args!("[[deployments]]\nid = \"{id}\"\nprovider = \"openai\"").to_string();
        add(&mut self.rest, &head);
        add(
            &mut self.rest,
            &format_args!("base_url = \"{base_url}\"\n{credential}"),
        );
        for model in models {
            add(
                &mut self.rest,
                &format_args!("[[routes]]\nmodel = \"{model}\"\ndeployment = \"{id}\""),
            );
        }
        self
    }

    /// Adds the simulator as a backend without a credential.
    #[must_use]
    pub fn simulated(self, models: &[&str]) -> Self {
        self.backend("simulator", "{provider}", "auth = \"none\"", models)
    }

    /// Adds a tenant with one project, `search`. A key is its name, its secret, and further settings of it. `labels` is
    /// the list of labels.
    #[must_use]
    pub fn tenant(mut self, id: &str, labels: &str, keys: &[(&str, &str, &str)]) -> Self {
        let keys = keys.iter().map(|(name, secret, more)| {
            let digest = hex::encode(Sha256::digest(secret));
            format!("  {{ id = \"{name}\", sha256 = \"{digest}\"{more} }},\n")
        });
        let keys: Vec<String> = keys.collect();
        let text = format!(
            "[[tenants]]\nid = \"{id}\"\nlabels = [{labels}]\n[[tenants.projects]]\nid = \"search\"\nkeys = [\n{}]\n",
            keys.concat()
        );
        self.rest.push_str(&text);
        self
    }
}

/// A running `tollgate up` and its provider.
#[derive(Debug)]
pub struct Rig {
    /// The provider.
    pub simulator: simulator::Simulator,
    serving: Child,
    app: SocketAddr,
    ops: SocketAddr,
    environment: Vec<(&'static str, String)>,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Starts everything and waits until the gateway serves.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(plan: Plan) -> Self {
        Self::start_with(plan, |text, _| text).await
    }

    /// The same with a configuration that is changed before it is written: it gets the text and the simulator's base URL.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(plan: Plan, change: impl FnOnce(String, &str) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let simulator = simulator::Simulator::start(simulator::Config {
            settings: plan.simulator,
            ..simulator::Config::default()
        });
        let simulator = simulator.expect("the simulator starts");
        let (app, ops) = (free_address(), free_address());
        let resource = format!("http://{}", simulator.addr());
        let text = format!(
            "data_dir = \"data\"\n{}\n[gateway]\nlisten = \"{app}\"\nops_listen = \"{ops}\"\n{}\n{}\n",
            plan.top,
            plan.gateway,
            plan.rest
                .replace("{provider}", &simulator.base_url())
                .replace("{resource}", &resource),
        );
        let text = change(text, &simulator.base_url());
        let config = folder.path().join("tollgate.toml");
        std::fs::write(&config, text).expect("a configuration can be written");
        let serving = serve(
            &config,
            &folder.path().join("serving.log"),
            &plan.environment,
        );
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let mut rig = Self {
            simulator,
            serving,
            app,
            ops,
            environment: plan.environment,
            http: http.expect("an HTTP client"),
            folder,
        };
        rig.ready().await;
        rig
    }

    async fn ready(&mut self) {
        let url = self.ops_url("/readyz");
        let http = self.http.clone();
        eventually("the gateway is ready", async || {
            if let Some(status) = self.serving.try_wait().expect("a child can be waited for") {
                panic!("the serving process ended: {status}\n{}", self.log());
            }
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Where apps connect.
    pub fn app(&self) -> SocketAddr {
        self.app
    }

    /// A URL of the app door.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app)
    }

    /// A URL of the operators' door.
    pub fn ops_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ops)
    }

    /// A client without proxies and redirects.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The serving process.
    pub fn pid(&self) -> u32 {
        self.serving.id()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tollgate.toml")
    }

    /// What the serving process said so far.
    ///
    /// # Panics
    /// If the log is gone.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("serving.log"));
        String::from_utf8_lossy(&log.expect("a log can be read")).into_owned()
    }

    /// Runs another command of the program with this configuration and environment.
    ///
    /// # Panics
    /// If the program does not start.
    pub fn tollgate(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(tollgate());
        command.args(arguments).arg("--config").arg(self.config());
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command.output().expect("the program under test starts")
    }

    /// The running engine; waits until it answers.
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

    /// Waits until no request is open and the store has what the journal has.
    pub async fn settled(&self) -> Client {
        eventually("no request is open", async || {
            let metrics = self
                .http
                .get(self.ops_url("/metrics"))
                .send()
                .await
                .ok()?
                .text()
                .await
                .ok()?;
            let idle = |name: &str| {
                metrics
                    .lines()
                    .any(|line| line == format!("tollgate_{name} 0"))
            };
            (idle("open_requests") && idle("drains")).then_some(())
        })
        .await;
        let client = self.engine(User::Reader).await;
        let migrations = schemas::migrations::ALL.len();
        eventually("the store is set up", async || {
            let sql = "SELECT count() AS count FROM schema_migrations";
            let rows = json_rows(&client, sql).await?;
            (rows.first()?["count"] == migrations).then_some(())
        })
        .await;
        eventually("the store has what the journal has", async || {
            let end = written_end(&client).await.ok()?;
            let mut published = read_journal(&self.data_dir()).published.into_keys();
            published.all(|at| at < end).then_some(())
        })
        .await;
        client
    }

    /// All events of the set, once everything is in it.
    ///
    /// # Panics
    /// If they cannot be read.
    pub async fn events(&self) -> Vec<Value> {
        let client = self.settled().await;
        let events = json_rows(
            &client,
            "SELECT * FROM usage_events FINAL ORDER BY received",
        )
        .await;
        events.expect("events can be read")
    }

    /// The rows of a query.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let client = self.engine(User::Reader).await;
        json_rows(&client, sql)
            .await
            .unwrap_or_else(|| panic!("refused: {sql}"))
    }

    /// The journal's files, one after the other.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn journal_bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.data_dir().join(fs_names::JOURNAL_DIR));
        let mut bytes = Vec::new();
        for file in files.expect("a journal lies there") {
            let path = file.expect("a folder can be listed").path();
            if path.is_file() {
                bytes.extend(std::fs::read(path).expect("a journal can be read"));
            }
        }
        bytes
    }
}

async fn json_rows(client: &Client, sql: &str) -> Option<Vec<Value>> {
    let bytes = client.query_bytes(sql, "JSONEachRow").await.ok()?;
    serde_json::Deserializer::from_slice(&bytes)
        .into_iter()
        .collect::<Result<_, _>>()
        .ok()
}

fn serve(config: &Path, log: &Path, environment: &[(&'static str, String)]) -> Child {
    let open = OpenOptions::new().create(true).append(true).open(log);
    let output = open.expect("a log can be written");
    let errors = output.try_clone().expect("a file has a second handle");
    let mut command = Command::new(tollgate());
    command
        .args(["up", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    command
        .env_remove(runtime::failpoint::VARIABLE)
        .env_remove("RUST_LOG");
    command.envs(environment.iter().cloned());
    command.spawn().expect("the program under test starts")
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "--- the serving process said last:\n{}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
        // Ends here whatever its state; there is nobody to tell of a process that has gone already.
        drop(self.serving.kill());
        drop(self.serving.wait());
    }
}
