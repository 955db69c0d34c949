//! Completeness and integrity over the real engine.

mod books;
mod claims;
mod losses;
mod measure;
mod statement;
mod taken;
