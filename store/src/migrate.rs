//! The migrations runner: numbered statements, each applied once, each remembered with its digest. It owns the runner and
//! its table, not the statements: those are `schemas`'.

use crate::{Client, StoreError};
use clickhouse::Row;
use schemas::cluster::{Cluster, ClusterError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

const TABLE: &str = "schema_migrations";
const COLUMNS: &str =
    "version UInt32, name String, sha256 String, applied_us Int64, only_adds Bool";
/// What a statement that only adds says.
const ADDING: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS",
    "ADD COLUMN IF NOT EXISTS",
    "ADD INDEX IF NOT EXISTS",
    "MATERIALIZE INDEX IF EXISTS",
];
/// How rows are kept: how columns are packed, when parts are merged. No row that is written or read is another for it.
const KEEPING: [&str; 2] = ["MODIFY SETTING ", "MODIFY COLUMN IF EXISTS BYTES CODEC("];
/// In the name of every setting of which inserts are known as repeated, and for how long: what makes a batch count once.
const COUNTING: &str = "DEDUPLICAT";
/// A migration may rewrite a table.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(10);

/// One statement that brings the database from one version to the next. It must be idempotent: a crash between the
/// statement and its record repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration<'a> {
    /// From 1, without gaps.
    pub version: u32,
    /// For people.
    pub name: &'a str,
    /// One statement.
    pub sql: &'a str,
}

impl<'a> From<(u32, &'a str, &'a str)> for Migration<'a> {
    fn from((version, name, sql): (u32, &'a str, &'a str)) -> Self {
        Self { version, name, sql }
    }
}

impl<'a> From<&(u32, &'a str, &'a str)> for Migration<'a> {
    fn from(migration: &(u32, &'a str, &'a str)) -> Self {
        Self::from(*migration)
    }
}

impl Migration<'_> {
    fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }

    /// Whether it only adds: a tollgate that does not know it writes and reads as before.
    fn only_adds(&self) -> bool {
        let words = self.sql.split_whitespace();
        let code = words.collect::<Vec<_>>().join(" ").to_ascii_uppercase();
        let rest = KEEPING
            .iter()
            .fold(code.clone(), |code, keeping| code.replace(keeping, ""));
        let mut harmless = ADDING.iter().chain(&KEEPING);
        // A table may be made with such a memory; of one that is there it stays as it is.
        let recounts = code.contains("ALTER ") && code.contains(COUNTING);
        harmless.any(|words| code.contains(words))
            && !recounts
            && !["DROP ", "MODIFY ", "RENAME ", "DELETE ", "UPDATE "]
                .iter()
                .any(|change| rest.contains(change))
    }
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The versions applied now, in order.
    pub applied: Vec<u32>,
    /// The database's version.
    pub version: u32,
}

