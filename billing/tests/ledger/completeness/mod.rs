//! Completeness and integrity over the real engine.

mod books;
mod claims;
mod losses;
mod measure;
mod silence;
mod statement;
mod taken;
mod unclaimed;
