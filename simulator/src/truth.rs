//! What the simulator really received and really did, to check a meter against.

mod guard;
mod log;
mod record;
mod summary;
mod units;

pub(crate) use guard::{AnswerGuard, Received, now_us};
pub use log::TruthLog;
pub use record::{AnswerRecord, End, Record, RequestRecord};
pub use summary::{Summary, SummaryLine};
pub use units::{Unit, Units, UseLine};
