//! Rows as one block of ClickHouse's `Native` format: columns, as they lie in the engine. It is read four times to ten times
//! as fast as `RowBinary`, which the client's crate writes (docs/adr/0014-native-blocks.md). What a table is, what a row holds and
//! how it is sent must not live here.
//!
//! Source: ClickHouse documentation, "Native" format; ClickHouse/ClickHouse, `src/Formats/NativeReader.cpp` and
//! `src/DataTypes/Serializations/SerializationLowCardinality.cpp`.

mod block;
mod column;
mod dictionary;
mod out;
mod value;

pub(crate) use block::Block;

/// A value does not fit its column, or a column has a type that nothing here is written to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NativeError {
    /// In a column.
    #[error("column `{column}` of type {kind}: {reason}")]
    Column {
        /// Its name.
        column: String,
        /// Its type in the table.
        kind: String,
        /// What does not fit.
        reason: String,
    },
    /// In the shape of a row.
    #[error("a row is not what its table takes: {0}")]
    Row(String),
}

impl serde::ser::Error for NativeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Row(message.to_string())
    }
}
