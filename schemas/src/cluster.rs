//! The migrations for a cluster of ClickHouse servers, made from those for one server: each table replicated within a shard, and
//! in a second database a table of the same name over all shards. Pure text. Who runs it is the store's; where a partition of the
//! log is written is the consumer's.
//!
//! Tables of the log (those with a topic and a partition) are written to the one shard of their partition, so their table over all
//! shards has no sharding key and refuses inserts. Other tables are spread by a hash of their sort key, so that rows that replace
//! each other meet.

mod shape;

use self::shape::{Kind, Statement, Table};

/// The most that a name may have, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// How long a token is remembered, at least: a week.
const REMEMBERED_SECONDS: u32 = 604_800;

/// A cluster as its servers' `remote_servers` names it, and the database of our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    name: String,
    database: String,
}

/// A name or a statement that there is no form for on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Not a plain name.
    #[error(
        "`{0}` cannot be the name of a cluster or database: letters, digits and `_`, at most 64"
    )]
    Name(String),
    /// A statement of another shape than the migrations have.
    #[error(
        "there is no form on a cluster for the statement that begins `{begin}`: {why}; a migration creates one table or alters columns"
    )]
    Shape {
        /// Its first words.
        begin: String,
        /// What is not known.
        why: &'static str,
    },
}

impl Cluster {
    /// A cluster and a database of plain names.
    pub fn new(name: &str, database: &str) -> Result<Self, ClusterError> {
        for name in [name, database] {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_fit = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
            if !is_fit || !name.bytes().all(is_plain) {
                return Err(ClusterError::Name(name.chars().take(80).collect()));
            }
        }
        Ok(Self {
            name: name.to_owned(),
            database: database.to_owned(),
        })
    }

    /// The database of what one shard has: where the consumer writes.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The database whose tables are over all shards: where reports read.
    pub fn reading_database(&self) -> String {
        format!("{}_all", self.database)
    }

    /// The databases, before any table.
    pub fn databases(&self) -> Vec<String> {
        let create = |database: &str| {
            let name = &self.name;
            format!("CREATE DATABASE IF NOT EXISTS {database} ON CLUSTER '{name}'")
        };
        vec![create(&self.database), create(&self.reading_database())]
    }

    /// A table that every server has whole, of whatever shard it is: the record of migrations.
    pub fn on_every_server(&self, table: &str, columns: &str, order: &str) -> String {
        let Self { name, database } = self;
        let path = self.keeper_path(table, "all");
        format!(
            "CREATE TABLE IF NOT EXISTS {database}.{table} ON CLUSTER '{name}' ({columns})\n\
             ENGINE = ReplicatedMergeTree('{path}', '{{shard}}-{{replica}}')\n\
             ORDER BY {order}\n\
             SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = {REMEMBERED_SECONDS}, fsync_after_insert = 1"
        )
    }

    /// A migration's statement as statements for the cluster, to be run in this order.
    pub fn statements(&self, sql: &str) -> Result<Vec<String>, ClusterError> {
        let read = Statement::read(sql)?;
        let mut statements = match &read.kind {
            Kind::Create(table) => vec![self.local(table), self.over_all(table)],
            Kind::AlterColumns { table, clauses } => {
                let of_all = self.reading_database();
                vec![
                    self.alter(&self.database, table, clauses),
                    self.alter(&of_all, table, clauses),
                ]
            }
            // How a server keeps its rows; a table over all shards keeps none.
            Kind::AlterKeeping { table, clauses } => {
                vec![self.alter(&self.database, table, clauses)]
            }
        };
        statements[0].insert_str(0, read.comment);
        Ok(statements)
    }

    /// Where the replicas of a table agree. It is the same whenever and wherever the table is made, so that a server that comes later
    /// becomes a replica; with the table's own id in it, it would become a table by itself, whose readers miss the rest.
    fn keeper_path(&self, table: &str, shard: &str) -> String {
        let Self { name, database } = self;
        format!("/clickhouse/tollgate/{name}/{database}/{table}/{shard}")
    }

    fn local(&self, table: &Table<'_>) -> String {
        let Self { name, database } = self;
        let path = self.keeper_path(table.name, "{shard}");
        let (family, arguments) = table.engine;
        let comma = if arguments.is_empty() { "" } else { ", " };
        // The window in seconds is an hour unless somebody says otherwise.
        let both = format!(
            "replicated_deduplication_window_seconds = {REMEMBERED_SECONDS}, replicated_deduplication_window"
        );
        let tail = table
            .tail
            .replacen("non_replicated_deduplication_window", &both, 1);
        format!(
            "CREATE TABLE IF NOT EXISTS {database}.{} ON CLUSTER '{name}'\n{}\n\
             ENGINE = Replicated{family}('{path}', '{{replica}}'{comma}{arguments})\n{tail}",
            table.name, table.columns
        )
    }

