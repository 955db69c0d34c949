//! Events, ids, units, money, the cut rule, prices, topics and rows.
//!
//! Everything here is a pure function of its arguments: no async, no I/O, no clock, no randomness.
//! What must not live here: Kafka, HTTP, the ClickHouse client, files.

pub mod admission;
pub mod cluster;
pub mod cut;
pub mod decode;
mod encode;
pub mod enums;
pub mod event;
pub mod fs_names;
pub mod heartbeat;
pub mod id;
pub mod migrations;
pub mod money;
pub mod name;
pub mod price;
pub mod producer;
pub mod promises;
pub mod rated;
pub mod rows;
pub mod time;
pub mod topics;
pub mod units;
mod upcast;
pub mod wire;

pub use admission::Admission;
pub use cut::{CutRule, Cutter};
pub use decode::{DeadLetter, Decoded, decode};
pub use enums::{
    Api, AuthMethod, Billable, Capacity, ClockQuality, Durability, Outcome, ProducerKind,
    RouteReason, UsageQuality, UsageSource,
};
pub use event::{Attempt, LimitHit, Line, UsageEvent};
pub use heartbeat::Heartbeat;
pub use id::{Boot, EventId};
pub use money::{Currency, Money, Rate};
pub use name::Text;
pub use price::{Price, PriceBook, PriceError};
pub use producer::{Exposure, ProducerRecord, ProducerState};
pub use rows::{AuditRow, Columns, CutRow, ProducerRow, UsageRow};
pub use time::{Clock, Micros};
pub use topics::Topic;
pub use units::{Unit, Units};
pub use wire::{RecordKind, WIRE_VERSION};
