//! The ClickHouse client: the official crate behind our errors, our deadlines and, for the embedded engine, its moving
//! address. The only place, with `insert`, that names the crate's client.

use crate::DataDir;
use crate::error::StoreError;
use crate::running::Endpoint;
use crate::secrets::Password;
use crate::supervisor::{State, current_url};
use bytes::Bytes;
use clickhouse::sql::Bind;
use clickhouse::{RowOwned, RowRead};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a query may take unless its caller says otherwise.
pub const DEFAULT_QUERY_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a server waits for its replicas; less than an insert may take.
const QUORUM_TIMEOUT_MS: &str = "30000";

/// The most that a query of a bounded client brings, in bytes; the embedded engine gives a reader no more either.
const BOUNDED_RESULT_BYTES: &str = "268435456";

/// Where ClickHouse is.
#[derive(Debug, Clone)]
pub enum WhereIs {
    /// A server, or an engine that stays where it is.
    Fixed(String),
    /// The embedded engine, whose port changes with each start.
    Supervised(watch::Receiver<State>),
    /// The engine that another process runs on a data directory, looked up again for each call.
    Running(DataDir),
}

/// Speaks to ClickHouse as one user, in one database. Clones share connections; they belong on one runtime.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    longest: Duration,
}

#[derive(Debug)]
struct Shared {
    where_is: WhereIs,
    user: String,
    password: Password,
    database: String,
    /// Settings of every insert, beside those that make it one block.
    of_inserts: Vec<(&'static str, String)>,
    /// The crate's client for the address it was made for.
    current: Mutex<Option<(Arc<str>, Official)>>,
    /// Columns of tables that rows went into, and their types.
    tables: Mutex<HashMap<String, Arc<Types>>>,
}

/// The types of a table's columns, as the table has them.
pub(crate) type Types = HashMap<String, String>;

/// The crate's client; its `Debug` would show the password.
struct Official(clickhouse::Client);

impl std::fmt::Debug for Official {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("clickhouse::Client")
    }
}

impl Client {
    /// Speaks to a server by URL (`http://host:port`).
    pub fn connect(url: impl Into<String>, user: &str, password: Password, database: &str) -> Self {
        Self::new(WhereIs::Fixed(url.into()), user, password, database)
    }

    pub(crate) fn new(where_is: WhereIs, user: &str, password: Password, database: &str) -> Self {
        let (user, database) = (user.to_owned(), database.to_owned());
        Self::of(Shared {
            where_is,
            user,
            password,
            database,
            of_inserts: Vec::new(),
            current: Mutex::new(None),
            tables: Mutex::default(),
        })
    }