    fn over_all(&self, table: &Table<'_>) -> String {
        let Self { name, database } = self;
        let all = self.reading_database();
        let key = if table.is_of_the_log() {
            String::new()
        } else {
            format!(", sipHash64({})", table.sort_key)
        };
        let table = table.name;
        format!(
            "CREATE TABLE IF NOT EXISTS {all}.{table} ON CLUSTER '{name}' AS {database}.{table}\n\
             ENGINE = Distributed('{name}', '{database}', '{table}'{key})"
        )
    }

    fn alter(&self, database: &str, table: &str, clauses: &str) -> String {
        let name = &self.name;
        format!("ALTER TABLE {database}.{table} ON CLUSTER '{name}'\n{clauses}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::ALL;

    fn cluster() -> Cluster {
        Cluster::new("main", "tollgate").unwrap()
    }

    #[test]
    fn every_migration_has_a_form_on_a_cluster() {
        for (_, name, sql) in ALL {
            let statements = cluster().statements(sql).unwrap();
            for statement in &statements {
                assert!(statement.contains(" ON CLUSTER 'main'"), "{name}");
                assert!(!statement.contains(';'), "{name}: one statement");
                assert!(!statement.contains("non_replicated"), "{name}: {statement}");
            }
            let creates = sql.contains("CREATE TABLE");
            let of = |engine: &str| {
                let mut of = statements.iter();
                of.any(|statement| statement.contains(&format!("ENGINE = {engine}")))
            };
            assert_eq!(of("Replicated"), creates, "{name}");
            assert_eq!(of("Distributed"), creates, "{name}");
        }
    }

    #[test]
    fn tables_of_the_log_take_no_insert_over_all_shards_and_others_are_spread_by_their_sort_key() {
        let over_all =
            |version: usize| cluster().statements(ALL[version - 1].2).unwrap()[1].clone();
        for version in 1..=3 {
            assert!(!over_all(version).contains("sipHash64"), "{version}");
        }
        assert!(over_all(5).contains("'imported_spend', sipHash64(source, source_id))"));
    }

    #[test]
    fn arguments_of_an_engine_and_a_statements_comment_are_kept() {
        let usage = &cluster().statements(ALL[1].2).unwrap()[0];
        assert!(usage.starts_with("-- The set of usage events"), "{usage}");
        let engine = "ReplicatedReplacingMergeTree('/clickhouse/tollgate/main/tollgate/usage_events/{shard}', '{replica}', version)";
        assert!(usage.contains(engine), "{usage}");
        let window = "replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync";
        assert!(usage.contains(window), "{usage}");
    }

    #[test]
    fn what_is_altered_of_a_servers_keeping_is_altered_on_servers_alone() {
        let statements = |sql: &str| cluster().statements(sql);
        let kept =
            statements("ALTER TABLE cuts\n    MODIFY SETTING fsync_after_insert = 1").unwrap();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].starts_with("ALTER TABLE tollgate.cuts ON CLUSTER"));
        let packed =
            statements("ALTER TABLE cuts\n    MODIFY COLUMN IF EXISTS digest CODEC(NONE)").unwrap();
        assert_eq!(packed.len(), 1, "a table over all shards packs nothing");
        let both =
            "ALTER TABLE cuts\n    ADD COLUMN IF NOT EXISTS x Int8,\n    MODIFY SETTING y = 1";
        assert!(matches!(statements(both), Err(ClusterError::Shape { .. })));
        for other in [
            "OPTIMIZE TABLE cuts",
            "CREATE TABLE IF NOT EXISTS t (x Int8) ENGINE = Memory",
            "",
        ] {
            let refused = statements(other).unwrap_err().to_string();
            assert!(refused.contains("no form on a cluster"), "{refused}");
        }
    }

    #[test]
    fn names_are_plain() {
        for name in ["", "a b", "a'b", "a-b", "ä", &"x".repeat(65)] {
            assert!(Cluster::new(name, "tollgate").is_err(), "{name}");
            assert!(Cluster::new("main", name).is_err(), "{name}");
        }
    }
}
