//! A stack whose `tollgate up` serves the API, and a `tollgate billing` of its own on the same store. No test lives here.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::{Ask, Books, KEYS, MODELS, Setup, Stack, eventually, free_address, within};
use tokio::process::Child;

/// Tokens by reader; whoever finds one of them in a log has found a leak.
pub(crate) const FINANCE: &str = "tg-test-finance-4f1d";
pub(crate) const ACME: &str = "tg-test-acme-reader-9c2e";

/// An API, wherever it runs.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) at: SocketAddr,
    pub(crate) ops: SocketAddr,
    http: reqwest::Client,
}

/// An answer that came whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Api {
    fn new() -> Self {
        Self {
            at: free_address(),
            ops: free_address(),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
        }
    }

    /// The section of the configuration that opens it.
    pub(crate) fn toml(&self, more: &str) -> String {
        let reader = |name: &str, token: &str, tenants: &str| {
            format!(
                "\n[[billing.readers]]\nname = \"{name}\"\nsecret_sha256 = \"{}\"\ntenants = {tenants}\nmay = [\"reports\", \"audit\", \"exports\"]\n",
                hex::encode(Sha256::digest(token))
            )
        };
        format!(
            "\n[billing]\nlisten = \"{}\"\nops = \"{}\"\n{more}\n{}{}",
            self.at,
            self.ops,
            reader("finance", FINANCE, "\"all\""),
            reader("acme", ACME, "[\"acme\"]"),
        )
    }

    pub(crate) async fn try_get(&self, token: &str, path: &str) -> Option<Answer> {
        let request = self.http.get(format!("http://{}{path}", self.at));
        let answer = request.bearer_auth(token).send().await.ok()?;
        Some(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.ok()?,
        })
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.try_get(token, path).await.expect("an answer")
    }

    /// The body of a good answer.
    pub(crate) async fn good(&self, token: &str, path: &str) -> String {
        let answer = self.get(token, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Status and text of a page for operators.
    pub(crate) async fn ops(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://{}{path}", self.ops);
        let answer = self.http.get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    pub(crate) async fn ready(&self) {
        eventually("the API is ready", async || {
            self.ops("/readyz")
                .await
                .filter(|(status, _)| *status == 200)
        })
        .await;
    }
}

impl Answer {
    pub(crate) fn error_code(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).expect("JSON");
        json["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a text"))
    }
}

/// The stack, what went through it, and the API that `tollgate up` serves.
pub(crate) struct Stand {
    pub(crate) stack: Stack,
    pub(crate) api: Api,
    pub(crate) books: Books,
}

impl Stand {
    /// With requests of three tenants behind it, all of them in the store.
    pub(crate) async fn start() -> Self {
        let api = Api::new();
        let setup = Setup {
            gateway: api.toml(""),
            ..Setup::default()
        };
        let stack = Stack::start(setup).await;
        let app = stack.app();
        for (at, key) in KEYS.iter().chain(&KEYS).enumerate() {
            let ask = Ask::new(format!("n-{at}"))
                .key(*key)
                .model(MODELS[at % MODELS.len()]);
            let ask = if at % 3 == 0 { ask.streamed() } else { ask };
            let answer = app.call(&ask).await.expect("an answer");
            assert_eq!(answer.status, 200);
        }
        let mut stranger = KEYS[0];
        stranger.secret = "tg-test-nobody";
        let refused = app.call(&Ask::new("n-refused").key(stranger)).await;
        assert_eq!(refused.expect("an answer").status, 401);
        let books = stack.settled().await;
        api.ready().await;
        Self { stack, api, books }
    }
}

/// `tollgate billing` on the store of a stack, with a price book of its own.
pub(crate) struct Service {
    pub(crate) api: Api,
    pub(crate) prices: PathBuf,
    pub(crate) config: PathBuf,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it; its files lie in `folder`.
    pub(crate) fn start(folder: &Path, data_dir: &Path) -> Self {
        let api = Api::new();
        let prices = folder.join("prices.csv");
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices.csv");
        std::fs::copy(book, &prices).expect("a file can be copied");
        let config = folder.join("billing.toml");
        let text = format!(
            "data_dir = \"{}\"\nprices = \"prices.csv\"\n{}",
            data_dir.display(),
            api.toml("spool_dir = \"spool\"")
        );
        std::fs::write(&config, text).expect("a file can be written");
        let log = folder.join("billing.log");
        let output = File::create(&log).expect("a log can be written");
        let mut command = tests::command::command(&["billing"], &config);
        let command = command.stderr(output).env("TOLLGATE_LOG", "debug");
        let child = command.spawn().expect("the program under test starts");
        Self {
            api,
            prices,
            config,
            child,
            log,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log can be read")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("it runs");
    }

    /// Its exit code, when it has ended.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let ended = within("`tollgate billing` ends", self.child.wait()).await;
        ended.expect("it can be waited for").code()
    }
}
