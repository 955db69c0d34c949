//! The rows of `audit_log` and `cuts`: every record of the log, and what was between two of its boundaries.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::macros::row;
use super::parts::{Columns, Raw, UuidHalves};
use crate::name::Text;

row! {
    /// One row for every record of the log; copies stay visible.
    AuditRow in "audit_log" {
        /// The log.
        topic: Text,
        /// Its partition.
        partition: i32,
        /// The record's place.
        offset: i64,
        /// What became of it.
        fate: i8,
        /// Why it is a dead letter; of an event that was put back for one, `replay of` where that one stands; else empty.
        reason: String,
        /// The event; all zero for other records.
        event_id: UuidHalves,
        /// Who pays.
        tenant: Text,
        /// The gateway.
        producer: Text,
        /// Its start.
        boot: Text,
        /// Its number; null for other records.
        producer_seq: Option<i64>,
        /// Measured at admission; 0 for other records.
        received: i64,
        /// RFC 6962 leaf hash of `bytes`.
        leaf: [u8; 32],
        /// The record, never re-encoded.
        bytes: Raw,
    }
}

row! {
    /// One row a batch: what was between two boundaries of the log.
    CutRow in "cuts" {
        /// The log.
        topic: Text,
        /// Its partition.
        partition: i32,
        /// The place after the previous batch.
        first: i64,
        /// The place of the batch's last record.
        last: i64,
        /// How many records.
        records: i64,
        /// How many of them are usage events.
        events: i64,
        /// How many of them are dead letters.
        dead_letters: i64,
        /// SHA-256 over the leaf hashes in the order of their places.
        digest: [u8; 32],
        /// 0, or how often the batch has been repaired.
        repair_epoch: u32,
    }
}
