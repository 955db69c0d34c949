//! The simulator and the load generator from outside: over HTTP, and through their handles.

mod apis;
mod asked;
mod azure;
mod chat;
mod common;
mod control;
mod every_api;
mod faults;
mod load;
mod media;
mod refused;
mod replay;
mod responses;
mod tokens;
