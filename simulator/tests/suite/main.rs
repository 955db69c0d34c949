//! The simulator and the load generator from outside: over HTTP, and through their handles.

mod chat;
mod common;
mod control;
mod faults;
mod load;
mod tokens;
