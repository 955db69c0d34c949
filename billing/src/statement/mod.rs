//! A day as a signed statement: what was numbered, what is there, both verdicts, and tree hashes over the records. No
//! price, no text of a tenant. Checked offline by whoever has the public key.
//!
//! The form is a signed note (C2SP `signed-note`, Ed25519): one line of canonical JSON (RFC 8785), an empty line, the
//! signature. What must not live here: how a period is checked, see `completeness`; files.

mod canonical;
mod document;
mod note;

pub use canonical::canonical;
pub use document::{BadStatement, Document, Subject};
pub use note::{BadKey, BadNote, PublicKey, SigningKey, open};
