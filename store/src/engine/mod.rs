//! The embedded engine's process: a loopback listener that speaks ClickHouse's HTTP interface over the engine's library.
//!
//! The listener is a door and is built like one: loopback only, passwords, Host header, settings from a list, bounds on
//! bodies, results and time, a fresh session a request, the whole process fenced in by the kernel.

mod auth;
mod body;
mod claim;
mod fence;
mod ffi;
mod host;
mod http;
mod lexer;
mod library;
mod parent;
mod reader;
mod refusal;
mod request;
mod serve;
mod session;
mod settings;
mod sql;

pub use fence::{FenceStatus, landlock_status};
pub use library::{ENGINE_VERSION, PACKAGE_VERSION, library_path};
pub(crate) use parent::{Failed, Greeting, Hello};
pub(crate) use refusal::exception_code;
pub use serve::{Options, ServeError, Started, serve};
