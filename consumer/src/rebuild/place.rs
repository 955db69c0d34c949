//! The database of the new tables, and the exchange with the old ones. Everything is made beside; a rebuild that was interrupted
//! before the exchange is begun again from nothing.

use schemas::migrations;
use store::{Client, Identifier};

use super::ends::NOT_THERE;
use super::error::RebuildError;

/// The tables that are made from the log, in the order in which they are exchanged: `usage_events`, which bills are made of, last.
pub const REBUILT: [&str; 3] = ["audit_log", "cuts", "usage_events"];
/// Tells a rebuild's database from any other of that name.
const COMMENT: &str = "made by tollgate rebuild";

/// Where tables are rebuilt.
#[derive(Clone, Debug)]
pub struct Site {
    /// The old tables.
    pub old: Client,
    /// The new ones.
    pub new: Client,
}

/// What the exchange did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The old tables are gone: the new ones are the same.
    Dropped,
    /// The old tables are kept in this database.
    Kept(String),
}

impl Site {
    /// Makes the database of the new tables, `<database>_rebuild`, anew.
    pub async fn prepare(old: &Client) -> Result<Self, RebuildError> {
        let name = format!("{}_rebuild", old.database());
        let system = old.in_database("system");
        if let Some(comment) = comment(&system, &name).await? {
            if comment != COMMENT {
                return Err(RebuildError::NotOurs(name));
            }
            run(&system, "DROP DATABASE ?", &[&name]).await?;
        }
        let create = format!("CREATE DATABASE ? ENGINE = Atomic COMMENT '{COMMENT}'");
        run(&system, &create, &[&name]).await?;
        let new = old.in_database(&name);
        store::migrate::migrate(&new, migrations::ALL.iter().copied()).await?;
        Ok(Self {
            old: old.clone(),
            new,
        })
    }

    /// Puts the new tables in the place of the old ones, each at once: whoever reads sees the old or the new one, never a part. Where
    /// there is no old one, the new one gets its name. The old ones are dropped if they are `equal`, and kept otherwise.
    pub async fn exchange(&self, are_equal: Equal) -> Result<Replaced, RebuildError> {
        let (old, new) = (self.old.database(), self.new.database());
        let system = self.old.in_database("system");
        store::migrate::migrate(&self.old, migrations::ALL.iter().copied()).await?;
        // First, so that no old table that is not equal ever lies where the next rebuild begins by dropping.
        let kept = (are_equal == Equal::No)
            .then(|| format!("{old}_before_rebuild_{}", runtime::clock::now_us()));
        if let Some(kept) = &kept {
            run(&system, "RENAME DATABASE ? TO ?", &[new, kept]).await?;
        }
        let new = kept.as_deref().unwrap_or(new);
        for table in REBUILT {
            let sql = if is_there(&system, old, table).await? {
                "EXCHANGE TABLES ?.? AND ?.?"
            } else {
                "RENAME TABLE ?.? TO ?.?"
            };
            run(&system, sql, &[new, table, old, table]).await?;
            runtime::failpoint::hit("rebuild.after_exchange");
        }
        self.old.forget_tables();
        if let Some(kept) = kept {
            return Ok(Replaced::Kept(kept));
        }
        run(&system, "DROP DATABASE ?", &[new]).await?;
        Ok(Replaced::Dropped)
    }

    /// Drops the new tables.
    pub async fn abandon(&self) -> Result<(), RebuildError> {
        let system = self.old.in_database("system");
        run(&system, "DROP DATABASE ?", &[self.new.database()]).await
    }
}

/// Whether the new tables are the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equal {
    /// To the byte.
    Yes,
    /// The differences were accepted.
    No,
}

async fn run(client: &Client, sql: &str, names: &[&str]) -> Result<(), RebuildError> {
    let query = names.iter().fold(client.query(sql), |query, name| {
        query.bind(Identifier(name))
    });
    Ok(query.execute().await?)
}

async fn comment(system: &Client, name: &str) -> Result<Option<String>, RebuildError> {
    let query = system.query("SELECT comment FROM system.databases WHERE name = ?");
    Ok(query.bind(name).fetch_optional().await?)
}

pub(super) async fn is_there(
    system: &Client,
    database: &str,
    table: &str,
) -> Result<bool, RebuildError> {
    let query = system.query("SELECT count() FROM system.tables WHERE database = ? AND name = ?");
    let found = query.bind(database).bind(table).fetch_one::<u64>().await;
    match found {
        Ok(count) => Ok(count > 0),
        Err(error) if error.code().is_some_and(|code| NOT_THERE.contains(&code)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not made from the log, and left as they are. A new table belongs here or into [`REBUILT`], and into `docs/archive.md`.
    const LEFT: [&str; 2] = ["imported_spend", "producer_log"];

    #[test]
    fn every_table_is_either_made_from_the_log_or_left() {
        let made = migrations::ALL.iter().filter_map(|(_, _, sql)| {
            let rest = sql.split("CREATE TABLE IF NOT EXISTS ").nth(1)?;
            rest.split_whitespace().next()
        });
        let mut tables: Vec<&str> = made.collect();
        tables.sort_unstable();
        let mut known: Vec<&str> = REBUILT.into_iter().chain(LEFT).collect();
        known.sort_unstable();
        assert_eq!(tables, known);
    }
}
