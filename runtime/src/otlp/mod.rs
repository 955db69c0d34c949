//! Spans to a collector: OTLP over HTTP in protobuf, from a bounded queue by a thread of its own. What a span says must
//! not live here.

mod counts;
mod exporter;
mod message;
mod post;
mod settings;

pub use counts::{Counts, Fate};
pub use exporter::{Exporter, StartError, Worker};
pub use message::{KeyValue, Span, SpanKind, Status, StatusCode, value};
pub use settings::{Header, Settings, SettingsError, Target};
