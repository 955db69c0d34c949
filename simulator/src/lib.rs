//! A provider to test against: `OpenAI`'s and Azure's shapes, latency, faults, recorded answers, and the truth of
//! what it did.
//! It knows nothing of the gateway or of any other crate of ours: what it counts, it counts itself.

pub mod load;

mod api;
mod apis;
mod body;
mod call;
mod calls;
mod carrier;
mod config;
mod connection;
mod control;
mod directive;
mod errors;
mod fate;
mod head;
mod keys;
mod limits;
mod models;
mod plain;
mod prompt;
mod replay;
mod routes;
mod seen;
mod server;
mod settings;
mod stream;
mod target;
mod tokens;
mod truth;
mod upload;
mod usage;
mod verdict;
mod words;

pub use api::{Api, Dialect};
pub use config::Config;
pub use control::{Control, ControlError};
pub use directive::{Directive, DirectiveError};
pub use fate::{Break, Content, Cut, Fate, Filter, Framing, Head, Place, Shape, Tools};
pub use replay::{Recorded, ReplayError, Replays, Whose};
pub use seen::SeenRequest;
pub use server::Simulator;
pub use settings::{Count, FinishReason, ModelSettings, PromptCount, Settings, WriteMode};
pub use tokens::Encoding;
pub use truth::{
    AnswerRecord, End, Record, RequestRecord, Summary, SummaryLine, TruthLog, Unit, Units, UseLine,
};
pub use usage::{BadUsage, UsageMode};
