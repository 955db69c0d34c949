//! The sink audit: is everything that was committed still in the store, whole and once? What is not is inserted again from
//! the log. It never changes the log and never deletes.

mod auditor;
mod facts;
mod older;
mod repair;
mod rest;
mod verdict;

pub(crate) use self::auditor::Auditor;
pub(crate) use self::repair::{Repaired, Wanted, repair};
