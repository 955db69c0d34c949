//! From a request to the engine's answer: who asks, what is asked, the body taken in, a session run. It knows no sockets.

use super::auth::Gatekeeper;
use super::body::{RowsFile, read_rows, read_text};
use super::ffi::Answer;
use super::host::{EngineHost, Query};
use super::reader;
use super::refusal::Refusal;
use super::request::{Asked, Pairs, compression, form_boundary, read_form};
use super::settings::{Access, max_result_bytes, name_literal};
use super::sql::{InsertHead, Statement, classify};
use crate::User;
use hyper::body::Incoming;
use hyper::{Method, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Rows of one insert, in bytes; a cut is at most 32 MiB of records, so this leaves room for any shape of rows.
pub(super) const MAX_ROWS_BYTES: u64 = 256 << 20;
/// A statement of the writer, with rows that stand in it.
pub(super) const MAX_WRITER_TEXT_BYTES: u64 = 16 << 20;
/// A statement of the reader.
pub(super) const MAX_READER_TEXT_BYTES: u64 = 1 << 20;
/// Queries at once. The reader has its own places, so that it cannot keep the writer out.
const WRITER_PLACES: usize = 8;
const READER_PLACES: usize = 4;
/// How long a request waits for a place.
const PLACE_TIMEOUT: Duration = Duration::from_secs(20);
/// Threads that queries may hold.
pub(super) const QUERY_THREADS: usize = WRITER_PLACES + READER_PLACES;

/// All that answers requests.
pub(super) struct Desk {
    host: Arc<EngineHost>,
    gatekeeper: Gatekeeper,
    writer_places: Arc<Semaphore>,
    reader_places: Arc<Semaphore>,
}

/// An answer and the name of the format it was asked in.
pub(super) struct Served {
    pub(super) answer: Answer,
    pub(super) format: String,
    pub(super) query_id: Option<String>,
}

/// A query that is ready to run; the rows live as long as it.
struct Job {
    query: Query,
    _rows: Option<RowsFile>,
}

impl Desk {
    pub(super) fn new(host: Arc<EngineHost>, gatekeeper: Gatekeeper) -> Self {
        Self {
            host,
            gatekeeper,
            writer_places: Arc::new(Semaphore::new(WRITER_PLACES)),
            reader_places: Arc::new(Semaphore::new(READER_PLACES)),
        }
    }

    pub(super) fn gatekeeper(&self) -> &Gatekeeper {
        &self.gatekeeper
    }

    /// Answers one query request; the Host header is already checked.
    pub(super) async fn serve(&self, request: Request<Incoming>) -> Result<Served, Refusal> {
        let (head, body) = request.into_parts();
        let mut pairs = Pairs::of(&head.uri)?;
        let user = self
            .gatekeeper
            .authenticate(&head.headers, pairs.claimed())?;
        let compression = compression(&head.headers)?;
        pairs.add_headers(&head.headers);
        let query_id = pairs.query_id().map(str::to_owned);
        let access = if head.method == Method::POST {
            Access::Full
        } else {
            Access::ReadOnly
        };
        let place = self.place(user).await?;
        let text_cap = match user {
            User::Writer => MAX_WRITER_TEXT_BYTES,
            User::Reader => MAX_READER_TEXT_BYTES,
        };
        let boundary = form_boundary(&head.headers);
        if boundary.is_some() && compression.is_some() {
            return Err(Refusal::not_offered("a form that is compressed"));
        }
        let job = if let Some(boundary) = boundary {
            pairs.add_form(read_form(&read_text(body, text_cap).await?, &boundary)?);
            prepare(user, access, pairs.into_asked(user)?, &[])?
        } else {
            let asked = pairs.into_asked(user)?;
            if rows_in_body(user, &asked)? {
                insert_from_body(user, access, asked, body, compression).await?
            } else if compression.is_some() {
                return Err(Refusal::not_offered("a statement that is compressed"));
            } else {
                prepare(user, access, asked, &read_text(body, text_cap).await?)?
            }
        };
        let format = job.query.format.clone();
        let answer = self.run(job, place).await?;
        Ok(Served {
            answer,
            format,
            query_id,
        })
    }

    async fn place(&self, user: User) -> Result<OwnedSemaphorePermit, Refusal> {
        let places = match user {
            User::Writer => &self.writer_places,
            User::Reader => &self.reader_places,
        };
        match tokio::time::timeout(PLACE_TIMEOUT, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Refusal::busy()),
        }
    }

    async fn run(&self, job: Job, place: OwnedSemaphorePermit) -> Result<Answer, Refusal> {
        let host = Arc::clone(&self.host);
        // The place goes with the query, not with the request: a client that hangs up frees nothing early.
        let run = move || {
            let answer = host.run(&job.query);
            drop(place);
            answer
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(answer) => answer.map_err(|text| Refusal::from_engine(&text)),
            Err(_) => Err(Refusal::from_engine("the engine's thread was lost")),
        }
    }
}

