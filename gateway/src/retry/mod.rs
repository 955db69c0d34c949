//! Calls that are made again: which, when, and what becomes of the one that failed.

mod again;
mod policy;
mod told;

pub use again::{Again, Next, Outgoing, Resend};
pub use policy::{On, Policy};
