//! Every way a call can go wrong on the wire: the bytes that an app or a provider sends, what the app must get, and what
//! the record must say. Suites choose the secrets and texts that the bytes carry; the claims about them are theirs.

mod call;
mod odd;
mod refused;
mod spoilt;

pub use call::{CHAT, Carried, Case, bearer, good_body};
pub use odd::{OddProviders, plan};
pub use refused::refused;
pub use spoilt::spoilt;
