//! Makes the rows of `schemas` insertable by the ClickHouse client. What a row holds, and in which order, must not live here.

use clickhouse::Row;
use schemas::rows::Columns;
use serde::{Serialize, Serializer};

/// A row of `schemas` as the client takes it: the same bytes, the same columns.
#[derive(Clone, Debug, PartialEq)]
#[repr(transparent)]
pub struct Stored<C>(pub C);

impl<C: Serialize> Serialize for Stored<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not as a newtype struct: the client looks at the names of those.
        self.0.serialize(serializer)
    }
}

/// By hand, against the advice of the trait: `schemas` must not know the client, so its rows cannot derive `Row`, and a second
/// set of structs here would have to be kept equal to the first. The column list is `schemas`' own; the tests insert a full row
/// of every table, so that a change of the trait in a later version of the client is found.
impl<C: Columns + 'static> Row for Stored<C> {
    const NAME: &'static str = C::TABLE;
    const COLUMN_NAMES: &'static [&'static str] = C::COLUMNS;
    const COLUMN_COUNT: usize = C::COLUMNS.len();
    const KIND: clickhouse::_priv::RowKind = clickhouse::_priv::RowKind::Struct;

    type Value<'a> = Self;
}
