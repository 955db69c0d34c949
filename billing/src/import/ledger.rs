//! Spend of another gateway into the store, and the proof that what stands there is what the file says.
//!
//! A row's name is (source, `source_id`). What is there already is not written again; what is there with other figures
//! stays, and is told. So an import that broke off is finished by running it again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::{Client, StoreError, Stored};

use super::decimal::Exact;
use super::litellm_spend::Naming;
use super::refused::Refused;
use super::row::{SpendRow, StoredRow};
use super::spend::{Figures, Reading, SpendError, Survey};

const TABLE: &str = "imported_spend";
/// Room for the names of a chunk of rows.
const MAX_QUERY_BYTES: &str = "16777216";

/// An import of spend did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportSpendError {
    /// The file.
    #[error(transparent)]
    Spend(#[from] SpendError),
    /// The store did not answer, or refused.
    #[error(
        "the ledger failed after {rows} rows were written: {error}; run the same import again, rows that are there are not doubled"
    )]
    Store {
        /// Rows that this run wrote.
        rows: u64,
        /// Why.
        error: StoreError,
    },
    /// The store's answer is not what was asked for.
    #[error(
        "the ledger's answer cannot be read ({0}): is the database of another version? run `tollgate migrate`"
    )]
    Answer(String),
    /// The table does not hold what the file says.
    #[error("{TABLE} does not hold what the file says: {0}; do not rely on it, and report this")]
    NotEqual(Box<Mismatch>),
    /// Another file than at first.
    #[error("the file changed while it was read: {0}; run the import again")]
    Changed(Box<Mismatch>),
}

/// Totals that should be the same and are not.
#[derive(Debug)]
pub struct Mismatch {
    wanted: Figures,
    found: Figures,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, found) = (&self.wanted, &self.found);
        write!(
            f,
            "{} rows, {} + {} tokens ({}), {} where {} rows, {} + {} tokens ({}), {} were expected",
            found.rows,
            found.input_tokens,
            found.output_tokens,
            found.total_tokens,
            found.spend,
            wanted.rows,
            wanted.input_tokens,
            wanted.output_tokens,
            wanted.total_tokens,
            wanted.spend
        )
    }
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What the file holds, with the refusals of the store beside its own.
    pub survey: Survey,
    /// Rows that were written now.
    pub written: Figures,
    /// Rows that were there before, word for word.
    pub already_there: Figures,
    /// Rows that were there before and say something else there: they were left alone.
    pub in_conflict: Figures,
    /// What the store adds up of this file's rows: `written` and `already_there` together, or there is an error.
    pub in_table: Figures,
}

/// Imports a file that was read whole before, as `first`: nothing is written of a file that cannot be read to its end. Its
/// totals are compared with the table's at the end.
pub async fn import_spend(
    client: &Client,
    path: &Path,
    naming: &Naming,
    first: &Survey,
) -> Result<Done, ImportSpendError> {
    let mut reading = Reading::open(path, naming)?;
    let mut done = Done {
        survey: Survey::default(),
        written: Figures::default(),
        already_there: Figures::default(),
        in_conflict: Figures::default(),
        in_table: Figures::default(),
    };
    let mut conflicts = Vec::new();
    while let Some(chunk) = reading.next_chunk()? {
        conflicts.extend(write(client, naming, chunk, &mut done).await?);
    }
    done.survey = reading.survey;
    same(&first.file, &done.survey.file).map_err(ImportSpendError::Changed)?;
    let expected = done
        .survey
        .taken()
        .and_then(|taken| taken.without(&done.in_conflict))
        .unwrap_or_default();
    same(&expected, &done.in_table).map_err(ImportSpendError::NotEqual)?;
    for conflict in conflicts {
        done.survey.refusals.add(conflict);
    }
    Ok(done)
}

fn same(wanted: &Figures, found: &Figures) -> Result<(), Box<Mismatch>> {
    if wanted == found {
        return Ok(());
    }
    Err(Box::new(Mismatch {
        wanted: *wanted,
        found: *found,
    }))
}