/// Whether the URL's query is an INSERT whose rows are the body.
fn rows_in_body(user: User, asked: &Asked) -> Result<bool, Refusal> {
    if user == User::Reader || asked.query.trim().is_empty() {
        return Ok(false);
    }
    Ok(matches!(
        classify(asked.query.as_bytes())?,
        Statement::InsertData(_)
    ))
}

async fn insert_from_body(
    user: User,
    access: Access,
    asked: Asked,
    body: Incoming,
    compression: Option<&str>,
) -> Result<Job, Refusal> {
    let query = asked.query.clone();
    let Statement::InsertData(head) = classify(query.as_bytes())? else {
        return Err(Refusal::syntax("the query is not an INSERT"));
    };
    let in_query = &query.as_bytes()[head.data_at..];
    if compression.is_some() && !in_query.is_empty() {
        return Err(Refusal::not_offered(
            "rows in the query before a compressed body",
        ));
    }
    let mut rows = RowsFile::new()?;
    rows.write(in_query)?;
    read_rows(body, MAX_ROWS_BYTES, &mut rows).await?;
    insert_job(user, access, asked, &head, (rows, compression))
}

/// A query whose text is all here: the URL's, then the body's.
fn prepare(user: User, access: Access, asked: Asked, body: &[u8]) -> Result<Job, Refusal> {
    let mut sql = asked.query.clone().into_bytes();
    if !body.is_empty() {
        sql.push(b'\n');
        sql.extend_from_slice(body);
    }
    if user == User::Reader {
        reader::check(&sql)?;
    }
    if let Statement::InsertData(head) = classify(&sql)? {
        let mut rows = RowsFile::new()?;
        rows.write(&sql[head.data_at..])?;
        return insert_job(user, access, asked, &head, (rows, None));
    }
    Ok(Job {
        query: query(user, access, asked, sql),
        _rows: None,
    })
}

fn insert_job(
    user: User,
    access: Access,
    asked: Asked,
    head: &InsertHead<'_>,
    (rows, compression): (RowsFile, Option<&str>),
) -> Result<Job, Refusal> {
    // The engine would guess at an empty file's format; an insert of nothing changes nothing.
    if rows.is_empty() {
        return Err(Refusal::new(
            hyper::StatusCode::BAD_REQUEST,
            108,
            "NO_DATA_TO_INSERT",
            "No data to insert",
        ));
    }
    let InsertHead {
        target,
        settings,
        format,
        ..
    } = head;
    // Unpacked by the engine. It would guess from the file's name, which says nothing.
    let compression = compression.unwrap_or("none");
    let sql = format!(
        "{target} FROM INFILE '{}' COMPRESSION '{compression}' {settings} FORMAT {format}",
        rows.path()
    );
    Ok(Job {
        query: query(user, access, asked, sql.into_bytes()),
        _rows: Some(rows),
    })
}

fn query(user: User, access: Access, asked: Asked, sql: Vec<u8>) -> Query {
    let database = asked.database.iter();
    let mut prepare: Vec<String> = database
        .map(|name| format!("USE {}", name_literal(name)))
        .collect();
    prepare.extend(asked.settings.statements(user, access));
    Query {
        prepare,
        sql,
        format: asked.format,
        max_result_bytes: max_result_bytes(user),
    }
}
