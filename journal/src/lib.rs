//! The gateway's local durable log: segments, group fsync, recovery, cursors.
//! Payloads are opaque bytes with a one-byte kind; what a record means must not live here.

mod boot;
pub mod cursor;
mod damage;
mod durable;
mod error;
mod frame;
mod header;
mod journal;
mod layer;
mod offline;
mod open;
mod options;
mod quarantine;
mod reader;
mod real;
mod recover;
mod reservation;
mod room;
mod scan;
mod segments;
mod shared;
mod stats;
mod suspect;
mod sync;
pub mod testing;
mod ticket;
mod writer;

pub use crate::boot::Boot;
pub use crate::damage::{Alarm, Damage, DamageCause};
pub use crate::error::{AppendError, OpenError, Poisoned, ReadError, SettleError};
pub use crate::frame::{BOOT_KIND, FRAME_HEADER_BYTES, Frame, Lane, MAX_PAYLOAD_BYTES};
pub use crate::journal::Journal;
pub use crate::layer::{FileLayer, LayerFile, LayerLock, OpenMode};
pub use crate::offline::OfflineReader;
pub use crate::options::Options;
pub use crate::reader::{Item, Reader};
pub use crate::real::RealLayer;
pub use crate::recover::Recovery;
pub use crate::reservation::Reservation;
pub use crate::shared::Synced;
pub use crate::stats::Stats;
pub use crate::ticket::Ticket;
