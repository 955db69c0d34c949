//! Recorded answers: kept by number, played on order, byte for byte and cut where a test wants it cut.
//! `POST /replay` keeps one (the fields are those of `Recorded`, with `body` or `body_base64`), and says which
//! number it has; the order `replay=ID`, or a place in the queue of a nonce or a key, plays it.

mod kept;
mod script;
mod upload;

pub use kept::{Recorded, ReplayError, Replays, Whose};
pub(crate) use script::Replay;
pub(crate) use upload::read;
