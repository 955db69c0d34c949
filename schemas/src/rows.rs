//! The rows of the store: a pure function of a log record's bytes and its place.
//!
//! Enums are written as their numbers (`Enum8`), times as microseconds (`DateTime64(6)`), unit counts as one
//! `Nullable(Int64)` column each. What a row says of money: nothing, rating belongs to billing.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::decode::Decoded;
use crate::event::{Line, UsageEvent};
use crate::name::Text;
use crate::units::{Unit, Units};

/// A table's row: its name and its columns, in the order of serialisation.
pub trait Columns: Serialize {
    /// The table.
    const TABLE: &'static str;
    /// The columns.
    const COLUMNS: &'static [&'static str];
}

/// Where a record stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// `journal:<producer>:<the journal's identity>`, or the id of a Kafka topic.
    pub topic: Text,
    /// Partition; 0 for a journal.
    pub partition: i32,
}

/// What became of a log record. Numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Fate {
    /// A usage event.
    Event = 1,
    /// A cut.
    Cut = 2,
    /// Unreadable, kept whole.
    DeadLetter = 3,
}

impl Fate {
    /// Names and numbers, as the store's `Enum8` has them.
    pub const NAMES: &'static [(&'static str, i8)] =
        &[("event", 1), ("cut", 2), ("dead_letter", 3)];
}

/// Defines a row struct together with its column list.
macro_rules! row {
    ($(#[$doc:meta])* $name:ident in $table:literal { $($(#[$field_doc:meta])* $field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),+ }

        impl Columns for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];
        }

        impl $name {
            /// Writes every column into a larger row.
            fn serialize_into<S: SerializeStruct>(&self, row: &mut S) -> Result<(), S::Error> {
                $(row.serialize_field(stringify!($field), &self.$field)?;)+
                Ok(())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut row = serializer.serialize_struct(stringify!($name), Self::COLUMNS.len())?;
                self.serialize_into(&mut row)?;
                row.end()
            }
        }
    };
}

/// Bytes as they are, UTF-8 or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A UUID as `RowBinary` writes it: two halves.
type UuidHalves = (u64, u64);

fn halves(uuid: Uuid) -> UuidHalves {
    uuid.as_u64_pair()
}

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
        /// Why it is a dead letter; empty otherwise.
        reason: String,
        /// The event; all zero for other records.
        event_id: UuidHalves,
        /// Who pays.
        tenant: Text,
        /// The gateway.
        producer: Text,
        /// Its start.
        boot: String,
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

/// One usage event as a row of `usage_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// All columns but the unit counts.
    pub head: UsageHead,
    /// The unit counts of the first line.
    pub units: Units,
}

row! {
    /// The columns of `usage_events` before the unit counts.
    UsageHead in "usage_events" {
        /// The log the record came from.
        topic: Text,
        /// Its partition.
        partition: i32,
        /// Its place there.
        offset: i64,
        /// The greater one wins between two records of one event.
        version: u64,
        /// The identity.
        event_id: UuidHalves,
        /// Given back to the app.
        request_id: Text,
        /// The gateway.
        producer: Text,
        /// Its start.
        boot: String,
        /// Its number.
        producer_seq: i64,
        /// Who pays.
        tenant: Text,
        /// What for.
        project: Text,
        /// Which credential.
        key_id: Text,
        /// Pseudonym.
        principal: Option<Text>,
        /// How verified.
        auth_method: i8,
        /// Pseudonym.
        conversation: Option<Text>,
        /// Claims.
        labels: Vec<(Text, Text)>,
        /// Which API.
        api: i8,
        /// Asked for a stream.
        stream: bool,
        /// As asked.
        model_requested: Text,
        /// As named by the provider.
        model_served: Option<Text>,
        /// The route.
        route: Option<Text>,
        /// The backend.
        deployment: Option<Text>,
        /// Who runs it.
        provider: Option<Text>,
        /// Where.
        region: Option<Text>,
        /// Global, zone, region.
        data_zone: Option<Text>,
        /// How its capacity is paid; null when refused.
        capacity: Option<i8>,
        /// Why this backend.
        route_reason: Option<i8>,
        /// Measured at admission.
        received: i64,
        /// Let in or refused.
        admitted: i64,
        /// First byte to the app.
        first_byte: Option<i64>,
        /// The end.
        completed: i64,
        /// Microseconds in the provider.
        upstream_us: Option<i64>,
        /// Microseconds in us.
        gateway_us: Option<i64>,
        /// Our clock against the log's.
        clock_quality: i8,
        /// Where the units come from.
        usage_source: i8,
        /// Whether they add up.
        usage_quality: i8,
        /// All that the provider said about usage.
        usage_raw: Option<String>,
        /// By the provider's rules.
        billable: i8,
        /// On no bill.
        synthetic: bool,
        /// The final fate.
        outcome: i8,
        /// Machine code beside it.
        outcome_detail: Option<Text>,
        /// HTTP status given to the app.
        status: Option<u16>,
        /// As the provider said.
        finish_reason: Option<Text>,
        /// Which limit refused: level, kind, id.
        limit_hit: Option<String>,
        /// Backends called.
        attempt_deployments: Vec<Text>,
        /// How each call ended.
        attempt_outcomes: Vec<i8>,
        /// HTTP status of each; 0 where there was none.
        attempt_statuses: Vec<u16>,
        /// The provider's ids; empty where there was none.
        attempt_provider_request_ids: Vec<Text>,
        /// Bytes from the app.
        request_bytes: i64,
        /// Bytes to the app.
        response_bytes: i64,
        /// What admission reserved.
        estimated_units: Vec<(Text, i64)>,
        /// The price book in force.
        price_version: Option<Text>,
        /// The configuration in force.
        config_digest: Text,
        /// The promised level.
        durability: i8,
        /// Whether it was missed.
        durability_degraded: bool,
        /// How many requests it stands for.
        count: i64,
        /// The model that is priced; null where nothing was used.
        model: Option<Text>,
        /// As reported.
        service_tier: Option<Text>,
        /// As reported.
        speed: Option<Text>,
        /// As reported.
        geography: Option<Text>,
        /// Models of the second and later lines.
        extra_models: Vec<Text>,
        /// Their service tiers; empty where not reported.
        extra_service_tiers: Vec<Text>,
        /// Their units.
        extra_units: Vec<Vec<(Text, i64)>>,
    }
}

