//! Real brokers for tests: Apache Kafka's own jars on this machine's Java, one combined node or several, on free ports,
//! in a scratch directory, ended with their test. No claim about behaviour, and nothing of what our topics hold.
//!
//! `KAFKA_BOOTSTRAP_SERVERS` names a broker to use instead where a test does not hurt it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::kafka_tool::java;
use crate::ports::free_address;
use crate::process::signal_process;
use crate::wait::eventually;

const VARIABLE: &str = "KAFKA_BOOTSTRAP_SERVERS";
/// Any 16 bytes in URL-safe base 64: which cluster a node belongs to.
const CLUSTER_ID: &str = "dG9sbGdhdGUtdGVzdHMxMA";
const ASK: Duration = Duration::from_secs(5);

/// What brokers are made of.
#[derive(Clone, Debug, Default)]
pub struct Brokers {
    /// Further lines of every broker's `server.properties`.
    pub properties: String,
    /// Lines for a further listener, `SECURE`, with TLS and SASL; none if empty.
    pub secure: String,
    /// Further arguments of the tool that makes a node's directory.
    pub format: Vec<String>,
    /// Which cluster it is, 16 bytes in URL-safe base 64; all are the same one if empty.
    pub cluster_id: String,
    /// Doors in front of the nodes, one each, that clients and other nodes are sent to instead.
    pub doors: Vec<Door>,
    /// Where data and logs lie, and stay; a scratch directory if absent.
    pub folder: Option<PathBuf>,
}

/// A door in front of a node.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Where it stands.
    pub outside: SocketAddr,
    /// Where the node listens.
    pub inside: SocketAddr,
}

/// A cluster of nodes, each broker and controller. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    folder: PathBuf,
    /// The folder, if nobody named one: it goes with the cluster.
    _scratch: Option<TempDir>,
}

#[derive(Debug)]
struct Node {
    id: usize,
    address: SocketAddr,
    outside: SocketAddr,
    secure: SocketAddr,
    properties: PathBuf,
    running: Option<Running>,
}

/// A broker's process, and one that kills it should this process end first.
#[derive(Debug)]
struct Running {
    broker: Child,
    watchdog: Child,
}

/// A broker to publish to: one that was named, or one of our own.
#[derive(Debug)]
pub struct Broker {
    servers: String,
    own: Option<Cluster>,
}

impl Broker {
    /// The broker that `KAFKA_BOOTSTRAP_SERVERS` names, or a new one.
    ///
    /// # Panics
    /// If it cannot be reached.
    pub async fn start() -> Self {
        if let Ok(servers) = std::env::var(VARIABLE) {
            answers(&servers, 1).await;
            return Self { servers, own: None };
        }
        let cluster = Cluster::start(1).await;
        Self {
            servers: cluster.servers(),
            own: Some(cluster),
        }
    }

    /// For `bootstrap.servers`.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Whether the broker is this test's own, to be hurt at will.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

impl Brokers {
    /// Where data and logs will lie, and what is to go with the cluster.
    fn folder(&self) -> (PathBuf, Option<TempDir>) {
        if let Some(named) = &self.folder {
            std::fs::create_dir_all(named).expect("a folder can be made");
            return (named.clone(), None);
        }
        let scratch = tempfile::tempdir().expect("a scratch directory");
        (scratch.path().to_owned(), Some(scratch))
    }

    /// Adds the further listener and the further lines to a node's properties.
    fn add_to(
        &self,
        text: &mut String,
        (address, outside, controller): (SocketAddr, SocketAddr, SocketAddr),
        secure: SocketAddr,
    ) {
        if !self.secure.is_empty() {
            let listeners = format!("listeners=APPS://{address},CONTROLLER://{controller}");
            let both = format!("{listeners},SECURE://{secure}");
            *text = text.replace(&listeners, &both);
            let advertised = format!("advertised.listeners=APPS://{outside}");
            *text = text.replace(
                &advertised,
                &format!("{advertised},SECURE://localhost:{}", secure.port()),
            );
            *text = text.replace("map=APPS:PLAINTEXT", "map=SECURE:SASL_SSL,APPS:PLAINTEXT");
        }
        // What stands further down wins.
        let more = [&self.secure, &self.properties];
        for lines in more {
            writeln!(text, "{lines}").expect("a text grows");
        }
    }
}

impl Cluster {
    /// So many nodes, which answer when this returns.
    ///
    /// # Panics
    /// If they do not start: a test that cannot reach its service fails.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, &Brokers::default()).await
    }