    fn of(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            longest: Duration::MAX,
        }
    }

    /// The same for those who answer strangers: whatever the caller allows, no query takes longer than this, and none
    /// brings more than 256 MiB.
    #[must_use]
    pub fn bounded(&self, longest: Duration) -> Self {
        Self {
            shared: self.shared.clone(),
            longest,
        }
    }

    /// The same, where an insert counts once so many replicas have it; 0 is what the server's own settings say.
    #[must_use]
    pub fn with_quorum(&self, replicas: u32) -> Self {
        let of_inserts = match replicas {
            0 => Vec::new(),
            _ => vec![
                ("insert_quorum", replicas.to_string()),
                ("insert_quorum_timeout", QUORUM_TIMEOUT_MS.to_owned()),
            ],
        };
        let shared = Shared {
            of_inserts,
            ..self.another(self.database())
        };
        Self::of(shared).bounded(self.longest)
    }

    pub(crate) fn of_inserts(&self) -> &[(&'static str, String)] {
        &self.shared.of_inserts
    }

    /// The same with connections of its own. A connection is served by the runtime that opened it: whoever runs on another, which
    /// may rest or end, would wait with it.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::of(self.another(self.database())).bounded(self.longest)
    }

    fn another(&self, database: &str) -> Shared {
        let shared = &self.shared;
        Shared {
            where_is: shared.where_is.clone(),
            user: shared.user.clone(),
            password: shared.password.clone(),
            database: database.to_owned(),
            of_inserts: shared.of_inserts.clone(),
            current: Mutex::new(None),
            tables: Mutex::default(),
        }
    }

    /// The database that unqualified names mean.
    pub fn database(&self) -> &str {
        &self.shared.database
    }

    /// The same user and place, in another database.
    #[must_use]
    pub fn in_database(&self, database: &str) -> Self {
        Self::of(self.another(database)).bounded(self.longest)
    }

    /// Forgets what is known of tables' columns; after a migration.
    pub fn forget_tables(&self) {
        *self.shared.current.lock() = None;
        self.shared.tables.lock().clear();
    }

    /// Forgets what is known of one table's columns.
    pub(crate) fn forget_table(&self, table: &str) {
        self.shared.tables.lock().remove(table);
    }

    /// The types of a table's columns, asked for once.
    pub(crate) async fn types_of(&self, table: &str) -> Result<Arc<Types>, StoreError> {
        if let Some(known) = self.shared.tables.lock().get(table) {
            return Ok(known.clone());
        }
        let sql = "SELECT name, type FROM system.columns WHERE database = ? AND table = ?";
        let asked = self.query(sql).bind(self.database()).bind(table);
        let found: Vec<(String, String)> = asked.fetch_all().await?;
        if found.is_empty() {
            let database = self.database();
            return Err(StoreError::rejected(format!(
                "there is no table {database}.{table}; `tollgate migrate` makes those of this version"
            )));
        }
        let types = Arc::new(Types::from_iter(found));
        self.shared
            .tables
            .lock()
            .insert(table.to_owned(), types.clone());
        Ok(types)
    }

    pub(crate) fn official(&self) -> Result<clickhouse::Client, StoreError> {
        let shared = &self.shared;
        let url: Arc<str> = match &shared.where_is {
            WhereIs::Fixed(url) => Arc::from(url.as_str()),
            WhereIs::Supervised(state) => current_url(state).map_err(StoreError::Unavailable)?,
            WhereIs::Running(data_dir) => running_url(data_dir)?,
        };
        let mut current = shared.current.lock();
        match &*current {
            Some((known, client)) if *known == url => Ok(client.0.clone()),
            _ => {
                let client = clickhouse::Client::default()
                    .with_url(url.as_ref())
                    .with_user(&shared.user)
                    .with_password(shared.password.expose())
                    .with_database(&shared.database);
                *current = Some((url, Official(client.clone())));
                Ok(client)
            }
        }
    }

    /// Whether ClickHouse answers and knows us.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.query("SELECT 1")
            .timeout(Duration::from_secs(5))
            .execute()
            .await
    }

    /// A query with `?` for values to bind; write `??` for a plain question mark.
    pub fn query(&self, sql: &str) -> Query {
        Query {
            inner: self.official().map(|client| client.query(sql)),
            timeout: DEFAULT_QUERY_TIMEOUT,
            longest: self.longest,
        }
    }

    /// A statement taken as it stands, question marks and all.
    pub fn statement(&self, sql: &str) -> Query {
        self.query(&sql.replace('?', "??"))
    }

    /// All rows of a query taken as it stands.
    pub async fn fetch_all<T: RowOwned + RowRead>(&self, sql: &str) -> Result<Vec<T>, StoreError> {
        self.statement(sql).fetch_all().await
    }

    /// The bytes of a query's result in a format of ClickHouse's, the query taken as it stands.
    pub async fn query_bytes(&self, sql: &str, format: &str) -> Result<Bytes, StoreError> {
        self.statement(sql).bytes(format).await
    }
}

/// A query on its way: bind, set, run. Every way of running it has a deadline.
#[must_use = "a query does nothing until it is run"]
pub struct Query {
    inner: Result<clickhouse::query::Query, StoreError>,
    timeout: Duration,
    longest: Duration,
}

