//! Old tables against new ones, to the byte: for each month the SHA-256 of every row, its place in the log among its columns, added
//! up; and over the months in order one digest more. Copies of one row count once, as they do wherever a figure is made.

use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use store::{Client, Identifier};

use super::error::RebuildError;
use super::fill::Filled;
use super::place::{REBUILT, Site, is_there};

/// A month may be large.
const PATIENCE: Duration = Duration::from_mins(10);
/// Rows that are compared at once: their hashes are in the store's memory.
const ROWS_AT_ONCE: u64 = 2_000_000;
const HASH: &str = "reinterpretAsUInt256(SHA256(formatRow('RowBinary', {columns})))";

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Rows, copies counted once.
    pub rows: u64,
    /// Over all of them, in hex.
    pub digest: String,
}

/// An old table and a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Which.
    pub table: &'static str,
    /// What the old one holds of what was rebuilt; none if it was lost, or is empty.
    pub old: Option<Digest>,
    /// What the new one holds.
    pub new: Digest,
    /// Where they differ: a month, rows of both, and the columns in which rows of the same number differ.
    pub differences: Vec<Difference>,
}

/// A month in which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `year * 100 + month`; 0 where rows belong to none.
    pub month: u32,
    /// Rows of the old table.
    pub old_rows: u64,
    /// Rows of the new one.
    pub new_rows: u64,
    /// The columns that are not the same.
    pub columns: Vec<String>,
}

impl Compared {
    /// Whether nothing is lost or changed if the new one takes the old one's place.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// How a table is read.
struct Shape {
    table: &'static str,
    columns: &'static str,
    from: &'static str,
    place: &'static str,
    has_months: bool,
}

fn shape(table: &'static str) -> Shape {
    let columns = "*";
    match table {
        "cuts" => Shape {
            table,
            // How often a batch was repaired is not in the log.
            columns: "* EXCEPT (repair_epoch)",
            from: "cuts FINAL",
            place: "first",
            has_months: false,
        },
        "usage_events" => Shape {
            table,
            // What is worked out of the other columns; rows that an older version wrote do not have it.
            columns: "* EXCEPT ('^rated_')",
            from: "usage_events FINAL",
            place: "offset",
            has_months: true,
        },
        _ => Shape {
            table,
            columns,
            from: table,
            place: "offset",
            has_months: true,
        },
    }
}

/// Compares every table, as far as the logs were rebuilt.
pub async fn compare(site: &Site, filled: &[Filled]) -> Result<Vec<Compared>, RebuildError> {
    let mut compared = Vec::new();
    for table in REBUILT {
        let shape = shape(table);
        compared.push(shape.compare(site, filled).await?);
    }
    Ok(compared)
}

impl Shape {
    async fn compare(&self, site: &Site, filled: &[Filled]) -> Result<Compared, RebuildError> {
        let within = self.within(filled);
        let system = site.old.in_database("system");
        let of_old = if is_there(&system, site.old.database(), self.table).await? {
            self.months(&site.old, &within).await?
        } else {
            Vec::new()
        };
        let of_new = self.months(&site.new, &within).await?;
        // Sliced alike, though one may have copies.
        let rows = of_old.iter().chain(&of_new).map(|(_, rows)| *rows);
        let slices = slices(rows.max().unwrap_or(0));
        let old = self.sums(&site.old, &within, &of_old, slices).await?;
        let new = self.sums(&site.new, &within, &of_new, slices).await?;
        let mut differences = Vec::new();
        if !old.is_empty() {
            let keys = |sums: &[Sum]| -> BTreeSet<(u32, u64)> {
                sums.iter().map(|sum| (sum.month, sum.slice)).collect()
            };
            let mut months = BTreeSet::new();
            for key in &keys(&old) | &keys(&new) {
                let of = |sums: &[Sum]| {
                    sums.iter()
                        .find(|sum| (sum.month, sum.slice) == key)
                        .cloned()
                };
                if of(&old) != of(&new) {
                    months.insert(key.0);
                }
            }
            for month in months {
                differences.push(self.difference(site, &within, month, (&old, &new)).await?);
            }
        }
        Ok(Compared {
            table: self.table,
            old: (!old.is_empty()).then(|| digest(&old)),
            new: digest(&new),
            differences,
        })
    }

    /// What lies beyond the boundary up to which a log was rebuilt was begun at most, and is read again.
    fn within(&self, filled: &[Filled]) -> String {
        let beyond = filled.iter().filter_map(|filled| {
            let end = filled.wanted?.max(filled.to);
            let (topic, partition) = (
                literal(&filled.place.topic.to_string()),
                filled.place.partition,
            );
            Some(format!(
                "NOT (topic = {topic} AND partition = {partition} AND {} >= {end})",
                self.place
            ))
        });
        beyond.fold("1".to_owned(), |all, one| format!("{all} AND {one}"))
    }

    fn month(&self, month: u32) -> String {
        if self.has_months {
            format!("toYYYYMM(received) = {month}")
        } else {
            "1".to_owned()
        }
    }

