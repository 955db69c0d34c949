//! Dead letters: records that nobody could read, what became of each, and how one is put back. Pure, but for `kept` and `stored`.
//!
//! The topic of dead letters is a log like others, and decides: the first replay of a letter that stands in it says which bytes go
//! back. Whoever replays the same letter, how often, at the same time or after a crash, sends these bytes; copies of them collapse
//! by the event's identity. What must not live here: a client, printing.

mod fold;
mod judge;
mod kept;
mod letter;
mod stored;

pub use fold::{Entry, TooMany, fold};
pub use judge::{Refused, to_replay};
pub(crate) use kept::{Unused, keep};
pub use kept::{beside, kept};
pub use letter::{Letter, LetterPlace, LetterState, class_of};
pub use stored::{StoredError, stored};
