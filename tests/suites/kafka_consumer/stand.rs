//! A broker, an engine and their topics and tables, to be hurt by a test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use consumer::KafkaOptions;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use runtime::kafka::{Connection, Pairs};
use schemas::topics::{Written, envelope};
use schemas::{Boot, RecordKind, Topic, UsageEvent, migrations};
use store::{Client, Credentials, DataDir, User};
use tempfile::TempDir;
use tests::{Brokers, Cluster, eventually, free_address, tollgate};

use super::events::{encode, event};
use super::member::Member;

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const GROUP: &str = "consumers";
pub(crate) const SESSION: Duration = Duration::from_secs(2);
pub(crate) const PREFIX: &str = "t.";
/// How many cuts do not begin where the one before ended.
pub(crate) const GAPS: &str = "SELECT toUInt64(countIf(first != before + 1)) FROM (SELECT first, \
    lagInFrame(last, 1, toInt64(-1)) OVER (PARTITION BY topic, partition ORDER BY first) AS before FROM cuts FINAL)";

pub(crate) struct Stand {
    pub cluster: Cluster,
    pub client: Client,
    engine: Child,
    engine_address: SocketAddr,
    producer: ThreadedProducer<DefaultProducerContext>,
    folder: TempDir,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::over(Brokers::default()).await
    }

    /// Over a broker of one's own making.
    pub(crate) async fn over(brokers: Brokers) -> Self {
        let stand = Self::without_topics(brokers).await;
        stand.make_topics().await;
        stand
    }

    /// The same for a test whose gateway makes them.
    pub(crate) async fn without_topics(mut brokers: Brokers) -> Self {
        brokers.properties += "group.min.session.timeout.ms=1000\n";
        let folder = tempfile::tempdir().expect("a scratch directory");
        let engine_address = free_address();
        let engine = start_engine(&folder.path().join("data"), engine_address);
        let cluster = Cluster::start_with(1, &brokers).await;
        let client = client(folder.path(), engine_address).await;
        store::migrate::migrate(&client, migrations::ALL.iter().copied())
            .await
            .expect("tables");
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", cluster.servers())
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("compression.type", "zstd")
            .set("reconnect.backoff.max.ms", "300");
        let producer = config.create().expect("a producer");
        Self {
            cluster,
            client,
            engine,
            engine_address,
            producer,
            folder,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where members that archive do so.
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder().join("archive")
    }

    /// Where the engine is.
    pub(crate) fn engine_url(&self) -> String {
        format!("http://{}", self.engine_address)
    }

    pub(crate) fn topic(topic: Topic) -> String {
        topic.name(PREFIX)
    }

    /// The configuration of a member.
    pub(crate) fn toml(&self, name: &str, ops: SocketAddr) -> String {
        self.toml_by(name, ops, &self.cluster.servers(), "")
    }

    /// The same by another door of the broker; `more` are further settings of it.
    pub(crate) fn toml_by(&self, name: &str, ops: SocketAddr, servers: &str, more: &str) -> String {
        let data_dir = self.folder().join(name);
        let password = DataDir::new(self.folder().join("data"))
            .secrets()
            .join("engine-writer");
        format!(
            "data_dir = \"{}\"\n\
             [log.kafka]\nbootstrap = \"{servers}\"\ntopic_prefix = \"{PREFIX}\"\npartitions = {PARTITIONS}\nreplication = 1\nmin_in_sync = 1\n{more}\n\
             [store]\nurl = \"http://{}\"\nuser = \"{}\"\npassword_file = \"{}\"\n\
             [consumer]\ngroup = \"{GROUP}\"\nsession_timeout_ms = {}\nwatch_seconds = 1\nsilent_seconds = 4\nops = \"{ops}\"\n",
            data_dir.display(),
            self.engine_address,
            User::Writer.name(),
            password.display(),
            SESSION.as_millis(),
        )
    }

    /// How the group reads the usage topic.
    pub(crate) fn options(&self) -> KafkaOptions {
        let connection = Connection {
            bootstrap: self.cluster.servers(),
            tls: None,
            sasl: None,
        };
        KafkaOptions {
            connection: Pairs::of(&connection, "test").expect("pairs"),
            group: GROUP.to_owned(),
            topic: Self::topic(Topic::Usage),
            dead_letters: Self::topic(Topic::DeadLetters),
            producers: Self::topic(Topic::Producers),
            session_timeout: SESSION,
            cluster_file: self.folder().join("log.cluster"),
            promised: None,
        }
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.servers());
        config.create().expect("an admin client")
    }

    pub(crate) async fn make_topics(&self) {
        self.make_topics_of(PREFIX).await;
    }

    /// The same for another prefix.
    pub(crate) async fn make_topics_of(&self, prefix: &str) {
        let names = [
            (Topic::Usage.name(prefix), PARTITIONS),
            (Topic::Admissions.name(prefix), PARTITIONS),
            (Topic::DeadLetters.name(prefix), 1),
            (Topic::Producers.name(prefix), 1),
        ];
        let admin = self.admin();
        for (name, partitions) in names {
            eventually("the topic is made", async || {
                let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
                let made = admin.create_topics([&topic], &AdminOptions::new()).await;
                match made.ok()?.pop()? {
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Some(()),
                    Err(_) => None,
                }
            })
            .await;
        }
    }

    /// Sends events as a gateway's publisher does.
    pub(crate) fn produce(&self, numbers: std::ops::Range<u64>) {
        self.produce_all(numbers.map(event));
    }

    /// The same of any.
    pub(crate) fn produce_all(&self, events: impl Iterator<Item = UsageEvent>) {
        for event in events {
            self.send(None, &encode(&event), |_| {});
        }
    }

    /// The same to the topic of another prefix.
    pub(crate) fn produce_of(&self, prefix: &str, numbers: std::ops::Range<u64>) {
        let topic = Topic::Usage.name(prefix);
        for event in numbers.map(event) {
            self.send_to(&topic, RecordKind::Usage, None, &encode(&event), |_| {});
        }
    }

    /// Sends a record; `change` may spoil its headers.
    pub(crate) fn send(
        &self,
        partition: Option<i32>,
        bytes: &[u8],
        change: impl FnOnce(&mut Vec<(&'static str, String)>),
    ) {
        self.send_of(RecordKind::Usage, Topic::Usage, partition, bytes, change);
    }

    /// Sends a record of any kind.
    pub(crate) fn send_of(
        &self,
        kind: RecordKind,
        topic: Topic,
        partition: Option<i32>,
        bytes: &[u8],
        change: impl FnOnce(&mut Vec<(&'static str, String)>),
    ) {
        self.send_to(&Self::topic(topic), kind, partition, bytes, change);
    }

    fn send_to(
        &self,
        topic: &str,
        kind: RecordKind,
        partition: Option<i32>,
        bytes: &[u8],
        change: impl FnOnce(&mut Vec<(&'static str, String)>),
    ) {
        let written = Written {
            producer: "gw-1",
            boot: Boot {
                counter: 1,
                nonce: [7; 8],
            },
            position: 0,
        };
        let envelope = envelope(kind, bytes, written);
        let headers = envelope.headers().into_iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        change(&mut headers);
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        let mut record = BaseRecord::to(topic)
            .key(envelope.key.as_ref())
            .payload(bytes)
            .headers(headers);
        if let Some(partition) = partition {
            record = record.partition(partition);
        }
        assert!(self.producer.send(record).is_ok(), "the queue has room");
    }

    /// Everything that was produced is in the log.
    pub(crate) async fn flush(&self) {
        let producer = self.producer.clone();
        let flushing = tokio::task::spawn_blocking(move || producer.flush(tests::DEADLINE));
        flushing
            .await
            .expect("no panic")
            .expect("the broker took all");
    }

    /// The engine's process.
    pub(crate) fn engine_pid(&self) -> u32 {
        self.engine.id()
    }

    pub(crate) fn kill_engine(&mut self) {
        self.engine.kill().expect("it runs");
        self.engine.wait().expect("it ends");
    }

    /// The engine again, where it was.
    pub(crate) async fn start_engine(&mut self) {
        self.engine = start_engine(&self.folder().join("data"), self.engine_address);
        client(self.folder(), self.engine_address).await;
    }

    pub(crate) async fn count(&self, sql: &str) -> u64 {
        self.client.query(sql).fetch_one().await.expect("an answer")
    }

    /// Waits until so many events are there, then holds all tables to the log: each record once, cuts without a gap.
    pub(crate) async fn holds_exactly(&self, events: u64, members: &[&Member]) {
        eventually("all events are in the store, and their cuts", async || {
            // The cut goes in last.
            let sql = "SELECT assumeNotNull(least((SELECT uniqExact(event_id) FROM usage_events), \
                (SELECT toUInt64(sum(events)) FROM cuts FINAL)))";
            let asked = self.client.query(sql).fetch_one::<u64>().await;
            (asked.ok()? >= events).then_some(())
        })
        .await;
        eventually("everything readable is committed", async || {
            let mut at = std::collections::BTreeMap::new();
            for member in members {
                at.extend(member.partitions().await);
            }
            let is_done = at.values().all(|at| at.committed == at.readable);
            (is_done && at.len() == PARTITIONS as usize).then_some(())
        })
        .await;
        for (what, sql, wanted) in [
            ("events", "SELECT count() FROM usage_events", events),
            (
                "events of the trail",
                "SELECT countIf(fate = 'event') FROM audit_log",
                events,
            ),
            (
                "copies in the trail",
                "SELECT toUInt64(count() - uniqExact(topic, partition, offset)) FROM audit_log",
                0,
            ),
            (
                "events of the cuts",
                "SELECT toUInt64(sum(events)) FROM cuts FINAL",
                events,
            ),
            ("gaps between cuts", GAPS, 0),
        ] {
            assert_eq!(self.count(sql).await, wanted, "{what}");
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        drop((self.engine.kill(), self.engine.wait()));
    }
}

pub(crate) fn start_engine(data_dir: &Path, address: SocketAddr) -> Child {
    std::fs::create_dir_all(data_dir).expect("a folder can be made");
    let log: PathBuf = data_dir.with_extension("log");
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log);
    let output = open.expect("a log can be written");
    // What stands there is nobody's rows.
    let noise = data_dir.with_extension("noise");
    std::fs::write(&noise, "1\tnoise\n").expect("a file can be written");
    let noise = std::fs::File::open(noise).expect("a file can be read");
    Command::new(tollgate())
        .args(["engine", "--data-dir"])
        .arg(data_dir)
        .args(["--port", &address.port().to_string()])
        .stdin(noise)
        .stdout(output.try_clone().expect("a file has a second handle"))
        .stderr(output)
        .spawn()
        .expect("the program under test starts")
}

pub(crate) async fn client(folder: &Path, address: SocketAddr) -> Client {
    let data_dir = DataDir::new(folder.join("data"));
    eventually("the engine answers", async || {
        let credentials = Credentials::open_or_create(&data_dir).ok()?;
        let client = Client::connect(
            format!("http://{address}"),
            User::Writer.name(),
            credentials.of(User::Writer).clone(),
            store::DATABASE,
        );
        client.in_database("system").ping().await.ok()?;
        Some(client)
    })
    .await
}
