//! The audit trail: every request of the set, who asked, what was decided, and where its record stands in the log.
//!
//! What must not live here: prices. The trail says what happened; the report says what it costs.

mod cursor;
mod event;
mod filter;
mod instant;
mod query;

pub use cursor::{BadCursor, Cursor};
pub use event::{AuditEvent, EventLine, Page};
pub use filter::{BadFilter, Filter, LabelFilter, MAX_LIMIT};
pub use instant::{BadInstant, instant};
pub use query::query;
