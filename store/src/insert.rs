//! One insert, one block, one token: what makes a repeated insert harmless. It knows no table and no row.

use crate::client::{Client, Types, within};
use crate::error::{Class, StoreError};
use crate::native::{Block, NativeError};
use clickhouse::Row;
use serde::Serialize;
use std::time::Duration;

/// Most rows of one insert; far above a cut's 65,536 records, below the block size that is asked for.
pub const MAX_BLOCK_ROWS: usize = 1_000_000;
/// A block is never split below these, so an insert is one block, and one part.
const BLOCK_ROWS: &str = "1048576";
const BLOCK_BYTES: &str = "1073741824";
/// The client gives up after this; ClickHouse gives up before, so that "no answer" seldom means "still at it".
const INSERT_TIMEOUT: Duration = Duration::from_mins(1);
const SERVER_TIMEOUT_SECONDS: &str = "45";

impl Client {
    /// Inserts rows as one block, synchronously. The same token with the same rows again does nothing, for as long as the
    /// table's deduplication window reaches back; a token must never be used for other rows, which would be dropped.
    ///
    /// When it returns `Ok`, ClickHouse has the rows. [`crate::Class::Unavailable`] and [`crate::Class::Ambiguous`] are
    /// to be repeated with the same token.
    ///
    /// Where somebody has changed the table since its types were asked for, they are asked for again; rows that do not fit what it is now
    /// are refused, never changed to fit.
    pub async fn insert_block<T>(
        &self,
        table: &str,
        token: &str,
        rows: &[T],
    ) -> Result<(), StoreError>
    where
        T: Row + Serialize,
    {
        self.insert_rows(table, token, rows.iter()).await
    }

    /// The same for rows that do not lie in one place. They are gone through again where the table was changed.
    pub async fn insert_rows<'a, T>(
        &self,
        table: &str,
        token: &str,
        rows: impl Iterator<Item = &'a T> + Clone,
    ) -> Result<(), StoreError>
    where
        T: Row + Serialize + 'a,
    {
        if rows.clone().next().is_none() {
            return Ok(());
        }
        if token.is_empty() {
            return Err(StoreError::rejected("an insert needs a token"));
        }
        let types = self.types_of(table).await?;
        let rejected = match self.insert_as(table, token, rows.clone(), &types).await {
            Err(error) if error.class() == Class::Rejected => error,
            other => return other,
        };
        self.forget_table(table);
        let now = self.types_of(table).await?;
        if now == types {
            return Err(rejected);
        }
        if let Some(column) = turned(T::COLUMN_NAMES, &types, &now) {
            let text = format!("{table}: column `{column}` counts in other units now");
            return Err(StoreError::rejected(text));
        }
        self.insert_as(table, token, rows, &now).await
    }

    /// The same for a table whose columns have these types.
    async fn insert_as<'a, T>(
        &self,
        table: &str,
        token: &str,
        rows: impl Iterator<Item = &'a T>,
        types: &Types,
    ) -> Result<(), StoreError>
    where
        T: Row + Serialize + 'a,
    {
        let block = block_of(rows, types)
            .map_err(|error| StoreError::rejected(format!("{table}: {error}")))?;
        let client = self.official()?;
        let more = self.of_inserts().iter();
        let more = more.map(|(name, value)| (*name, value.as_str()));
        let statement = format!(
            "INSERT INTO `{table}` (`{}`) FORMAT Native",
            T::COLUMN_NAMES.join("`, `")
        );
        let insert = async {
            let mut insert = settings(token).chain(more).fold(
                client.insert_formatted_with(statement),
                |insert, (name, value)| insert.with_setting(name, value),
            );
            for piece in block.encode() {
                insert.send(piece).await?;
            }
            insert.end().await
        };
        within(INSERT_TIMEOUT, insert).await
    }
}

/// Rows as columns of the table's types.
fn block_of<'a, T: Row + Serialize + 'a>(
    rows: impl Iterator<Item = &'a T>,
    types: &Types,
) -> Result<Block, NativeError> {
    let with_type = |name: &&'static str| {
        let kind = types.get(*name).map(|kind| (*name, kind.as_str()));
        kind.ok_or_else(|| NativeError::Row(format!("the table has no column `{name}`")))
    };
    let columns: Vec<_> = T::COLUMN_NAMES
        .iter()
        .map(with_type)
        .collect::<Result<_, _>>()?;
    let mut block = Block::new(columns.into_iter())?;
    for row in rows {
        if block.rows() == MAX_BLOCK_ROWS {
            let text = format!("more rows than one block of {MAX_BLOCK_ROWS}");
            return Err(NativeError::Row(text));
        }
        block.push(row)?;
    }
    Ok(block)
}

/// A column that was a count and is a time now, or the other way round, or whose amounts have other places: the numbers are as wide, and
/// mean other things.
fn turned(columns: &[&'static str], before: &Types, now: &Types) -> Option<&'static str> {
    let scaled = |types: &Types, name: &str| {
        let kind = types.get(name).map(ToString::to_string);
        kind.filter(|kind| kind.contains("DateTime64") || kind.contains("Decimal"))
    };
    let is_other = |name: &&&'static str| scaled(before, name) != scaled(now, name);
    columns.iter().find(is_other).copied()
}

fn settings(token: &str) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("async_insert", "0"),
        ("insert_deduplicate", "1"),
        ("insert_deduplication_token", token),
        // Copies within a block go when parts are merged, as those of other blocks do: looking for them here is most of the work.
        ("optimize_on_insert", "0"),
        ("max_insert_block_size", BLOCK_ROWS),
        ("min_insert_block_size_rows", BLOCK_ROWS),
        ("min_insert_block_size_bytes", BLOCK_BYTES),
        ("input_format_parallel_parsing", "0"),
        // A block is of the table's types as they were known. Of other types the engine would make what it can: 0 of what is not known,
        // and what is left of a number that is too large. (Numbers of names it takes as they are.)
        ("input_format_null_as_default", "0"),
        ("input_format_native_allow_types_conversion", "0"),
        ("max_insert_threads", "1"),
        ("wait_end_of_query", "1"),
        ("max_execution_time", SERVER_TIMEOUT_SECONDS),
    ]
    .into_iter()
}
