//! The system under test: a provider, two gateways, three brokers each behind a door that can be spoilt, two consumers of one
//! group, the engine. What is done to it is elsewhere.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use schemas::Topic;
use store::{Client, Credentials, DataDir, User};
use tempfile::TempDir;
use tests::{Brokers, Cluster, Door, Proxy, Setup, TopicView, free_address, partitions, tollgate};

use crate::disk::Disk;
use crate::patience::eventually;
use crate::process::Process;
use crate::size::Size;

pub const NODES: usize = 3;
pub const PARTITIONS: usize = 6;
const PREFIX: &str = "chaos.";
const GROUP: &str = "chaos";
/// By how much one gateway's clock is wrong.
pub const CLOCK_OFF: &str = "clock:3600";
/// Small, so that a full disk shows before long.
const SEGMENT_MIB: u64 = 2;

/// A way to reach the brokers goes through their doors; a follower that is silent for so long is out of sync.
const BROKERS: &str = "group.min.session.timeout.ms=1000\nreplica.lag.time.max.ms=3000\n\
    auto.leader.rebalance.enable=true\nleader.imbalance.check.interval.seconds=5\nleader.imbalance.per.broker.percentage=0\n";

/// A gateway.
pub struct Gateway {
    pub process: Process,
    pub app: SocketAddr,
    pub ops: SocketAddr,
    /// Its disk, if it has one of its own.
    pub disk: Option<Disk>,
}

/// A member of the group.
pub struct Member {
    pub process: Process,
    pub ops: SocketAddr,
    pub config: PathBuf,
}

/// The engine.
pub struct Engine {
    pub process: Process,
    pub address: SocketAddr,
    data_dir: PathBuf,
}

/// All of it.
pub struct Stack {
    pub simulator: simulator::Simulator,
    pub gateways: [Gateway; 2],
    pub members: [Member; 2],
    pub cluster: Cluster,
    pub doors: Vec<Proxy>,
    pub engine: Engine,
    /// Where everything lies; it goes last.
    _folder: Folder,
}

/// A folder that goes with the test, or one that was named and stays.
pub enum Folder {
    Scratch(TempDir),
    Named(PathBuf),
}

impl Folder {
    fn of(size: &Size) -> Self {
        let Some(named) = &size.folder else {
            return Self::Scratch(tempfile::tempdir().expect("a scratch directory"));
        };
        std::fs::create_dir_all(named).expect("a folder can be made");
        let mut inside = named.read_dir().expect("a folder can be read");
        assert!(inside.next().is_none(), "{} is not empty", named.display());
        Self::Named(named.clone())
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Scratch(folder) => folder.path(),
            Self::Named(folder) => folder,
        }
    }
}

impl Stack {
    /// Starts everything, and waits until all of it serves.
    pub async fn start(size: &Size, provider: simulator::Settings) -> Self {
        let folder = Folder::of(size);
        let config = simulator::Config {
            settings: provider,
            ..simulator::Config::default()
        };
        let simulator = simulator::Simulator::start(config).expect("the simulator starts");
        let doors: Vec<Door> = (0..NODES)
            .map(|_| Door {
                outside: free_address(),
                inside: free_address(),
            })
            .collect();
        let mut proxies = Vec::new();
        for door in &doors {
            proxies.push(Proxy::start(door.outside, door.inside).await);
        }
        let mut engine = engine(folder.path());
        engine.process.start(None);
        let brokers = Brokers {
            properties: BROKERS.to_owned(),
            doors,
            folder: Some(folder.path().join("brokers")),
            ..Brokers::default()
        };
        let cluster = Cluster::start_with(NODES, &brokers).await;
        engine.client().await;
        let servers = cluster.servers();
        let url = simulator.base_url();
        let mut stack = Self {
            gateways: [
                gateway(folder.path(), "gateway-1", &servers, &url, None),
                gateway(folder.path(), "gateway-2", &servers, &url, Some(CLOCK_OFF)),
            ],
            members: ["consumer-1", "consumer-2"]
                .map(|name| member(folder.path(), name, &servers, engine.address, size)),
            simulator,
            cluster,
            doors: proxies,
            engine,
            _folder: folder,
        };
        stack.well().await;
        stack
    }

    /// Starts what does not run, and waits until all of it is well.
    pub async fn well(&mut self) {
        self.engine.process.ensure();
        self.engine.client().await;
        for gateway in &mut self.gateways {
            gateway.process.ensure();
        }
        for gateway in &mut self.gateways {
            gateway.ready().await;
        }
        for member in &mut self.members {
            member.process.ensure();
        }
        share(&mut self.members).await;
    }

    /// A view of the usage topic.
    pub fn view(&self) -> TopicView {
        TopicView::new(&self.cluster.servers(), usage_topic())
    }
}

pub fn usage_topic() -> String {
    Topic::Usage.name(PREFIX)
}

