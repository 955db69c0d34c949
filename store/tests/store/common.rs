//! An engine for a test, and ways to speak to it. No assertions about behaviour here.

use std::path::Path;
use std::time::{Duration, Instant};
use store::supervisor::{Options, Supervisor};
use store::{Client, Endpoint, User};
use tempfile::TempDir;

pub(crate) const DATABASE: &str = "tollgate";
/// Only a hanging test meets it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A supervised engine on a directory of its own.
pub(crate) struct TestEngine {
    pub(crate) supervisor: Supervisor,
    pub(crate) folder: TempDir,
}

pub(crate) fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.to_owned(),
        library: None,
        program: env!("CARGO_BIN_EXE_store-test-engine").into(),
        args: vec!["child".into(), data_dir.into()],
    }
}

impl TestEngine {
    /// Starts an engine and makes the database. Fails with the engine's own sentence, for instance that it is missing.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let supervisor = Supervisor::start(options(folder.path())).expect("passwords");
        let engine = Self { supervisor, folder };
        engine.ready().await;
        let create = engine.supervisor.client(User::Writer, "system");
        create
            .query("CREATE DATABASE IF NOT EXISTS tollgate ENGINE = Atomic")
            .execute()
            .await
            .expect("a database");
        engine
    }

    pub(crate) async fn ready(&self) -> Endpoint {
        self.supervisor
            .ready(DEADLINE)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn writer(&self) -> Client {
        self.supervisor.client(User::Writer, DATABASE)
    }

    pub(crate) fn reader(&self) -> Client {
        self.supervisor.client(User::Reader, DATABASE)
    }

    /// kill -9, then wait for the next engine.
    pub(crate) async fn kill(&self) -> Endpoint {
        let before = self.ready().await;
        kill(before.pid);
        let mut state = self.supervisor.state();
        let changed = state.wait_for(
            |state| !matches!(state, store::supervisor::State::Ready(now) if *now == before),
        );
        drop(
            tokio::time::timeout(DEADLINE, changed)
                .await
                .expect("the engine's end is noticed"),
        );
        eventually("the engine is back", async || {
            self.supervisor.ready(DEADLINE).await.ok()
        })
        .await
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.writer()
            .statement(sql)
            .execute()
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The whole result as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let bytes = self
            .writer()
            .query_bytes(sql, "TabSeparated")
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        String::from_utf8(bytes.to_vec())
            .expect("text")
            .trim_end()
            .to_owned()
    }

    /// A plain HTTP request with the password of a user.
    pub(crate) async fn http(
        &self,
        user: User,
        query: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let endpoint = self.ready().await;
        let password = self.supervisor.credentials().of(user).clone();
        let request = reqwest::Client::new()
            .post(format!("{}/?{}", endpoint.url, form(query)))
            .basic_auth(user.name(), Some(password.expose()))
            .body(body);
        send(request).await
    }
}

/// What a plain request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) text: String,
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(DEADLINE).send().await.expect("an answer");
    let status = response.status().as_u16();
    let code = response.headers().get("x-clickhouse-exception-code");
    let code = code.and_then(|code| code.to_str().ok()).map(str::to_owned);
    Answer {
        status,
        code,
        text: response.text().await.expect("a body"),
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://localhost/").expect("a url");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process to kill");
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
