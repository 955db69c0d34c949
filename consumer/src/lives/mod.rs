//! What producers say of themselves, on its way into the store; and what of it the store does not have. Reading the log that it
//! comes from must not live here.

mod boot;
mod facts;
mod gaps;
mod intake;
mod journal;
mod report;
mod waiting;
mod watch;

pub use intake::Aside;
pub(crate) use intake::{Lives, Newer, insert};
pub(crate) use journal::watch_journal;
pub(crate) use report::Board;
pub use report::{Gap, ProducerNews, Report};
pub(crate) use waiting::Waiting;
pub(crate) use watch::{Log, Watch};
