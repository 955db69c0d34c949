//! Golden bytes and JSON Schemas of every record: what has been written must be readable for ever, and what the schema
//! says must be what the code does.
//!
//! Version 1 is frozen. `UPDATE_GOLDEN=1 cargo test -p schemas` writes files that are not, such as those of a version to come.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a failure is a failed test"
)]

mod bytes;
mod calls;
mod digests;
mod drafts;
mod envelopes;
mod files;
mod fixtures;
mod frozen;
mod json_schemas;
mod lives;
mod numbers;