/// Waits until both members have partitions, and together all of them.
pub async fn share(members: &mut [Member; 2]) {
    eventually("both consumers have partitions", async || {
        let [one, two] = members;
        one.process.running();
        two.process.running();
        let (one, two) = tokio::join!(partitions(one.ops), partitions(two.ops));
        let all = one.len() + two.len();
        (!one.is_empty() && !two.is_empty() && all == PARTITIONS).then_some(())
    })
    .await;
}

impl Gateway {
    /// Waits until it serves.
    pub async fn ready(&mut self) {
        eventually("a gateway is ready", async || {
            self.process.running();
            let asked = reqwest::get(format!("http://{}/readyz", self.ops)).await;
            asked.ok()?.status().is_success().then_some(())
        })
        .await;
    }

    /// A metric without labels, `tollgate_` left out.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        metric(self.ops, name).await
    }
}

/// A metric without labels, `tollgate_` left out.
async fn metric(ops: SocketAddr, name: &str) -> Option<f64> {
    let answer = reqwest::get(format!("http://{ops}/metrics")).await.ok()?;
    let text = answer.text().await.ok()?;
    let wanted = format!("tollgate_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&wanted))?;
    value.trim().parse().ok()
}

impl Engine {
    /// A client who may read and write; waits until the engine answers.
    pub async fn client(&self) -> Client {
        let data_dir = DataDir::new(self.data_dir.clone());
        let url = format!("http://{}", self.address);
        eventually("the engine answers", async || {
            let credentials = Credentials::open_or_create(&data_dir).ok()?;
            let password = credentials.of(User::Writer).clone();
            let name = User::Writer.name();
            let client = Client::connect(url.clone(), name, password, store::DATABASE);
            client.in_database("system").ping().await.ok()?;
            Some(client)
        })
        .await
    }
}

fn engine(folder: &Path) -> Engine {
    let data_dir = folder.join("engine");
    std::fs::create_dir_all(&data_dir).expect("a folder can be made");
    let address = free_address();
    let dir = data_dir.clone();
    let command = move || {
        let mut command = Command::new(tollgate());
        command.args(["engine", "--data-dir"]).arg(&dir);
        command.args(["--port", &address.port().to_string()]);
        command
    };
    Engine {
        process: Process::new("engine", folder.join("engine.log"), None, command),
        address,
        data_dir,
    }
}

fn kafka(servers: &str) -> String {
    format!(
        "[log.kafka]\nbootstrap = \"{servers}\"\ntopic_prefix = \"{PREFIX}\"\npartitions = {PARTITIONS}\n\
         replication = {NODES}\nmin_in_sync = 2\nack_timeout_ms = 1000\ngroup = \"{GROUP}\"\n"
    )
}

/// A gateway; the one whose clock is wrong also has a disk of its own.
fn gateway(
    folder: &Path,
    name: &str,
    servers: &str,
    provider: &str,
    clock: Option<&str>,
) -> Gateway {
    let (app, ops) = (free_address(), free_address());
    let home = folder.join(name);
    std::fs::create_dir_all(&home).expect("a folder can be made");
    let setup = Setup {
        durability: ["written", "synced", "replicated"],
        ..Setup::default()
    };
    let mut text = setup.toml(app, ops, provider);
    text = text.replace(
        "segment_mib = 16",
        &format!("segment_mib = {SEGMENT_MIB}\nkeep_mib = 64"),
    );
    write!(text, "\n{}", kafka(servers)).expect("a text grows");
    let config = home.join("tollgate.toml");
    std::fs::write(&config, text).expect("a configuration can be written");
    let disk = clock.map(|_| Disk::at(&home.join("data")));
    let entry = disk.as_ref().map(Disk::entry);
    let command = move || {
        let program = tollgate();
        let mut command =
            entry.map_or_else(|| Command::new(program), |entry| entry.command(program));
        command.args(["gateway", "--config"]).arg(&config);
        command
    };
    Gateway {
        process: Process::new(name, folder.join(format!("{name}.log")), clock, command),
        app,
        ops,
        disk,
    }
}

fn member(folder: &Path, name: &str, servers: &str, engine: SocketAddr, size: &Size) -> Member {
    let ops = free_address();
    let password = DataDir::new(folder.join("engine"))
        .secrets()
        .join("engine-writer");
    let text = format!(
        "data_dir = \"{name}\"\n{}[store]\nurl = \"http://{engine}\"\nuser = \"{}\"\npassword_file = \"{}\"\n\
         [consumer]\ngroup = \"{GROUP}\"\nsession_timeout_ms = {}\nops = \"{ops}\"\naudit_seconds = 20\n",
        kafka(servers),
        User::Writer.name(),
        password.display(),
        Duration::as_millis(&size.session),
    );
    let config = folder.join(format!("{name}.toml"));
    std::fs::write(&config, text).expect("a configuration can be written");
    let path = config.clone();
    let command = move || {
        let mut command = Command::new(tollgate());
        command.args(["consumer", "--config"]).arg(&path);
        command
    };
    Member {
        process: Process::new(name, folder.join(format!("{name}.log")), None, command),
        ops,
        config,
    }
}
