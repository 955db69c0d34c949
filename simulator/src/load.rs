//! Load for a gateway or a provider: open loop, where latency counts from the moment a request was due, or closed.
//! It knows `OpenAI`'s chat API as a client does and nothing of who answers.

mod chunked;
mod client;
mod client_log;
mod cpu;
mod observe;
mod report;
mod run;
mod schedule;
mod settings;
mod stats;

pub use client::HangUp;
pub use client_log::{ClientLine, Seen as Outcome};
pub use cpu::{CpuError, CpuReport, Watch};
pub use report::{Latency, LoadReport};
pub use run::{Load, LoadError, LoadRun};
pub use settings::{LoadRequest, LoadSettings, Pace, Stop};
