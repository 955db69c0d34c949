//! An engine of its own, a journal of its own, a consumer between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consumer::{Handle, JournalSource, Options, Status};
use journal::{Journal, RealLayer};
use schemas::RecordKind;
use store::supervisor::{State, Supervisor};
use store::{Client, User};
use tempfile::TempDir;

use super::events::{encode, event};

pub(crate) const PRODUCER: &str = "gw-1";
/// For waiting on a state that must come; only ever reached by a failing test.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) supervisor: Supervisor,
    pub(crate) client: Client,
    pub(crate) journal: Journal,
}

/// The example that cargo built beside the tests.
fn engine_program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let build = exe
        .ancestors()
        .find(|dir| dir.join("examples").is_dir())
        .unwrap();
    let program = build.join("examples/consumer_engine");
    assert!(
        program.exists(),
        "the engine's program is not built: run `cargo build -p consumer --examples`"
    );
    program
}

pub(crate) fn start_engine(data_dir: &Path) -> Supervisor {
    let library = store::engine::library_path().filter(|path| path.exists());
    assert!(
        library.is_some(),
        "the embedded engine's library is missing: run scripts/engine.sh"
    );
    let options = store::supervisor::Options {
        data_dir: data_dir.to_owned(),
        library,
        program: engine_program(),
        args: vec![data_dir.as_os_str().to_owned()],
    };
    Supervisor::start(options).unwrap()
}

pub(crate) fn open_journal(dir: &Path) -> Journal {
    Journal::open(
        journal::Options::new(dir.join("journal")),
        Arc::new(RealLayer),
    )
    .unwrap()
    .0
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = start_engine(dir.path());
        supervisor.ready(DEADLINE).await.unwrap();
        let client = supervisor.client(User::Writer, "tollgate");
        store::migrate::migrate(&client, schemas::migrations::ALL)
            .await
            .unwrap();
        let journal = open_journal(dir.path());
        Self {
            dir,
            supervisor,
            client,
            journal,
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            linger: Duration::from_millis(20),
            audit_every: Duration::from_hours(1),
            retry_first: Duration::from_millis(5),
            retry_most: Duration::from_millis(100),
            ..Options::new(self.client.clone(), self.dir.path().join("consumer.cursor"))
        }
    }

    pub(crate) fn source(&self) -> JournalSource {
        JournalSource::new(self.journal.clone(), PRODUCER)
    }

    pub(crate) fn consume(&self) -> Handle {
        consumer::spawn(self.source(), self.options()).unwrap()
    }

    pub(crate) fn append(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.append_bytes(&encode(&event(number)));
        }
    }

    pub(crate) fn append_of(&self, kind: RecordKind, bytes: &[u8]) {
        self.journal.append(kind as u8, bytes).unwrap();
    }

    pub(crate) fn append_bytes(&self, bytes: &[u8]) {
        self.append_of(RecordKind::Usage, bytes);
    }

    /// Syncs, and waits until everything is in the store.
    pub(crate) async fn settle(&self, consumer: &Handle) -> Status {
        self.journal.sync_now().await.unwrap();
        let end = i64::try_from(self.journal.synced_end()).unwrap();
        let settled = tokio::time::timeout(DEADLINE, consumer.settled(end)).await;
        assert!(
            settled.expect("the consumer does not settle"),
            "{:?}",
            consumer.status()
        );
        consumer.status()
    }

    pub(crate) async fn audit(&self, consumer: &Handle) -> Status {
        tokio::time::timeout(DEADLINE, consumer.audit())
            .await
            .expect("the audit does not end")
    }

    pub(crate) async fn count(&self, sql: &str) -> u64 {
        self.client.query(sql).fetch_one().await.unwrap()
    }

    /// Runs a statement; what changes rows that are there is done when this returns. The engine changes them when it has time for it, which is
    /// waited for apart: longer than an answer is.
    pub(crate) async fn execute(&self, sql: &str) {
        self.client.statement(sql).execute().await.unwrap();
        let under_way = "SELECT count() FROM system.mutations WHERE NOT is_done";
        let ended = Instant::now() + DEADLINE;
        while self.count(under_way).await > 0 {
            assert!(Instant::now() < ended, "not done in time: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the tables say, copies and repair epochs left out: equal content gives equal text.
    pub(crate) async fn content(&self) -> String {
        let queries = [
            "SELECT DISTINCT topic, partition, offset, fate, reason, event_id, tenant, producer, boot, producer_seq, received, \
                hex(leaf), hex(bytes) FROM audit_log ORDER BY offset",
            "SELECT * FROM usage_events FINAL ORDER BY event_id",
            "SELECT * EXCEPT (repair_epoch, digest), hex(digest) FROM cuts FINAL ORDER BY first",
        ];
        let mut content = String::new();
        for sql in queries {
            let rows = self
                .client
                .query_bytes(sql, "JSONCompactEachRow")
                .await
                .unwrap();
            content.push_str(std::str::from_utf8(&rows).unwrap());
        }
        content
    }

    pub(crate) async fn events(&self) -> u64 {
        self.count("SELECT count() FROM usage_events FINAL").await
    }

    /// The engine's process, which must be running.
    pub(crate) fn engine_pid(&self) -> Option<u32> {
        match &*self.supervisor.state().borrow() {
            State::Ready(endpoint) => Some(endpoint.pid),
            State::Starting | State::Down { .. } | State::Stopped => None,
        }
    }

    /// Ends consumer and engine in order.
    pub(crate) async fn close(self, consumer: Handle) {
        consumer.stop();
        consumer.ended().await;
        drop(tokio::task::spawn_blocking(|| consumer.join()).await);
        self.supervisor.stop().await;
    }
}