    /// The same with settings of one's own.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn start_with(count: usize, brokers: &Brokers) -> Self {
        let (folder, scratch) = brokers.folder();
        let address = |index| {
            let door: Option<&Door> = brokers.doors.get(index);
            door.map_or_else(free_address, |door| door.inside)
        };
        let ports: Vec<_> = (0..count)
            .map(|index| (address(index), free_address()))
            .collect();
        let voters: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(index, (_, controller))| format!("{}@{controller}", index + 1))
            .collect();
        let log4j = folder.join("log4j2.properties");
        std::fs::write(&log4j, LOG4J).expect("a file can be written");
        let mut nodes = Vec::new();
        for (index, (address, controller)) in ports.iter().enumerate() {
            let id = index + 1;
            let secure = free_address();
            let outside = brokers
                .doors
                .get(index)
                .map_or(*address, |door| door.outside);
            let properties = folder.join(format!("node-{id}.properties"));
            let data = folder.join(format!("node-{id}"));
            let replicas = count.min(3);
            let mut text = format!(
                "node.id={id}\nprocess.roles=broker,controller\nlog.dirs={data}\n\
                 listeners=APPS://{address},CONTROLLER://{controller}\nadvertised.listeners=APPS://{outside}\n\
                 inter.broker.listener.name=APPS\ncontroller.listener.names=CONTROLLER\n\
                 listener.security.protocol.map=APPS:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
                 controller.quorum.voters={voters}\nauto.create.topics.enable=false\n\
                 offsets.topic.replication.factor={replicas}\noffsets.topic.num.partitions=4\n\
                 transaction.state.log.replication.factor={replicas}\ntransaction.state.log.min.isr=1\n\
                 transaction.state.log.num.partitions=4\nshare.coordinator.state.topic.replication.factor={replicas}\n\
                 group.initial.rebalance.delay.ms=0\nbroker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\nnum.network.threads=2\nnum.io.threads=4\n\
                 log.cleaner.dedupe.buffer.size=4194304\n",
                data = data.display(),
                voters = voters.join(","),
            );
            brokers.add_to(&mut text, (*address, outside, *controller), secure);
            std::fs::write(&properties, text).expect("a file can be written");
            nodes.push(Node {
                id,
                address: *address,
                outside,
                secure,
                properties,
                running: None,
            });
        }
        let mut cluster = Self {
            nodes,
            folder,
            _scratch: scratch,
        };
        cluster.format(brokers);
        for id in 1..=count {
            cluster.start_node(id);
        }
        cluster.ready().await;
        cluster
    }

    /// For `bootstrap.servers`.
    pub fn servers(&self) -> String {
        let outside = self.nodes.iter().map(|node| node.outside.to_string());
        outside.collect::<Vec<_>>().join(",")
    }

    /// Where a node itself listens.
    pub fn address(&self, id: usize) -> SocketAddr {
        self.nodes[id - 1].address
    }

    /// For `bootstrap.servers`, by the listener with TLS and SASL.
    pub fn secure_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("localhost:{}", node.secure.port()))
            .collect();
        addresses.join(",")
    }

    /// Waits until every node that runs is part of the cluster.
    pub async fn ready(&self) {
        let running = self.nodes.iter().filter(|node| node.running.is_some());
        answers(&self.servers(), running.count()).await;
    }

    /// `kill -9` of a node; the first is number 1.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, id: usize) {
        let node = &mut self.nodes[id - 1];
        drop(node.running.take().expect("the node runs"));
    }

    /// Starts a node that was killed, on its ports and data, without waiting until it answers.
    ///
    /// # Panics
    /// If there is no Java.
    pub fn start_node(&mut self, id: usize) {
        let log = self.folder.join(format!("node-{id}.log"));
        let log4j = self.folder.join("log4j2.properties");
        let node = &mut self.nodes[id - 1];
        let open = OpenOptions::new().create(true).append(true).open(log);
        let output = open.expect("a log can be written");
        let mut command = java();
        command
            .arg("-Xmx256m")
            .arg(format!("-Dlog4j2.configurationFile={}", log4j.display()))
            .arg("kafka.Kafka")
            .arg(&node.properties)
            .stdout(output.try_clone().expect("a file has a second handle"))
            .stderr(output);
        node.running = Some(Running::start(command));
    }

    /// SIGTERM: the node hands its partitions over and ends.
    pub async fn terminate(&mut self, id: usize) {
        self.signal(id, Signal::TERM);
        eventually("the node ends", async || self.ended(id).then_some(())).await;
        self.nodes[id - 1].running = None;
    }

    /// Whether a node's process has gone.
    ///
    /// # Panics
    /// Never in a sane system.
    pub fn ended(&mut self, id: usize) -> bool {
        let Some(running) = &mut self.nodes[id - 1].running else {
            return true;
        };
        let ended = running.broker.try_wait();
        ended.expect("a child can be waited for").is_some()
    }

    /// Freezes a node: it holds its connections and answers nothing.
    pub fn freeze(&self, id: usize) {
        self.signal(id, Signal::STOP);
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self, id: usize) {
        self.signal(id, Signal::CONT);
    }

    fn signal(&self, id: usize, signal: Signal) {
        signal_process(self.pid(id), signal);
    }

    /// The process of a node.
    ///
    /// # Panics
    /// If it was killed.
    pub fn pid(&self, id: usize) -> u32 {
        let running = self.nodes[id - 1].running.as_ref();
        running.expect("the node runs").broker.id()
    }

    /// What a topic's records take on the first node's disk, in bytes, without indexes.
    ///
    /// # Panics
    /// If the node's directory cannot be read.
    pub fn disk_bytes(&self, topic: &str) -> u64 {
        let files = self.segments(topic).into_iter();
        files
            .map(|file| file.metadata().map_or(0, |data| data.len()))
            .sum()
    }

    /// The files that hold a topic's records on the first node's disk.
    ///
    /// # Panics
    /// If the node's directory cannot be read.
    pub fn segments(&self, topic: &str) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.folder.join("node-1"));
        let parts = folder
            .expect("a node has a directory")
            .flatten()
            .filter(|part| {
                let name = part.file_name();
                let (of, _) = name
                    .to_str()
                    .and_then(|name| name.rsplit_once('-'))
                    .unwrap_or_default();
                of == topic
            });
        let files = parts.flat_map(|part| std::fs::read_dir(part.path()).into_iter().flatten());
        let files = files.flatten().map(|file| file.path());
        files
            .filter(|file| file.extension().is_some_and(|end| end == "log"))
            .collect()
    }

    /// What a node logged.
    pub fn log(&self, id: usize) -> String {
        let path = self.folder.join(format!("node-{id}.log"));
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Makes the nodes' directories, all at once: each takes a second or two.
    fn format(&self, brokers: &Brokers) {
        let named = Some(brokers.cluster_id.as_str()).filter(|id| !id.is_empty());
        let format = |node: &Node| {
            let mut command = java();
            command
                .args(["-Xmx128m", "kafka.tools.StorageTool", "format", "-t"])
                .arg(named.unwrap_or(CLUSTER_ID))
                .arg("-c")
                .arg(&node.properties)
                .args(&brokers.format)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            (node.id, command.spawn().expect("Java starts"))
        };
        let formatting: Vec<(usize, Child)> = self.nodes.iter().map(format).collect();
        for (id, child) in formatting {
            let output = child.wait_with_output().expect("a child ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let words = String::from_utf8_lossy(&output.stdout).into_owned() + &said;
            assert!(
                output.status.success(),
                "node {id} could not be formatted: {words}"
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                let log = self.log(node.id);
                let lines: Vec<&str> = log.lines().rev().take(10).collect();
                eprintln!("the end of the log of node {}, backwards:", node.id);
                for line in lines {
                    eprintln!("  {line}");
                }
            }
        }
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        let broker = command.stdin(Stdio::null()).spawn().expect("Java starts");
        // Ends with this process however that ends: then its input is closed.
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 $0"])
            .arg(broker.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            broker,
            watchdog: watchdog.expect("a shell starts"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In this order: the watchdog must not outlive the number that it would kill.
        drop((self.watchdog.kill(), self.watchdog.wait()));
        drop((self.broker.kill(), self.broker.wait()));
    }
}

/// Waits until so many brokers are named in the answer to a metadata request.
async fn answers(servers: &str, count: usize) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200");
    let asker: BaseConsumer = config.create().expect("a client of Kafka");
    let asker = std::sync::Arc::new(asker);
    eventually("the brokers answer", async || {
        let asker = asker.clone();
        let asking = tokio::task::spawn_blocking(move || asker.fetch_metadata(None, ASK));
        let metadata = asking.await.expect("no panic").ok()?;
        (metadata.brokers().len() >= count).then_some(())
    })
    .await;
}

const LOG4J: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
";
