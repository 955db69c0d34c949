//! Traces: a request's place in its app's trace, and its spans, made from its usage event when the record is closed.
//! Never a prompt, an answer or a credential.
//!
//! What must not live here: sending (see `runtime::otlp`), what is billed: no record depends on a span.

mod attributes;
mod context;
mod route;
mod spans;
mod tracer;
mod vocabulary;

pub use context::TraceContext;
pub use spans::Target;
pub use tracer::Tracer;
