//! For tests: file layers that forget, fail and fill up. Nothing here is used in production;
//! it is public so that end-to-end tests can run the whole gateway on it.

mod faults;
mod layer;
mod memory;
mod pages;
mod power;

pub use faults::{Effect, Operation};
pub use layer::FaultLayer;
pub use memory::MemoryLayer;
pub use power::Survival;
