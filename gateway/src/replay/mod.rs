//! Forms that can be sent again: what passes is kept until the provider has answered.

mod kept;
mod room;
mod source;

pub use room::Room;
pub use source::{Hold, Pass, Replay};