    async fn months(&self, client: &Client, within: &str) -> Result<Vec<(u32, u64)>, RebuildError> {
        let month = if self.has_months {
            "toUInt32(toYYYYMM(received))"
        } else {
            "toUInt32(0)"
        };
        let from = self.table;
        let sql = format!(
            "SELECT {month} AS month, count() FROM {from} WHERE {within} GROUP BY month ORDER BY month"
        );
        let query = client.statement(&sql).timeout(PATIENCE);
        Ok(query.fetch_all().await?)
    }

    async fn sums(
        &self,
        client: &Client,
        within: &str,
        months: &[(u32, u64)],
        slices: u64,
    ) -> Result<Vec<Sum>, RebuildError> {
        let hash = HASH.replace("{columns}", self.columns);
        let mut sums = Vec::new();
        for (month, _) in months {
            for slice in 0..slices {
                let of_month = self.month(*month);
                let place = self.place;
                let sql = format!(
                    "SELECT count(), hex(sum(hash)) FROM (SELECT DISTINCT {hash} AS hash FROM {} \
                     WHERE {within} AND {of_month} AND positiveModulo({place}, {slices}) = {slice})",
                    self.from
                );
                let query = client.statement(&sql).timeout(PATIENCE);
                let (rows, hash): (u64, String) = query.fetch_one().await?;
                sums.push(Sum {
                    month: *month,
                    slice,
                    rows,
                    hash,
                });
            }
        }
        Ok(sums)
    }

    async fn difference(
        &self,
        site: &Site,
        within: &str,
        month: u32,
        (old, new): (&[Sum], &[Sum]),
    ) -> Result<Difference, RebuildError> {
        let rows = |sums: &[Sum]| {
            let of_month = sums.iter().filter(|sum| sum.month == month);
            of_month.map(|sum| sum.rows).sum()
        };
        let (old_rows, new_rows) = (rows(old), rows(new));
        let mut columns = Vec::new();
        if old_rows == new_rows {
            let names = names(&site.new, self.table).await?;
            let of_old = self.by_column(&site.old, &names, within, month).await?;
            let of_new = self.by_column(&site.new, &names, within, month).await?;
            let pairs = names.into_iter().zip(of_old.into_iter().zip(of_new));
            columns.extend(
                pairs
                    .filter(|(_, (old, new))| old != new)
                    .map(|(name, _)| name),
            );
        }
        Ok(Difference {
            month,
            old_rows,
            new_rows,
            columns,
        })
    }

    /// A sum for each column.
    async fn by_column(
        &self,
        client: &Client,
        names: &[String],
        within: &str,
        month: u32,
    ) -> Result<Vec<String>, RebuildError> {
        let hash = |name: &String| {
            let columns = format!("topic, partition, {}, `{name}`", self.place);
            format!("hex(sum({}))", HASH.replace("{columns}", &columns))
        };
        let hashes: Vec<String> = names.iter().map(hash).collect();
        let of_month = self.month(month);
        let sql = format!(
            "SELECT [{}] FROM (SELECT * FROM {} WHERE {within} AND {of_month} LIMIT 1 BY topic, partition, {})",
            hashes.join(", "),
            self.from,
            self.place
        );
        let query = client.statement(&sql).timeout(PATIENCE);
        Ok(query.fetch_one().await?)
    }
}

/// A part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    month: u32,
    slice: u64,
    rows: u64,
    hash: String,
}

fn slices(rows: u64) -> u64 {
    rows.div_ceil(ROWS_AT_ONCE).max(1).next_power_of_two()
}

fn digest(sums: &[Sum]) -> Digest {
    let mut sha256 = Sha256::new();
    for sum in sums {
        sha256.update(sum.month.to_be_bytes());
        sha256.update(sum.hash.as_bytes());
    }
    Digest {
        rows: sums.iter().map(|sum| sum.rows).sum(),
        digest: hex::encode(sha256.finalize()),
    }
}

async fn names(client: &Client, table: &str) -> Result<Vec<String>, RebuildError> {
    let sql = "SELECT name FROM system.columns WHERE database = ? AND table = ? AND name != 'repair_epoch' ORDER BY position";
    let query = client.query(sql).bind(client.database()).bind(table);
    Ok(query.fetch_all().await?)
}

/// Rows that the store has of logs of which nothing was rebuilt, by log.
pub async fn unread_logs(
    site: &Site,
    filled: &[Filled],
) -> Result<Vec<(String, i32, u64)>, RebuildError> {
    let system = site.old.in_database("system");
    let mut unread = Vec::new();
    for table in REBUILT {
        if !is_there(&system, site.old.database(), table).await? {
            continue;
        }
        let sql = "SELECT toString(topic) AS topic, partition, count() FROM ? GROUP BY topic, partition ORDER BY topic, partition";
        let query = site.old.query(sql).bind(Identifier(table));
        for (topic, partition, rows) in query.fetch_all::<(String, i32, u64)>().await? {
            let is_read = filled.iter().any(|filled| {
                filled.place.topic.as_str() == topic && filled.place.partition == partition
            });
            let is_known = unread.iter().any(|known: &(String, i32, u64)| {
                (known.0.as_str(), known.1) == (topic.as_str(), partition)
            });
            if !is_read && !is_known {
                unread.push((topic, partition, rows));
            }
        }
    }
    Ok(unread)
}

/// A text in a statement.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
