//! Secrets stay where they belong: no key, prompt or answer in any log, record, table, report or error, whatever goes
//! wrong; no claim of an app about itself is believed.

mod canaries;
mod claims;
mod identity;
