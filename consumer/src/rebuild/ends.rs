//! Up to where the old tables have each log: the consumer's mark and the last cut, whichever is further. What lies beyond was begun
//! at most, and whoever consumes next reads it from the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal::RealLayer;
use journal::cursor::Cursor;
use schemas::rows::Source as Place;
use store::Client;

use super::error::RebuildError;
use crate::commit::{Loaded, load};

/// The place after the last cut, by topic and partition.
pub type StoreEnds = BTreeMap<(String, i32), i64>;

/// ClickHouse's numbers for a table and a database that are not there.
pub(super) const NOT_THERE: [u32; 2] = [60, 81];

/// What the store's cuts say; nothing where the table was lost.
pub async fn store_ends(client: &Client) -> Result<StoreEnds, RebuildError> {
    const SQL: &str =
        "SELECT toString(topic), partition, max(last) FROM cuts GROUP BY topic, partition";
    match client.fetch_all::<(String, i32, i64)>(SQL).await {
        Ok(rows) => Ok(rows
            .into_iter()
            .map(|(topic, partition, last)| ((topic, partition), last + 1))
            .collect()),
        Err(error) if error.code().is_some_and(|code| NOT_THERE.contains(&code)) => {
            Ok(StoreEnds::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the cursor file of a journal's consumer says of this log.
pub fn cursor_end(path: &Path, place: &Place) -> Result<Option<i64>, RebuildError> {
    let cursor = Cursor::new(path, Arc::new(RealLayer));
    Ok(match load(&cursor, place)? {
        Loaded::Mark(mark) => Some(mark.committed),
        Loaded::Boundary(boundary) => Some(boundary),
        Loaded::Nothing | Loaded::OtherJournal { .. } => None,
    })
}