/// Writes what is new of a chunk, and adds up what the table then has of it.
async fn write(
    client: &Client,
    naming: &Naming,
    chunk: Vec<(usize, SpendRow)>,
    done: &mut Done,
) -> Result<Vec<Refused>, ImportSpendError> {
    let failed = |rows: u64| move |error| ImportSpendError::Store { rows, error };
    let names: Vec<_> = chunk.iter().map(|(_, row)| row.source_id.clone()).collect();
    let known = known(client, naming, &names)
        .await
        .map_err(|e| e.of(done.written.rows))?;
    let (mut fresh, mut conflicts, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (line, row) in chunk {
        let figures = Figures::of(&row);
        let sum = match known.get(&row.source_id) {
            None => None,
            Some(digest) if *digest == hex::encode_upper(row.digest()) => {
                Some(&mut done.already_there)
            }
            Some(_) => {
                let reason = format!(
                    "{TABLE} has this call with other figures or another tenant, and keeps them"
                );
                conflicts.push(Refused::of_line(line, &row.source_id, reason));
                done.in_conflict.add(&figures).map_err(SpendError::from)?;
                continue;
            }
        };
        held.push(row.source_id.clone());
        match sum {
            Some(sum) => sum.add(&figures).map_err(SpendError::from)?,
            None => fresh.push(row),
        }
    }
    let mut written = Figures::default();
    for row in &fresh {
        written.add(&Figures::of(row)).map_err(SpendError::from)?;
    }
    let token = token(&fresh);
    let rows: Vec<_> = fresh
        .into_iter()
        .map(|row| Stored(StoredRow::from(row)))
        .collect();
    let inserted = client.insert_block(TABLE, &token, &rows).await;
    inserted.map_err(failed(done.written.rows))?;
    done.written.add(&written).map_err(SpendError::from)?;
    let sums = sums(client, naming, &held)
        .await
        .map_err(|e| e.of(done.written.rows))?;
    done.in_table.add(&sums).map_err(SpendError::from)?;
    Ok(conflicts)
}

/// A token of this moment's: what keeps rows from being doubled is their name, and rows that an operator has deleted must
/// be writable again.
fn token(rows: &[SpendRow]) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for row in rows {
        hasher.update(row.digest());
    }
    let now_us = runtime::clock::now_us();
    format!("{TABLE}/{now_us}/{}", hex::encode(hasher.finalize()))
}

/// A query's failure, before it is known how much was written.
enum QueryError {
    Store(StoreError),
    Answer(String),
}

impl QueryError {
    fn of(self, rows: u64) -> ImportSpendError {
        match self {
            Self::Store(error) => ImportSpendError::Store { rows, error },
            Self::Answer(text) => ImportSpendError::Answer(text),
        }
    }
}

async fn ask<T: DeserializeOwned>(
    client: &Client,
    sql: &str,
    naming: &Naming,
    names: &[String],
) -> Result<Vec<T>, QueryError> {
    let query = client.query(sql).bind(naming.source.as_str()).bind(names);
    let query = query.setting("max_query_size", MAX_QUERY_BYTES);
    let bytes = query
        .bytes("JSONEachRow")
        .await
        .map_err(QueryError::Store)?;
    let rows = serde_json::Deserializer::from_slice(&bytes).into_iter::<T>();
    rows.collect::<Result<_, _>>()
        .map_err(|error| QueryError::Answer(error.to_string()))
}

/// The digests of the rows that the table has of these names.
async fn known(
    client: &Client,
    naming: &Naming,
    names: &[String],
) -> Result<BTreeMap<String, String>, QueryError> {
    #[derive(Deserialize)]
    struct Known {
        source_id: String,
        digest: String,
    }
    let sql = "SELECT source_id, hex(digest) AS digest FROM imported_spend FINAL WHERE source = ? AND source_id IN ?";
    let rows = ask::<Known>(client, sql, naming, names).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.source_id, row.digest))
        .collect())
}

/// What the store adds up, wider than any column.
#[derive(Deserialize)]
pub(super) struct Sums {
    rows: String,
    input: String,
    output: String,
    total: String,
    spend: String,
}

/// The sums, as columns of a query.
pub(super) const SUMS: &str = "toString(count()) AS rows, toString(sum(toInt128(input_tokens))) AS input, \
     toString(sum(toInt128(output_tokens))) AS output, toString(sum(toInt128(total_tokens))) AS total, \
     toString(sum(toDecimal256(imported_spend.spend, 27))) AS spend";

impl Sums {
    pub(super) fn figures(&self) -> Result<Figures, String> {
        let number = |text: &str| text.parse::<i128>().map_err(|error| error.to_string());
        Ok(Figures {
            rows: self
                .rows
                .parse()
                .map_err(|_| "a number of rows".to_owned())?,
            input_tokens: number(&self.input)?,
            output_tokens: number(&self.output)?,
            total_tokens: number(&self.total)?,
            spend: Exact::parse(&self.spend).map_err(|error| error.to_string())?,
        })
    }
}

async fn sums(client: &Client, naming: &Naming, names: &[String]) -> Result<Figures, QueryError> {
    let sql =
        format!("SELECT {SUMS} FROM imported_spend FINAL WHERE source = ? AND source_id IN ?");
    let rows = ask::<Sums>(client, &sql, naming, names).await?;
    let first = rows
        .first()
        .ok_or_else(|| QueryError::Answer("no sums".to_owned()))?;
    first.figures().map_err(QueryError::Answer)
}
