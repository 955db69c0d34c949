//! The ClickHouse that the contract is held against: the one that is named by the environment, or the embedded engine, served as
//! the product serves it. A database of its own for each test. No claim about behaviour lives here.

use std::process::{Child, Command, Stdio};

use store::{Client, Credentials, DataDir, Password, User};
use tempfile::TempDir;
use tests::{eventually, free_address, tollgate};

/// A ClickHouse with an empty database, gone with the test.
pub(crate) struct StoreUnderTest {
    /// Who may write, in the database.
    pub client: Client,
    /// Who may only read, in the database.
    pub reader: Client,
    pub database: String,
    url: String,
    writer: (String, Password),
    http: reqwest::Client,
    own: Option<(Child, TempDir)>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// ClickHouse's number of the error, as the head says it.
    pub code: Option<String>,
    /// `None` if the connection broke off before the end.
    pub body: Option<Vec<u8>>,
}

impl StoreUnderTest {
    pub(crate) async fn start() -> Self {
        let name = |suffix: &str| format!("contract_{:016x}{suffix}", rand::random::<u64>());
        let (database, reading) = (name(""), name("_reader"));
        let given = std::env::var("CLICKHOUSE_URL").ok();
        let (url, writer, reader, own) = match given {
            Some(url) => {
                let variable = |name: &str| std::env::var(name).ok();
                let user = variable("CLICKHOUSE_USER").unwrap_or_else(|| "default".to_owned());
                let password = variable("CLICKHOUSE_PASSWORD").unwrap_or_default();
                let writer = (user, Password::new(password));
                let reader = (reading.clone(), Password::new(name("")));
                (url, writer, reader, None)
            }
            None => embedded().await,
        };
        let connect = |(user, password): &(String, Password)| {
            Client::connect(&*url, user, password.clone(), &database)
        };
        let client = connect(&writer);
        let outside = client.in_database("system");
        let mut statements = vec![format!("CREATE DATABASE {database} ENGINE = Atomic")];
        if own.is_none() {
            let password = reader.1.expose();
            statements.push(format!(
                "CREATE USER {reading} IDENTIFIED BY '{password}' SETTINGS readonly = 1"
            ));
            statements.push(format!("GRANT SELECT ON {database}.* TO {reading}"));
        }
        for statement in statements {
            let ran = outside.statement(&statement).execute().await;
            ran.expect("the user may make databases and users");
        }
        let http = reqwest::Client::builder().no_proxy().build();
        Self {
            reader: connect(&reader),
            client,
            database,
            url,
            writer,
            http: http.expect("an HTTP client"),
            own,
        }
    }

    /// Whether it is the embedded engine.
    pub(crate) fn is_embedded(&self) -> bool {
        self.own.is_some()
    }

    /// The same place by another name and password.
    pub(crate) fn as_user(&self, user: &str, password: &str) -> Client {
        Client::connect(&*self.url, user, Password::new(password), &self.database)
    }

    pub(crate) async fn run(&self, sql: &str) {
        let ran = self.client.statement(sql).execute().await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A result's text, without the last line's end.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let bytes = self.client.query_bytes(sql, "TabSeparated").await;
        let bytes = bytes.unwrap_or_else(|error| panic!("{sql}: {error}"));
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    /// The status that somebody sees who only looks whether anything is there, without a name.
    pub(crate) async fn head(&self, path: &str) -> u16 {
        let url = reqwest::Url::parse(&self.url).expect("a URL");
        let url = url.join(path).expect("a path");
        let answer = self.http.head(url).send().await;
        answer.expect("an answer's head").status().as_u16()
    }

    /// A request as any program can make it: the query and settings in the URL, rows in the body.
    pub(crate) async fn post(
        &self,
        pairs: &[(&str, &str)],
        encoding: Option<&str>,
        body: Vec<u8>,
    ) -> Answer {
        let mut url = reqwest::Url::parse(&self.url).expect("a URL");
        url.query_pairs_mut()
            .append_pair("database", &self.database)
            .extend_pairs(pairs);
        let (user, password) = &self.writer;
        let mut request = self.http.post(url).body(body);
        request = request.basic_auth(user, Some(password.expose()));
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let response = request.send().await.expect("an answer's head");
        let code = response.headers().get("x-clickhouse-exception-code");
        let code = code.map(|code| String::from_utf8_lossy(code.as_bytes()).into_owned());
        Answer {
            status: response.status().as_u16(),
            code,
            body: response.bytes().await.ok().map(|bytes| bytes.to_vec()),
        }
    }
}

type Found = (
    String,
    (String, Password),
    (String, Password),
    Option<(Child, TempDir)>,
);

async fn embedded() -> Found {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (data_dir, address) = (folder.path().join("data"), free_address());
    std::fs::create_dir_all(&data_dir).expect("a folder can be made");
    let log = std::fs::File::create(folder.path().join("engine.log")).expect("a log");
    let child = Command::new(tollgate())
        .args(["engine", "--data-dir"])
        .arg(&data_dir)
        .args(["--port", &address.port().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program under test starts");
    let url = format!("http://{address}");
    let known = DataDir::new(&data_dir);
    let of = eventually("the engine answers", async || {
        let credentials = Credentials::open_or_create(&known).ok()?;
        let of = |user: User| (user.name().to_owned(), credentials.of(user).clone());
        let (writer, reader) = (of(User::Writer), of(User::Reader));
        let client = Client::connect(&*url, &writer.0, writer.1.clone(), "system");
        client.ping().await.ok()?;
        Some((writer, reader))
    })
    .await;
    (url, of.0, of.1, Some((child, folder)))
}

impl Drop for StoreUnderTest {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            drop((child.kill(), child.wait()));
            return;
        }
        let outside = self.client.in_database("system");
        let database = self.database.clone();
        // A server that was given is left as it was.
        let tidying = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let drop_database = format!("DROP DATABASE {database}");
                drop(outside.statement(&drop_database).execute().await);
            });
        });
        drop(tidying.join());
    }
}