const UNIT_COUNT: usize = Unit::ALL.len();
const HEAD_COUNT: usize = UsageHead::COLUMNS.len();

const USAGE_COLUMNS: [&str; HEAD_COUNT + UNIT_COUNT] = {
    let mut columns = [""; HEAD_COUNT + UNIT_COUNT];
    let mut at = 0;
    while at < HEAD_COUNT {
        columns[at] = UsageHead::COLUMNS[at];
        at += 1;
    }
    let mut unit = 0;
    while unit < UNIT_COUNT {
        columns[HEAD_COUNT + unit] = Unit::ALL[unit].as_str();
        unit += 1;
    }
    columns
};

impl Columns for UsageRow {
    const TABLE: &'static str = UsageHead::TABLE;
    const COLUMNS: &'static [&'static str] = &USAGE_COLUMNS;
}

impl Serialize for UsageRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("UsageRow", USAGE_COLUMNS.len())?;
        self.head.serialize_into(&mut row)?;
        for unit in Unit::ALL {
            row.serialize_field(unit.as_str(), &self.units.get(*unit))?;
        }
        row.end()
    }
}

/// RFC 6962: the hash of a leaf.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

/// Digest of a batch: SHA-256 over its leaf hashes in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct BatchDigest(Sha256);

impl BatchDigest {
    /// Takes the next leaf hash.
    pub fn push(&mut self, leaf: &[u8; 32]) {
        self.0.update(leaf);
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The audit row of a record, and its usage row if it is an event.
///
/// `None` for a record of a newer version: there is no row, the reader must stop.
#[must_use]
pub fn rows_of(
    source: &Source,
    offset: i64,
    bytes: &[u8],
    decoded: &Decoded,
) -> Option<(AuditRow, Option<UsageRow>)> {
    let leaf = leaf_hash(bytes);
    let audit = |fate: Fate, reason: String| AuditRow {
        topic: source.topic.clone(),
        partition: source.partition,
        offset,
        fate: fate as i8,
        reason,
        event_id: (0, 0),
        tenant: Text::default(),
        producer: Text::default(),
        boot: String::new(),
        producer_seq: None,
        received: 0,
        leaf,
        bytes: Raw(bytes.to_vec()),
    };
    match decoded {
        Decoded::Newer(_) => None,
        Decoded::Cut => Some((audit(Fate::Cut, String::new()), None)),
        Decoded::DeadLetter(reason) => Some((audit(Fate::DeadLetter, reason.to_string()), None)),
        Decoded::Event(event) => {
            let row = AuditRow {
                event_id: halves(event.event_id.as_uuid()),
                tenant: event.tenant.clone(),
                producer: event.producer.clone(),
                boot: event.boot.to_string(),
                producer_seq: Some(event.producer_seq),
                received: event.received_us.0,
                ..audit(Fate::Event, String::new())
            };
            Some((row, Some(usage_row(source, offset, &leaf, event))))
        }
    }
}

/// Rank of the figures first; between equals a digest of the bytes, so that every reader chooses alike.
fn version_of(event: &UsageEvent, leaf: &[u8; 32]) -> u64 {
    let known = event.outcome != crate::enums::Outcome::Unknown;
    let rank = u64::from(known) << 3 | u64::from(event.usage_source.rank());
    let [a, b, c, d, ..] = *leaf;
    rank << 32 | u64::from(u32::from_be_bytes([a, b, c, d]))
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "the closed lists have fewer than 128 values"
)]
fn number(value: u8) -> i8 {
    value as i8
}

#[expect(
    clippy::too_many_lines,
    reason = "one line a column reads better than parts"
)]
fn usage_row(source: &Source, offset: i64, leaf: &[u8; 32], event: &UsageEvent) -> UsageRow {
    let first = event.lines.first();
    let extra = event.lines.get(1..).unwrap_or_default();
    let head = UsageHead {
        topic: source.topic.clone(),
        partition: source.partition,
        offset,
        version: version_of(event, leaf),
        event_id: halves(event.event_id.as_uuid()),
        request_id: event.request_id.clone(),
        producer: event.producer.clone(),
        boot: event.boot.to_string(),
        producer_seq: event.producer_seq,
        tenant: event.tenant.clone(),
        project: event.project.clone(),
        key_id: event.key_id.clone(),
        principal: event.principal.clone(),
        auth_method: number(event.auth_method.number()),
        conversation: event.conversation.clone(),
        labels: event
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        api: number(event.api.number()),
        stream: event.stream,
        model_requested: event.model_requested.clone(),
        model_served: event.model_served.clone(),
        route: event.route.clone(),
        deployment: event.deployment.clone(),
        provider: event.provider.clone(),
        region: event.region.clone(),
        data_zone: event.data_zone.clone(),
        capacity: event.capacity.map(|c| number(c.number())),
        route_reason: event.route_reason.map(|r| number(r.number())),
        received: event.received_us.0,
        admitted: event.admitted_us.0,
        first_byte: event.first_byte_us.map(|t| t.0),
        completed: event.completed_us.0,
        upstream_us: event.upstream_us,
        gateway_us: event.gateway_us,
        clock_quality: number(event.clock_quality.number()),
        usage_source: number(event.usage_source.number()),
        usage_quality: number(event.usage_quality.number()),
        usage_raw: event.usage_raw.clone(),
        billable: number(event.billable.number()),
        synthetic: event.synthetic,
        outcome: number(event.outcome.number()),
        outcome_detail: event.outcome_detail.clone(),
        status: event.status,
        finish_reason: event.finish_reason.clone(),
        limit_hit: event
            .limit_hit
            .as_ref()
            .map(|l| format!("{}/{}/{}", l.level, l.kind, l.id)),
        attempt_deployments: event
            .attempts
            .iter()
            .map(|a| a.deployment.clone())
            .collect(),
        attempt_outcomes: event
            .attempts
            .iter()
            .map(|a| number(a.outcome.number()))
            .collect(),
        attempt_statuses: event
            .attempts
            .iter()
            .map(|a| a.status.unwrap_or(0))
            .collect(),
        attempt_provider_request_ids: event
            .attempts
            .iter()
            .map(|a| a.provider_request_id.clone().unwrap_or_default())
            .collect(),
        request_bytes: event.request_bytes,
        response_bytes: event.response_bytes,
        estimated_units: pairs(&event.estimated_units),
        price_version: event.price_version.clone(),
        config_digest: event.config_digest.clone(),
        durability: number(event.durability.number()),
        durability_degraded: event.durability_degraded,
        count: event.count,
        model: first.map(|line| line.model.clone()),
        service_tier: first.and_then(|line| line.service_tier.clone()),
        speed: first.and_then(|line| line.speed.clone()),
        geography: first.and_then(|line| line.geography.clone()),
        extra_models: extra.iter().map(|line| line.model.clone()).collect(),
        extra_service_tiers: extra.iter().map(tier_or_empty).collect(),
        extra_units: extra.iter().map(|line| pairs(&line.units)).collect(),
    };
    UsageRow {
        head,
        units: first.map(|line| line.units.clone()).unwrap_or_default(),
    }
}

fn tier_or_empty(line: &Line) -> Text {
    line.service_tier.clone().unwrap_or_default()
}

fn pairs(units: &Units) -> Vec<(Text, i64)> {
    units
        .iter()
        .map(|(unit, count)| (Text::cut(unit.as_str()), count))
        .collect()
}
