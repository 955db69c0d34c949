//! A provider to test against: `OpenAI`'s chat shapes, latency, faults, and the truth of what it did.
//! It knows nothing of the gateway or of any other crate of ours: what it counts, it counts itself.

pub mod load;

mod answer;
mod body;
mod chat;
mod config;
mod connection;
mod control;
mod directive;
mod errors;
mod fate;
mod keys;
mod limits;
mod models;
mod plain;
mod request;
mod routes;
mod seen;
mod server;
mod settings;
mod stream;
mod tokens;
mod truth;
mod usage;
mod words;

pub use config::Config;
pub use control::{Control, ControlError};
pub use directive::{Directive, DirectiveError};
pub use fate::{Break, Fate, Head, Place, Shape};
pub use seen::SeenRequest;
pub use server::Simulator;
pub use settings::{Count, FinishReason, ModelSettings, PromptCount, Settings, WriteMode};
pub use tokens::Encoding;
pub use truth::{AnswerRecord, End, Record, RequestRecord, Summary, SummaryLine, TruthLog};
pub use usage::{BadUsage, UsageMode};