/// The database was not brought to this version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer tollgate migrated it, and changed what this one writes or reads.
    #[error(
        "the database is at version {database}, this tollgate knows versions up to {binary}, and not all of what came after only adds; use the newer tollgate"
    )]
    DatabaseIsNewer {
        /// The database's version.
        database: u32,
        /// Ours.
        binary: u32,
    },
    /// A statement that was applied is no longer what it was.
    #[error(
        "migration {version} ({name}) was applied with sha256 {applied}, this tollgate has {found}; an applied migration never changes: use the tollgate that applied it, or add a new migration"
    )]
    Changed {
        /// Which.
        version: u32,
        /// Its name.
        name: String,
        /// The digest recorded.
        applied: String,
        /// The digest of ours.
        found: String,
    },
    /// Recorded versions have a hole.
    #[error(
        "migration {version} is not recorded although later ones are; restore table {TABLE} from a backup"
    )]
    Hole {
        /// The missing one.
        version: u32,
    },
    /// The list itself is wrong.
    #[error(
        "migrations must be numbered 1, 2, 3 without gaps, but {found} stands where {expected} should"
    )]
    Numbering {
        /// What should be there.
        expected: u32,
        /// What is.
        found: u32,
    },
    /// A statement failed.
    #[error("migration {version} ({name}): {source}")]
    Statement {
        /// Which.
        version: u32,
        /// Its name.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// A migration that has no form on a cluster, or a wrong name.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The record of migrations could not be read or written.
    #[error("the record of migrations: {0}")]
    Record(#[from] StoreError),
}

impl MigrateError {
    /// Whether it was the store that could not be reached; to migrate again is harmless.
    pub fn can_pass(&self) -> bool {
        match self {
            Self::Statement { source, .. } | Self::Record(source) => {
                source.class() != crate::Class::Rejected
            }
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Row, Serialize, Deserialize)]
struct Record {
    version: u32,
    name: String,
    sha256: String,
    applied_us: i64,
    only_adds: bool,
}

/// Where the tables are.
#[derive(Debug, Clone, Copy)]
pub enum Layout<'a> {
    /// In the client's database of one server.
    Server,
    /// On all servers of a cluster, whichever of them the client speaks to.
    Cluster(&'a Cluster),
}

impl Layout<'_> {
    /// A migration's statement as those that are run, in this order.
    pub fn statements(self, sql: &str) -> Result<Vec<String>, ClusterError> {
        match self {
            Self::Server => Ok(vec![sql.trim().trim_end_matches(';').to_owned()]),
            Self::Cluster(cluster) => cluster.statements(sql),
        }
    }

    /// What is there before the first migration: databases, and the record of migrations. `database` is quoted.
    pub fn beginning(self, database: &str) -> Vec<String> {
        match self {
            // The default engine of the embedded ClickHouse is not Atomic, so it is named.
            Self::Server => vec![
                format!("CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic"),
                format!(
                    "CREATE TABLE IF NOT EXISTS {database}.{TABLE} ({COLUMNS}) \
                     ENGINE = MergeTree ORDER BY version \
                     SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1"
                ),
                // A table that an older version made.
                format!("ALTER TABLE {database}.{TABLE} ADD COLUMN IF NOT EXISTS only_adds Bool"),
            ],
            Self::Cluster(cluster) => {
                let record = cluster.on_every_server(TABLE, COLUMNS, "version");
                cluster.databases().into_iter().chain([record]).collect()
            }
        }
    }
}

/// Brings the client's database, made if missing, to the last of the given versions.
pub async fn migrate<'a, I>(client: &Client, migrations: I) -> Result<Report, MigrateError>
where
    I: IntoIterator,
    I::Item: Into<Migration<'a>>,
{
    migrate_in(client, Layout::Server, migrations).await
}

/// The same where the tables are laid out so. The record keeps the digest of the migration, not of what is made of it.
pub async fn migrate_in<'a, I>(
    client: &Client,
    layout: Layout<'_>,
    migrations: I,
) -> Result<Report, MigrateError>
where
    I: IntoIterator,
    I::Item: Into<Migration<'a>>,
{
    let migrations: Vec<Migration<'a>> = migrations.into_iter().map(Into::into).collect();
    let binary = check_numbering(&migrations)?;
    begin(client, layout).await?;
    let known = recorded(client).await?;
    let database = known.keys().next_back().copied().unwrap_or(0);
    if known
        .values()
        .any(|record| record.version > binary && !record.only_adds)
    {
        return Err(MigrateError::DatabaseIsNewer { database, binary });
    }
    let mut applied = Vec::new();
    for migration in &migrations {
        match known.get(&migration.version) {
            Some(record) => check_unchanged(migration, record)?,
            None if migration.version < database => {
                return Err(MigrateError::Hole {
                    version: migration.version,
                });
            }
            None => {
                apply(client, layout, migration).await?;
                applied.push(migration.version);
            }
        }
    }
    client.forget_tables();
    Ok(Report {
        applied,
        version: binary.max(database),
    })
}

/// The database's version; 0 if it was never migrated. Changes nothing.
pub async fn version(client: &Client) -> Result<u32, StoreError> {
    let last = client
        .query(&format!("SELECT max(version) FROM {TABLE}"))
        .fetch_one::<u32>()
        .await;
    match last {
        Ok(last) => Ok(last),
        // no such table, no such database
        Err(error) if matches!(error.code(), Some(60 | 81)) => Ok(0),
        Err(error) => Err(error),
    }
}

