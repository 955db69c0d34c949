//! Billing over HTTP: chargeback, audit trail, exports, prices and coverage for programs that hold a reader's token.
//!
//! Read only, and by the same functions as the command line, so the figures are the same to the digit. What must not
//! live here: what a figure means, SQL, and anything of an app's traffic.

mod answer;
mod audit;
mod book;
mod call;
mod completeness;
mod console;
mod download;
mod endpoint;
mod error;
mod exports;
mod lanes;
mod listener;
mod metrics;
mod openapi;
mod ops;
mod params;
mod prices;
mod readers;
mod reports;
mod router;
mod service;
mod settings;
mod spool;
mod work;

pub use book::Book;
pub use endpoint::{Access, ENDPOINTS, Endpoint, Kind, Member, Param};
pub use openapi::document;
pub use readers::{BadReaders, Readers};
pub use router::router;
pub use service::{LAST_WORDS, Running, Service, Start, StartError, start};
pub use settings::{May, ReaderSettings, Settings, Tenants};
