//! Whether the store remembers tokens for as long as they may be repeated: the order of deadlines that exactness stands on.
//!
//! A token may be repeated within the trust in tokens and one insert's deadline of its first use. Until then a table must not have
//! forgotten it, however many partitions insert meanwhile: two batches a second each, as the linger makes them.

use std::time::Duration;

use store::{Client, StoreError};

use crate::options::Options;

/// An insert is given up after this by its client, and before by the server.
const INSERT_DEADLINE: Duration = Duration::from_mins(1);
const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];

/// What is wrong with the tables' memory of tokens; empty if nothing is.
pub async fn horizon_findings(
    client: &Client,
    partitions: usize,
    options: &Options,
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT name, engine_full FROM system.tables WHERE database = ? AND name IN ('audit_log', 'usage_events', 'cuts')";
    let query = client.query(SQL).bind(client.database());
    let tables: Vec<(String, String)> = query.fetch_all().await?;
    let needed = Needed::of(partitions, options);
    let missing = TABLES
        .iter()
        .filter(|wanted| !tables.iter().any(|(name, _)| name == *wanted))
        .map(|wanted| format!("table {wanted} is missing: run `tollgate migrate`"));
    let forgetful = tables
        .iter()
        .filter_map(|(name, engine)| needed.finding(name, engine));
    Ok(missing.chain(forgetful).collect())
}

/// How much must be remembered.
#[derive(Clone, Copy, Debug)]
struct Needed {
    blocks: u128,
    seconds: u64,
}

impl Needed {
    fn of(partitions: usize, options: &Options) -> Self {
        let span = options.token_trust + INSERT_DEADLINE;
        let batches = span.as_millis() / options.linger.as_millis().max(100);
        Self {
            blocks: batches * (partitions as u128),
            seconds: span.as_secs(),
        }
    }

    fn finding(self, table: &str, engine: &str) -> Option<String> {
        let (prefix, is_replicated) = if engine.starts_with("Replicated") {
            ("replicated", true)
        } else {
            ("non_replicated", false)
        };
        let blocks = setting(engine, &format!("{prefix}_deduplication_window")).unwrap_or(0);
        if u128::from(blocks) < self.blocks {
            return Some(format!(
                "table {table} remembers {blocks} inserts, {} are needed: ALTER TABLE {table} MODIFY SETTING {prefix}_deduplication_window = {}",
                self.blocks,
                self.blocks * 2
            ));
        }
        let seconds = setting(engine, "replicated_deduplication_window_seconds").unwrap_or(0);
        (is_replicated && seconds < self.seconds).then(|| {
            format!(
                "table {table} remembers inserts for {seconds} s, {} are needed: ALTER TABLE {table} MODIFY SETTING replicated_deduplication_window_seconds = 604800",
                self.seconds
            )
        })
    }
}

/// A setting as the table states it; defaults are no statement.
fn setting(engine: &str, name: &str) -> Option<u64> {
    let settings = engine.split("SETTINGS ").nth(1)?;
    settings.split(',').find_map(|setting| {
        let (known, value) = setting.split_once('=')?;
        (known.trim() == name).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Needed = Needed {
        blocks: 2_880,
        seconds: 120,
    };

    #[test]
    fn a_table_that_forgets_too_soon_is_named_with_the_remedy() {
        let judge = |engine: &str| NEEDED.finding("cuts", engine);
        let merge_tree = "MergeTree PARTITION BY toYYYYMM(received) ORDER BY (topic) SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192";
        assert_eq!(judge(merge_tree), None);
        for forgetful in [
            "MergeTree ORDER BY topic SETTINGS index_granularity = 8192",
            "MergeTree ORDER BY topic",
            "MergeTree ORDER BY topic SETTINGS non_replicated_deduplication_window = 100",
            "ReplicatedMergeTree('/a', '{replica}') ORDER BY topic SETTINGS non_replicated_deduplication_window = 10000",
            "ReplicatedMergeTree('/a', '{replica}') ORDER BY topic SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 60",
        ] {
            assert!(judge(forgetful).is_some_and(|text| text.contains("MODIFY SETTING")));
        }
    }
}