fn check_numbering(migrations: &[Migration<'_>]) -> Result<u32, MigrateError> {
    let mut last = 0;
    for migration in migrations {
        let expected = last + 1;
        if migration.version != expected {
            return Err(MigrateError::Numbering {
                expected,
                found: migration.version,
            });
        }
        last = expected;
    }
    Ok(last)
}

fn check_unchanged(migration: &Migration<'_>, record: &Record) -> Result<(), MigrateError> {
    let found = migration.sha256();
    if record.sha256 == found {
        return Ok(());
    }
    Err(MigrateError::Changed {
        version: migration.version,
        name: migration.name.to_owned(),
        applied: record.sha256.clone(),
        found,
    })
}

async fn begin(client: &Client, layout: Layout<'_>) -> Result<(), StoreError> {
    // Asked from outside of the database, which may not exist yet.
    let outside = client.in_database("system");
    let name = client.database().replace('\\', "\\\\").replace('`', "\\`");
    for statement in layout.beginning(&format!("`{name}`")) {
        outside.statement(&statement).execute().await?;
    }
    Ok(())
}

async fn recorded(client: &Client) -> Result<BTreeMap<u32, Record>, StoreError> {
    let rows: Vec<Record> = client
        .fetch_all(&format!(
            "SELECT version, name, sha256, applied_us, only_adds FROM {TABLE} ORDER BY version, applied_us"
        ))
        .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        known.entry(row.version).or_insert(row);
    }
    Ok(known)
}

async fn apply(
    client: &Client,
    layout: Layout<'_>,
    migration: &Migration<'_>,
) -> Result<(), MigrateError> {
    let Migration { version, name, sql } = *migration;
    tracing::info!(version, name, "applying migration");
    for statement in layout.statements(sql)? {
        let ran = client
            .statement(&statement)
            .timeout(MIGRATION_TIMEOUT)
            .execute()
            .await;
        ran.map_err(|source| MigrateError::Statement {
            version,
            name: name.to_owned(),
            source,
        })?;
    }
    let sha256 = migration.sha256();
    let token = format!("migration/{version}/{sha256}");
    let record = Record {
        version,
        name: name.to_owned(),
        sha256,
        applied_us: runtime::clock::now_us(),
        only_adds: migration.only_adds(),
    };
    Ok(client.insert_block(TABLE, &token, &[record]).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_rows_are_kept_is_in_nobodys_way_and_what_they_are_is() {
        let adds = |sql: &str| Migration::from((1, "one", sql)).only_adds();
        for keeps in [
            "ALTER TABLE a\n    MODIFY SETTING merge_selector_base = 20",
            "ALTER TABLE a\n    MODIFY COLUMN IF EXISTS bytes CODEC(ZSTD(1))",
            "ALTER TABLE a ADD COLUMN IF NOT EXISTS y Int8",
            "CREATE TABLE IF NOT EXISTS a (y Int8) ENGINE = MergeTree ORDER BY y SETTINGS non_replicated_deduplication_window = 100",
        ] {
            assert!(adds(keeps), "{keeps}");
        }
        for changes in [
            "ALTER TABLE a MODIFY COLUMN IF EXISTS bytes String",
            "ALTER TABLE a MODIFY SETTING merge_selector_base = 20, MODIFY COLUMN y Int8",
            "ALTER TABLE a MODIFY SETTING merge_selector_base = 20, DROP COLUMN y",
            "ALTER TABLE a MODIFY SETTING non_replicated_deduplication_window = 100",
            "ALTER TABLE a MODIFY SETTING merge_selector_base = 20,\n    replicated_deduplication_window_seconds = 60",
            "ALTER TABLE a MODIFY SETTING replicated_deduplication_window = 1",
            "ALTER TABLE a MODIFY SETTING deduplicate_merge_projection_mode = 'drop'",
            "ALTER TABLE a RESET SETTING non_replicated_deduplication_window",
            "ALTER TABLE a ADD COLUMN IF NOT EXISTS y Int8, RESET SETTING non_replicated_deduplication_window",
        ] {
            assert!(!adds(changes), "{changes}");
        }
    }
}
