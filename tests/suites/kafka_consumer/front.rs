//! What stands before the store and looks at every call: it notes what inserts ask for, refuses them or keeps their answers back at a
//! word, and hands on everything else as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::member::Member;
use super::stand::{SESSION, Stand};

/// No call of a test is larger.
const MAX_BODY_BYTES: usize = 64 << 20;
/// What is asked of a server that has replicas. The one behind has none, and does not take them.
pub(crate) const OF_REPLICAS: [&str; 2] = ["insert_quorum", "insert_quorum_timeout"];

/// An insert as it came.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    /// Its settings, by their names.
    pub settings: BTreeMap<String, String>,
    /// Whether the server has taken it.
    pub is_taken: bool,
}

/// What the token of an insert names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub table: String,
    pub partition: i32,
    pub first: i64,
    pub last: i64,
}

impl Insert {
    pub(crate) fn token(&self) -> &str {
        let token = self.settings.get("insert_deduplication_token");
        token.map_or("", String::as_str)
    }

    /// The batch that it is a part of; none where it is of no batch.
    pub(crate) fn batch(&self) -> Option<Batch> {
        // The table, the topic, the partition, the places, the month, the epoch of a repair.
        let (table, _) = self.token().split_once('/')?;
        let mut words = self.token().rsplit('/').skip(2);
        let (first, last) = words.next()?.split_once('-')?;
        Some(Batch {
            table: table.to_owned(),
            partition: words.next()?.parse().ok()?,
            first: first.parse().ok()?,
            last: last.parse().ok()?,
        })
    }
}

/// Stands before a server. Dropping it closes its connections.
pub(crate) struct Front {
    address: SocketAddr,
    desk: Arc<Desk>,
    _serving: JoinSet<()>,
}

/// What it notes, and what it is told.
struct Desk {
    /// Where the server is.
    inside: String,
    http: reqwest::Client,
    inserts: Mutex<Vec<Insert>>,
    /// The names of settings that came with other calls.
    others: Mutex<BTreeSet<String>>,
    /// What inserts are answered instead of being handed on.
    refusal: Mutex<Option<&'static str>>,
    /// What the next insert is answered when the server has taken it.
    doubt: Mutex<Option<&'static str>>,
    /// Whether answers to inserts are kept back.
    holds: watch::Sender<bool>,
}

impl Front {
    /// Before the server of an address.
    pub(crate) async fn start(inside: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let http = reqwest::Client::builder().no_proxy().build();
        let desk = Arc::new(Desk {
            inside,
            http: http.expect("an HTTP client"),
            inserts: Mutex::default(),
            others: Mutex::default(),
            refusal: Mutex::default(),
            doubt: Mutex::default(),
            holds: watch::Sender::new(false),
        });
        let router = Router::new().fallback(pass).with_state(desk.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            desk,
            _serving: serving,
        }
    }

    /// A member whose store is behind this; `more` are further settings of its store.
    pub(crate) fn member(&self, stand: &Stand, name: &str, more: &str) -> Member {
        Member::start_with(stand, name, |text| {
            let text = text.replace(&stand.engine_url(), &format!("http://{}", self.address));
            // A call that waits here is not to cost it its place in the group.
            let short = format!("session_timeout_ms = {}", SESSION.as_millis());
            let text = text.replace(&short, "session_timeout_ms = 30000");
            text.replace("[store]\n", &format!("[store]\n{more}"))
        })
    }

    /// All inserts so far, in the order in which they came.
    pub(crate) fn inserts(&self) -> Vec<Insert> {
        self.desk.inserts.lock().clone()
    }

    /// The names of settings that came with anything but inserts.
    pub(crate) fn others(&self) -> BTreeSet<String> {
        self.desk.others.lock().clone()
    }

    /// From now on inserts are answered so, and the server does not see them; or it sees them again.
    pub(crate) fn refuse(&self, words: Option<&'static str>) {
        *self.desk.refusal.lock() = words;
    }

    /// The next insert that the server takes is answered so.
    pub(crate) fn doubt(&self, words: &'static str) {
        *self.desk.doubt.lock() = Some(words);
    }

    /// Answers to inserts are kept back until they are not.
    pub(crate) fn hold(&self, holds: bool) {
        self.desk.holds.send_replace(holds);
    }
}

async fn pass(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return said(StatusCode::BAD_REQUEST, "the body broke off");
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let url: Result<reqwest::Url, _> = format!("{}{path}", desk.inside).parse();
    let mut url = url.expect("an address");
    let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    if OF_REPLICAS.iter().any(|name| pairs.contains_key(*name)) {
        let rest = pairs.iter();
        let rest = rest.filter(|(name, _)| !OF_REPLICAS.contains(&name.as_str()));
        url.query_pairs_mut().clear().extend_pairs(rest);
    }
    // Of an insert with rows alone the statement is in the address.
    let query = pairs.get("query");
    let is_insert = query.is_some_and(|query| query.starts_with("INSERT "));
    let number = is_insert.then(|| desk.note(pairs.clone()));
    if number.is_none() {
        desk.others.lock().extend(pairs.into_keys());
    }
    let refusal = *desk.refusal.lock();
    if let (Some(_), Some(words)) = (number, refusal) {
        return said(StatusCode::INTERNAL_SERVER_ERROR, words);
    }

    let handed = desk.http.request(head.method, url);
    let handed = handed.headers(passed(&head.headers)).body(body).send();
    let Ok(answer) = handed.await else {
        return said(StatusCode::BAD_GATEWAY, "the server is away");
    };
    let (status, headers) = (answer.status(), passed(answer.headers()));
    let Ok(bytes) = answer.bytes().await else {
        return said(StatusCode::BAD_GATEWAY, "the answer broke off");
    };
    if let Some(number) = number {
        desk.inserts.lock()[number].is_taken = status.is_success();
        let doubt = desk.doubt.lock().take();
        if let Some(words) = doubt {
            return said(StatusCode::INTERNAL_SERVER_ERROR, words);
        }
        let mut holds = desk.holds.subscribe();
        if holds.wait_for(|holds| !holds).await.is_err() {
            return said(StatusCode::BAD_GATEWAY, "it is over");
        }
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Desk {
    /// Notes an insert; its number.
    fn note(&self, settings: BTreeMap<String, String>) -> usize {
        let mut inserts = self.inserts.lock();
        inserts.push(Insert {
            settings,
            is_taken: false,
        });
        inserts.len() - 1
    }
}

/// Headers but for those of one connection.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}

fn said(status: StatusCode, words: &'static str) -> Response {
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = status;
    response
}
