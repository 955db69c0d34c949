//! Style as a test: what the contributing rules say of every file, and that documents say what is there. It reads the
//! tree's text and nothing else; what clippy and cargo-deny check is theirs.

mod crates;
mod documents;
mod sources;
mod tree;
