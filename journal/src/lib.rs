//! The gateway's local durable log: segments, group fsync, recovery, cursors.
//! Payloads are opaque bytes with a one-byte kind; what a record means must not live here.
//!
//! What holds, whatever is killed:
//! 1. A frame whose `append` returned survives the process; one whose ticket is synced survives
//!    the machine.
//! 2. Readers see the synced prefix only, so nothing that was read can be taken back.
//! 3. An open reservation has real, preallocated room for its outcome.
//! 4. Positions are dense, and one that was synced is not used again. (Rot in the very last
//!    frame can not be told from a torn write: that tail is quarantined, reported, and reused;
//!    the boot tells the two apart.)
//! 5. A failed sync ends the journal until a restart; the start then writes the doubtful pages
//!    again before it believes them.
//! 6. Bytes that are no frame are copied to `quarantine/` before anything is cut, and reported.
//!
//! Files in the directory: `{base position}.seg` segments, `{number}.new` preallocated spares (and a
//! segment whose new name the directory could not take, until the next start),
//! `boot` (counter, nonce, salt), `journal.lock`, `suspect` (only after a failed sync).

mod boot;
pub mod cursor;
mod damage;
mod durable;
mod error;
mod frame;
mod header;
mod journal;
mod lane;
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
mod writers;

pub use crate::boot::Boot;
pub use crate::damage::{Alarm, Damage, DamageCause};
pub use crate::error::{AppendError, OpenError, Poisoned, ReadError, SettleError};
pub use crate::frame::{BOOT_KIND, FRAME_HEADER_BYTES, Frame, Lane, MAX_PAYLOAD_BYTES};
pub use crate::journal::Journal;
pub use crate::layer::{FileLayer, LayerDir, LayerFile, LayerLock, OpenMode};
pub use crate::offline::OfflineReader;
pub use crate::open::lock_dir;
pub use crate::options::Options;
pub use crate::reader::{Item, Reader};
pub use crate::real::RealLayer;
pub use crate::recover::Recovery;
pub use crate::reservation::Reservation;
pub use crate::shared::Synced;
pub use crate::stats::Stats;
pub use crate::ticket::Ticket;
