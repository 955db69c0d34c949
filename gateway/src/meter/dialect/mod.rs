//! Dialects: from what an answer said about itself to disjoint units, one module a dialect. Pure.
//!
//! What must not live here: where in an answer a figure stands (see `places`), what is estimated where a
//! provider says nothing, prices.

mod azure;
mod cerebras;
mod cost;
mod counts;
mod deepseek;
mod details;
mod fireworks;
mod google;
mod groq;
mod input;
mod mistral;
mod name;
mod ollama;
mod openai;
mod openrouter;
mod parse;
mod reading;
mod rules;
mod side;
mod together;
mod tokens;
mod tools;
mod vllm;
mod xai;

pub(super) use counts::has_figures;
pub use name::{Dialect, UnknownDialect};
pub(super) use parse::Name;
pub use parse::{Value, parse};
pub use reading::{Reading, ReadingLine, read};
