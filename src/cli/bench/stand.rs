//! The stand that is measured: a simulated provider and a whole `tollgate up`, each a process, in a directory that goes
//! away. What is measured on it must not live here.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use store::{Client, Credentials, DataDir, Endpoint, User};

use super::processes::{Cores, Process, bind_to};

/// How long the stand may take to serve; the engine's first start dominates.
const START: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);

/// A directory of our own that goes away with the stand.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, for this user alone.
    pub fn make() -> anyhow::Result<Self> {
        let dir =
            std::env::temp_dir().join(format!("tollgate-bench-{:016x}", rand::random::<u64>()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make {}; set TMPDIR", dir.display()))?;
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing but a scratch directory is left if this fails.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A model whose calls are closed when the app goes away.
pub const PATIENT_MODEL: &str = "gpt-4o";

/// What a stand has beside the usual.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Keys of a third tenant.
    pub more_keys: usize,
}

/// A key of the stand, made for this run.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Its tenant's records count once they are written.
    pub written: String,
    /// Its tenant's records count once they are synced.
    pub synced: String,
    /// Those of a third tenant, as many as were planned.
    pub more: Vec<String>,
}

impl Keys {
    fn draw(more: usize) -> Self {
        let key = || format!("tg-{:032x}", rand::random::<u128>());
        Self {
            written: key(),
            synced: key(),
            more: (0..more).map(|_| key()).collect(),
        }
    }
}

/// Everything that is measured, running.
#[derive(Debug)]
pub struct Stand {
    simulator: Process,
    gateway: Process,
    /// Where the simulator answers.
    pub simulator_url: String,
    /// The same as an address.
    pub simulator_address: SocketAddr,
    /// Where the gateway listens.
    pub gateway_address: SocketAddr,
    /// Where the gateway answers.
    pub gateway_url: String,
    /// Where the gateway's metrics are.
    pub metrics_url: String,
    /// Keys of all tenants.
    pub keys: Keys,
    /// When the gateway's process was started.
    pub started: Instant,
    scratch: Scratch,
}

impl Stand {
    /// Starts simulator and gateway, each on its core. Leaves this thread on the load's core.
    pub fn start(cores: Option<Cores>, plan: &Plan) -> anyhow::Result<Self> {
        let scratch = Scratch::make()?;
        let program = std::env::current_exe()?;
        if let Some(cores) = cores {
            bind_to(cores.load)?;
        }
        let (simulator, address) = start_simulator(&program)?;
        let keys = Keys::draw(plan.more_keys);
        let (app, ops) = (free_port()?, free_port()?);
        let config = scratch.0.join("tollgate.toml");
        std::fs::write(&config, configuration(app, ops, address, &keys))?;
        if let Some(cores) = cores {
            bind_to(cores.gateway)?;
        }
        let log = std::fs::File::create(scratch.0.join("log"))?;
        let mut up = Command::new(&program);
        up.arg("up").arg("--config").arg(&config);
        up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        let gateway = Process::start("tollgate up", &mut up)?;
        if let Some(cores) = cores {
            bind_to(cores.load)?;
        }
        Ok(Self {
            simulator,
            gateway,
            simulator_url: format!("http://{address}"),
            simulator_address: address,
            gateway_address: app,
            gateway_url: format!("http://{app}/v1/chat/completions"),
            metrics_url: format!("http://{ops}/metrics"),
            keys,
            started,
            scratch,
        })
    }

    /// The process that serves.
    pub fn gateway_pid(&self) -> u32 {
        self.gateway.pid()
    }

    /// The process that plays the provider.
    pub fn simulator_pid(&self) -> u32 {
        self.simulator.pid()
    }

    /// Waits until the gateway serves and its store has tables; gives the engine's process and a way to ask it.
    pub async fn ready(&mut self) -> anyhow::Result<(u32, Client)> {
        let deadline = Instant::now() + START;
        let data_dir = DataDir::new(self.data_dir());
        let mut client = None;
        loop {
            self.check_running()?;
            if client.is_none() {
                client = Endpoint::of_running(&data_dir)
                    .map(|endpoint| connect(&data_dir, endpoint))
                    .transpose()?;
            }
            if let Some((pid, client)) = &client
                && count_events(client).await.is_ok()
                && reqwest::get(&self.metrics_url).await.is_ok()
            {
                return Ok((*pid, client.clone()));
            }
            if Instant::now() > deadline {
                bail!(
                    "the stand did not serve within {} s:\n{}",
                    START.as_secs(),
                    self.last_words()
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// An error, with what it said last, if a process has ended.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.simulator.check_running()?;
        let running = self.gateway.check_running();
        running.with_context(|| self.last_words())
    }

    /// Stops everything in order.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.gateway.stop().await?;
        self.simulator.stop().await
    }

    fn data_dir(&self) -> PathBuf {
        self.scratch.0.join("data")
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.scratch.0.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

fn connect(data_dir: &DataDir, endpoint: Endpoint) -> anyhow::Result<(u32, Client)> {
    let credentials = Credentials::open_or_create(data_dir)?;
    let password = credentials.of(User::Reader).clone();
    let client = Client::connect(endpoint.url, User::Reader.name(), password, store::DATABASE);
    Ok((endpoint.pid, client))
}

/// Usage events in the store, and how many different ones completed.
pub async fn count_events(client: &Client) -> anyhow::Result<(u64, u64)> {
    let sql = "SELECT count(), uniqExactIf(event_id, outcome = 'completed' AND usage_source = 'provider') FROM usage_events";
    let counts = client.query_bytes(sql, "TSV").await?;
    let text = std::str::from_utf8(&counts)?.trim();
    let (rows, completed) = text.split_once('\t').context("two counts")?;
    Ok((rows.parse()?, completed.parse()?))
}

/// An address of this machine that nobody listens on.
pub fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start_simulator(program: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(program);
    command.args([
        "simulate",
        "--bytes",
        "--workers",
        "1",
        "--listen",
        "127.0.0.1:0",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = Process::start("tollgate simulate", &mut command)?;
    let stdout = process
        .take_stdout()
        .context("the simulator has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line
        .trim()
        .rsplit_once("http://")
        .map(|(_, address)| address);
    let address = address.context("the simulator did not start")?.parse()?;
    Ok((process, address))
}

fn configuration(app: SocketAddr, ops: SocketAddr, provider: SocketAddr, keys: &Keys) -> String {
    let digest = |secret: &str| hex::encode(Sha256::digest(secret.as_bytes()));
    let (written, synced) = (digest(&keys.written), digest(&keys.synced));
    let more = keys.more.iter().enumerate().map(|(number, key)| {
        format!(
            "    {{ id = \"more-{number}\", sha256 = \"{}\" }},\n",
            digest(key)
        )
    });
    let more: String = more.collect();
    format!(
        r#"data_dir = "data"

[gateway]
listen = "{app}"
ops_listen = "{ops}"

[[deployments]]
id = "simulator"
provider = "openai"
base_url = "http://{provider}/v1"
auth = "none"
synthetic = true

[[routes]]
model = "gpt-4o-mini"
deployment = "simulator"

[[routes]]
model = "{PATIENT_MODEL}"
deployment = "simulator"
on_client_gone = "cancel"

[[tenants]]
id = "written"
durability = "written"

[[tenants.projects]]
id = "bench"
keys = [{{ id = "written", sha256 = "{written}" }}]

[[tenants]]
id = "synced"
durability = "synced"

[[tenants.projects]]
id = "bench"
keys = [{{ id = "synced", sha256 = "{synced}" }}]

[[tenants]]
id = "more"

[[tenants.projects]]
id = "bench"
keys = [
{more}]
"#
    )
}