impl Query {
    fn map(
        self,
        change: impl FnOnce(clickhouse::query::Query) -> clickhouse::query::Query,
    ) -> Self {
        Self {
            inner: self.inner.map(change),
            ..self
        }
    }

    /// Puts a value, escaped, in the place of the next `?`.
    pub fn bind(self, value: impl Bind) -> Self {
        self.map(|query| query.bind(value))
    }

    /// A setting of ClickHouse for this query.
    pub fn setting(self, name: &str, value: &str) -> Self {
        self.map(|query| query.with_setting(name, value))
    }

    /// How long it may take, here and (by `max_execution_time`) in ClickHouse; past it the call is ambiguous.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// ClickHouse is told the deadline too, so that it does not go on for nobody.
    fn start(self) -> Result<(clickhouse::query::Query, Duration), StoreError> {
        let timeout = self.timeout.min(self.longest);
        let seconds = timeout.as_secs().max(1).to_string();
        let mut query = self.inner?.with_setting("max_execution_time", seconds);
        if self.longest != Duration::MAX {
            query = query.with_setting("max_result_bytes", BOUNDED_RESULT_BYTES);
        }
        Ok((query, timeout))
    }

    /// Runs it for its effect.
    pub async fn execute(self) -> Result<(), StoreError> {
        let (query, timeout) = self.start()?;
        within(timeout, query.execute()).await
    }

    /// All rows.
    pub async fn fetch_all<T: RowOwned + RowRead>(self) -> Result<Vec<T>, StoreError> {
        let (query, timeout) = self.start()?;
        within(timeout, query.fetch_all()).await
    }

    /// The one row there must be.
    pub async fn fetch_one<T: RowOwned + RowRead>(self) -> Result<T, StoreError> {
        let (query, timeout) = self.start()?;
        within(timeout, query.fetch_one()).await
    }

    /// The first row, if there is one.
    pub async fn fetch_optional<T: RowOwned + RowRead>(self) -> Result<Option<T>, StoreError> {
        let (query, timeout) = self.start()?;
        within(timeout, query.fetch_optional()).await
    }

    /// The result's bytes in a format of ClickHouse's.
    pub async fn bytes(self, format: &str) -> Result<Bytes, StoreError> {
        let (query, timeout) = self.start()?;
        let mut cursor = query.fetch_bytes(format)?;
        within(timeout, async move { cursor.collect().await }).await
    }
}

fn running_url(data_dir: &DataDir) -> Result<Arc<str>, StoreError> {
    let found = Endpoint::of_running(data_dir);
    found.map(|running| running.url.into()).ok_or_else(|| {
        StoreError::Unavailable(format!("no engine runs on {}", data_dir.root().display()))
    })
}

/// Runs a call of the crate within a deadline.
pub(crate) async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(_) => Err(StoreError::timed_out(timeout)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// A server that answers every question of a connection.
    fn answer(stream: TcpStream) {
        let mut words = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut stream = stream;
        let mut line = String::new();
        while words.read_line(&mut line).is_ok_and(|read| read > 0) {
            let is_end = line == "\r\n";
            line.clear();
            if is_end
                && stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .is_err()
            {
                return;
            }
        }
    }

    fn runtime() -> Runtime {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime")
    }

    #[test]
    fn who_runs_on_another_runtime_does_not_wait_for_one_that_rests() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        let client = Client::connect(url, "u", Password::new("p"), "d");
        let resting = runtime();
        let ask = |client: Client| async move {
            client
                .statement("SELECT")
                .timeout(Duration::from_secs(20))
                .execute()
                .await
        };
        resting.block_on(ask(client.clone())).expect("an answer");
        runtime()
            .block_on(ask(client.apart()))
            .expect("an answer, though the first runtime rests");
        drop(resting);
    }
}
