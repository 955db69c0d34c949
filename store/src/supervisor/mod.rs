//! The parent's side of the engine's process: start it, start it again when it dies, say where it is, stop it in order.
//! It loads no engine and serves no request.

mod backoff;
mod child;
mod watch;

pub(crate) use child::Child;
pub use child::{Options, StartError};
pub(crate) use watch::current_url;
pub use watch::{Fault, State, Supervisor};
