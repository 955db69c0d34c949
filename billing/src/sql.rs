//! What the queries of this crate share.

use schemas::Micros;

/// A literal of the type of `received`.
pub(crate) fn instant(at: Micros) -> String {
    format!("fromUnixTimestamp64Micro(toInt64({}), 'UTC')", at.0)
}
