//! What gateways and consumers of two versions share: one broker, one engine, one provider; and what is waited for. What a test
//! does with them must not live here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;

use store::{Client, Credentials, DataDir, User};
use tempfile::TempDir;
use tests::{Cluster, Setup, TopicView, Truth, command, eventually, free_address, tollgate};

use crate::node::{Node, run};
use crate::versions::Version;

pub(crate) const PARTITIONS: usize = 3;
/// How often completeness is asked for, and how many times at most: the last claims may be on their way.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_AT_MOST: usize = 30;
/// Long after today: every claim is due.
const LATER: &str = "2199-01-01T00:00:00Z";

pub(crate) struct Fleet {
    pub client: Client,
    cluster: Cluster,
    simulator: simulator::Simulator,
    engine: Child,
    engine_address: SocketAddr,
    folder: TempDir,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        Version::build();
        let folder = tempfile::tempdir().expect("a scratch directory");
        let engine_address = free_address();
        let data_dir = folder.path().join("data");
        std::fs::create_dir_all(&data_dir).expect("a folder can be made");
        let mut engine = Command::new(tollgate());
        engine.args(["engine", "--data-dir"]).arg(&data_dir);
        engine.args(["--port", &engine_address.port().to_string()]);
        let engine = run(engine, &folder.path().join("engine.log"));
        let cluster = Cluster::start(1).await;
        let simulator = simulator::Simulator::start(simulator::Config::default());
        let client = eventually("the engine answers", async || {
            let credentials = Credentials::open_or_create(&DataDir::new(&data_dir)).ok()?;
            let client = Client::connect(
                format!("http://{engine_address}"),
                User::Writer.name(),
                credentials.of(User::Writer).clone(),
                store::DATABASE,
            );
            client.in_database("system").ping().await.ok()?;
            Some(client)
        })
        .await;
        Self {
            client,
            cluster,
            simulator: simulator.expect("the simulator starts"),
            engine,
            engine_address,
            folder,
        }
    }

    /// What the provider did.
    pub(crate) fn truth(&self) -> Truth {
        Truth::of(&self.simulator)
    }

    fn log_section(&self) -> String {
        format!(
            "[log.kafka]\nbootstrap = \"{}\"\ntopic_prefix = \"t.\"\nreplication = 1\nmin_in_sync = 1\npartitions = {PARTITIONS}\n",
            self.cluster.servers()
        )
    }

    pub(crate) async fn gateway(&self, name: &str, version: Version) -> Node {
        let (app, ops) = (free_address(), free_address());
        let folder = self.folder.path().join(name);
        let setup = Setup {
            // Long enough for every app to have had an answer on each of its connections.
            gateway: "unready_ms = 1000".to_owned(),
            ..Setup::default()
        };
        let setup = setup.toml(app, ops, &self.simulator.base_url());
        let text = format!("{setup}\n{}", self.log_section());
        let mut node = Node::new("gateway", &folder, &text, [app, ops]);
        node.begin(version).await;
        node
    }

    pub(crate) async fn consumer(&self, name: &str, version: Version) -> Node {
        let ops = free_address();
        let folder = self.folder.path().join(name);
        let password = DataDir::new(self.folder.path().join("data"))
            .secrets()
            .join("engine-writer");
        let text = format!(
            "data_dir = \"data\"\n{}\n[store]\nurl = \"http://{}\"\nuser = \"{}\"\npassword_file = \"{}\"\n\
             [consumer]\nsession_timeout_ms = 6000\nops = \"{ops}\"\n",
            self.log_section(),
            self.engine_address,
            User::Writer.name(),
            password.display(),
        );
        let mut node = Node::new("consumer", &folder, &text, [ops, ops]);
        node.begin(version).await;
        node
    }

    /// One number.
    pub(crate) async fn count(&self, sql: &str) -> u64 {
        self.client.query(sql).fetch_one().await.expect("an answer")
    }

    /// Holds each of these figures against what it must be.
    pub(crate) async fn holds(&self, figures: &[(&str, &str, u64)]) {
        for (what, sql, wanted) in figures {
            assert_eq!(self.count(sql).await, *wanted, "{what}");
        }
    }

    /// The end of a period that holds everything so far, once gateways have spoken after it: then it can be judged for good.
    pub(crate) async fn spoken_past(&self) -> String {
        let end = runtime::clock::now_us() / 1_000_000 + 1;
        eventually("gateways speak after the end of the period", async || {
            let sql = format!(
                "SELECT toUInt64(uniqExact(producer) = uniqExactIf(producer, toUnixTimestamp(clock) > {end})) \
                 FROM producer_log WHERE kind = 'heartbeat'"
            );
            (self.count(&sql).await == 1).then_some(())
        })
        .await;
        let end = chrono::DateTime::from_timestamp(end, 0).expect("a time");
        end.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Waits until the audit says of everything up to there that nothing is missing and nothing was changed.
    ///
    /// # Panics
    /// If it does not come to say so.
    pub(crate) async fn is_complete(&self, consumer: &Node, end: &str) {
        let period = format!("2026-01-01T00:00:00Z/{end}");
        let arguments = [
            "audit",
            "completeness",
            "--period",
            &period,
            "--as-of",
            LATER,
        ];
        let mut tick = tokio::time::interval(ASK_EVERY);
        let mut said = String::new();
        for _ in 0..ASK_AT_MOST {
            tick.tick().await;
            let ended = command::run(&arguments, consumer.config()).await;
            if ended.code == Some(0) {
                return;
            }
            said = ended.out + &ended.err;
        }
        panic!("the audit finds faults: {said}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop((self.engine.kill(), self.engine.wait()));
    }
}

/// Waits until these have all partitions between them, each some.
pub(crate) async fn share(consumers: &[&Node]) {
    eventually("the consumers share the partitions", async || {
        let mut all = 0;
        for consumer in consumers {
            let count = consumer.partitions().await.len();
            (count > 0).then_some(())?;
            all += count;
        }
        (all == PARTITIONS).then_some(())
    })
    .await;
}

/// Waits until everything that stood in the topic when this began is in the store: of every partition, not of their sum.
pub(crate) async fn caught_up(fleet: &Fleet, consumers: &[&Node]) {
    let topic = TopicView::new(&fleet.cluster.servers(), "t.usage.v1");
    let ends = eventually("the brokers say where the topic ends", async || {
        topic.ends(i32::try_from(PARTITIONS).expect("a few")).await
    })
    .await;
    eventually("what was written before is in the store", async || {
        let mut committed = BTreeMap::new();
        for consumer in consumers {
            let all = consumer.partitions().await;
            committed.extend(all.into_iter().map(|(number, at)| (number, at.committed)));
        }
        let has = |(number, end): (&i32, &i64)| committed.get(number).is_some_and(|at| at >= end);
        ends.iter().all(has).then_some(())
    })
    .await;
}
