//! The usage event: the immutable record of one request, field by field.
//!
//! Every field is written and must be present when read; `null` means not known or not applicable, never 0.
//! `producer_seq` stands last, so that the record can be encoded before its number is drawn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::encode;
use crate::enums::{
    Api, AuthMethod, Billable, CacheKind, CacheStatus, Capacity, ClockQuality, Durability,
    LimitKind, LimitLevel, Outcome, RouteReason, UsageQuality, UsageSource,
};
use crate::id::{Boot, EventId};
use crate::name::Text;
use crate::time::Micros;
use crate::units::Units;

/// The most lines an event has.
pub const MAX_LINES: usize = 8;
/// The most attempts an event lists.
pub const MAX_ATTEMPTS: usize = 8;
/// The most labels an event carries.
pub const MAX_LABELS: usize = 32;
/// The longest `usage_raw`, in bytes.
pub const MAX_USAGE_RAW_BYTES: usize = 4 * 1024;
/// The first `producer_seq` of a boot.
pub const FIRST_PRODUCER_SEQ: i64 = 0;

/// What the client claimed about itself: names from the tenant's allow-list.
pub type Labels = BTreeMap<Text, Text>;

/// Reads a value that may be null but must be there.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Every field must be there; one that may be unknown is `null`, never left out.
pub(crate) fn require_all(schema: &mut schemars::Schema) {
    let names = schema
        .get("properties")
        .and_then(serde_json::Value::as_object);
    let names: Vec<String> = names
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default();
    schema.insert("required".to_owned(), names.into());
}

/// One request, finished. `ai.tollgate.usage.v1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct UsageEvent {
    /// The wire version.
    pub wire: Text,
    /// Minted at admission; the only identity.
    pub event_id: EventId,
    /// Given back as `x-request-id`.
    pub request_id: Text,
    /// The gateway's lasting identity.
    pub producer: Text,
    /// This start of the gateway.
    pub boot: Boot,
    /// Who pays; empty where no credential was verified.
    pub tenant: Text,
    /// What for.
    pub project: Text,
    /// Which credential.
    pub key_id: Text,
    /// Keyed pseudonym of whom the credential names.
    #[serde(deserialize_with = "present")]
    pub principal: Option<Text>,
    /// How the credential was verified.
    pub auth_method: AuthMethod,
    /// Ties calls together; pseudonym of the client's claim.
    #[serde(deserialize_with = "present")]
    pub conversation: Option<Text>,
    /// The client's claims, as the tenant allows.
    pub labels: Labels,
    /// Which API.
    pub api: Api,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// As asked.
    pub model_requested: Text,
    /// As the provider named it.
    #[serde(deserialize_with = "present")]
    pub model_served: Option<Text>,
    /// The model that is priced where no line names one: the route's, until the answer names another. Null when refused
    /// before routing.
    #[serde(deserialize_with = "present")]
    pub priced_as: Option<Text>,
    /// The route; null when refused before routing.
    #[serde(deserialize_with = "present")]
    pub route: Option<Text>,
    /// The backend.
    #[serde(deserialize_with = "present")]
    pub deployment: Option<Text>,
    /// Who runs the backend.
    #[serde(deserialize_with = "present")]
    pub provider: Option<Text>,
    /// Where it runs.
    #[serde(deserialize_with = "present")]
    pub region: Option<Text>,
    /// Global, zone or region.
    #[serde(deserialize_with = "present")]
    pub data_zone: Option<Text>,
    /// How its capacity is paid.
    #[serde(deserialize_with = "present")]
    pub capacity: Option<Capacity>,
    /// As the provider reported it.
    #[serde(deserialize_with = "present")]
    pub service_tier: Option<Text>,
    /// Why this backend.
    #[serde(deserialize_with = "present")]
    pub route_reason: Option<RouteReason>,
    /// Measured at admission, never rewritten; picks hour, period and price.
    pub received_us: Micros,
    /// When it was admitted or refused.
    pub admitted_us: Micros,
    /// First byte to the app.
    #[serde(deserialize_with = "present")]
    pub first_byte_us: Option<Micros>,
    /// Last byte to the app, or the end.
    pub completed_us: Micros,
    /// Microseconds in the provider, all attempts.
    #[serde(deserialize_with = "present")]
    pub upstream_us: Option<i64>,
    /// Microseconds in the gateway.
    #[serde(deserialize_with = "present")]
    pub gateway_us: Option<i64>,
    /// Whether the clock agrees with the log's.
    pub clock_quality: ClockQuality,
    /// Units by model; at most eight.
    #[schemars(length(max = 8))]
    pub lines: Vec<Line>,
    /// Where the units come from.
    pub usage_source: UsageSource,
    /// Whether they add up.
    pub usage_quality: UsageQuality,
    /// All that the provider said about usage, verbatim JSON of at most 4 KiB.
    #[serde(deserialize_with = "present")]
    #[schemars(length(max = 4096))]
    pub usage_raw: Option<String>,
    /// What the provider says it costs; never used as ours.
    #[serde(deserialize_with = "present")]
    pub provider_cost: Option<Text>,
    /// Currency of `provider_cost`.
    #[serde(deserialize_with = "present")]
    pub provider_cost_currency: Option<Text>,
    /// What admission reserved; never billed.
    pub estimated_units: Units,
    /// By the provider's own rules.
    pub billable: Billable,
    /// Demo or self-test traffic; on no bill.
    pub synthetic: bool,
    /// The one final fate.
    pub outcome: Outcome,
    /// Machine code beside the outcome.
    #[serde(deserialize_with = "present")]
    pub outcome_detail: Option<Text>,
    /// HTTP status given to the app.
    #[serde(deserialize_with = "present")]
    pub status: Option<u16>,
    /// As the provider said.
    #[serde(deserialize_with = "present")]
    pub finish_reason: Option<Text>,
    /// Which limit refused.
    #[serde(deserialize_with = "present")]
    pub limit_hit: Option<LimitHit>,
    /// Calls to backends; at most eight.
    #[schemars(length(max = 8))]
    pub attempts: Vec<Attempt>,
    /// What the cache did.
    #[serde(deserialize_with = "present")]
    pub cache: Option<CacheUse>,
    /// Bytes of the request's body, app side.
    pub request_bytes: i64,
    /// Bytes of the answer's body, app side.
    pub response_bytes: i64,
    /// The price book in force; informs budgets, never the bill.
    #[serde(deserialize_with = "present")]
    pub price_version: Option<Text>,
    /// Leases the decision stood on.
    pub leases: Text,
    /// Policies the decision stood on.
    pub policies: Text,
    /// Digest of the configuration in force.
    pub config_digest: Text,
    /// The promised level.
    pub durability: Durability,
    /// Whether the promise was missed.
    pub durability_degraded: bool,
    /// References to captured texts; never the texts.
    #[serde(deserialize_with = "present")]
    pub capture: Option<Capture>,
    /// How many requests this record stands for: 1, or more where a flood of strangers was folded.
    #[schemars(range(min = 1))]
    pub count: i64,
    /// Dense over the published records of this boot. The last field.
    #[schemars(range(min = 0))]
    pub producer_seq: i64,
}

/// What one model did for one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct Line {
    /// The model as it is priced.
    pub model: Text,
    /// As the provider reported it; the last one wins.
    #[serde(deserialize_with = "present")]
    pub service_tier: Option<Text>,
    /// Fast mode and the like.
    #[serde(deserialize_with = "present")]
    pub speed: Option<Text>,
    /// Where the provider ran it, if priced by that.
    #[serde(deserialize_with = "present")]
    pub geography: Option<Text>,
    /// Disjoint counts.
    pub units: Units,
}

/// One call to one backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct Attempt {
    /// The backend.
    pub deployment: Text,
    /// Who runs it; null where not known, here as below.
    #[serde(deserialize_with = "present")]
    pub provider: Option<Text>,
    /// How its capacity is paid.
    #[serde(deserialize_with = "present")]
    pub capacity: Option<Capacity>,
    /// The model that is priced, as in the record.
    #[serde(deserialize_with = "present")]
    pub priced_as: Option<Text>,
    /// Start of the call.
    pub started_us: Micros,
    /// Head of the answer.
    #[serde(deserialize_with = "present")]
    pub first_byte_us: Option<Micros>,
    /// End of the call.
    pub ended_us: Micros,
    /// HTTP status of the provider.
    #[serde(deserialize_with = "present")]
    pub status: Option<u16>,
    /// How the call ended.
    pub outcome: Outcome,
    /// Whether its provider bills it, by the provider's own rules.
    #[serde(deserialize_with = "present")]
    pub billable: Option<Billable>,
    /// Units of a call that was not the last.
    #[serde(deserialize_with = "present")]
    pub units: Option<Units>,
    /// The provider's own id of the call.
    #[serde(deserialize_with = "present")]
    pub provider_request_id: Option<Text>,
    /// What the provider said of its limits.
    #[serde(deserialize_with = "present")]
    pub throttle: Option<Throttle>,
}

/// What a provider says is left of its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct Throttle {
    /// Tokens left.
    #[serde(deserialize_with = "present")]
    pub remaining: Option<i64>,
    /// Microseconds until it is whole again.
    #[serde(deserialize_with = "present")]
    pub reset_us: Option<i64>,
}

/// Which limit refused a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct LimitHit {
    /// Where it stands.
    pub level: LimitLevel,
    /// What it counts.
    pub kind: LimitKind,
    /// Its name.
    pub id: Text,
}

/// What the cache did for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct CacheUse {
    /// Hit, miss, bypass.
    pub status: CacheStatus,
    /// Exact or semantic.
    pub kind: CacheKind,
    /// What was not spent.
    pub saved_units: Units,
}

/// References to captured texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all)]
pub struct Capture {
    /// Where the prompt is kept.
    #[serde(deserialize_with = "present")]
    pub prompt_ref: Option<Text>,
    /// Where the answer is kept.
    #[serde(deserialize_with = "present")]
    pub answer_ref: Option<Text>,
}

/// The bounds of a record that its types do not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OutOfBounds {
    /// A list is longer than the record allows.
    #[error("{0}: {1} entries, at most {2}")]
    TooMany(&'static str, usize, usize),
    /// A text is longer than the record allows.
    #[error("{0}: {1} bytes, at most {2}")]
    TooLong(&'static str, usize, usize),
    /// A number is below its least value.
    #[error("{0}: {1} is below {2}")]
    TooSmall(&'static str, i64, i64),
}

impl UsageEvent {
    /// Checks the bounds that the types do not hold.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        at_most("lines", self.lines.len(), MAX_LINES)?;
        at_most("attempts", self.attempts.len(), MAX_ATTEMPTS)?;
        at_most("labels", self.labels.len(), MAX_LABELS)?;
        let raw_bytes = self.usage_raw.as_ref().map_or(0, String::len);
        if raw_bytes > MAX_USAGE_RAW_BYTES {
            return Err(OutOfBounds::TooLong(
                "usage_raw",
                raw_bytes,
                MAX_USAGE_RAW_BYTES,
            ));
        }
        at_least("count", self.count, 1)?;
        at_least("producer_seq", self.producer_seq, 0)?;
        at_least("received_us", self.received_us.0, 0)?;
        at_least("request_bytes", self.request_bytes, 0)?;
        at_least("response_bytes", self.response_bytes, 0)
    }

    /// Calls before the last that failed and that the provider may bill. The last one's `billable` is the record's own.
    pub fn doubtful_calls(&self) -> impl Iterator<Item = &Attempt> {
        let earlier = self
            .attempts
            .split_last()
            .map_or(&[][..], |(_, earlier)| earlier);
        let is_doubtful = |call: &&Attempt| call.billable == Some(Billable::Unclear);
        earlier.iter().filter(is_doubtful)
    }

    /// Encodes everything but the number, which [`seal`] adds.
    ///
    /// # Panics
    /// Never: a record holds nothing that JSON cannot.
    #[must_use]
    pub fn encode_unsealed(&self) -> Vec<u8> {
        let mut unnumbered = Vec::with_capacity(USUAL_BYTES);
        encode::append(&mut unnumbered, self).expect("a record always has a JSON form");
        let end = unnumbered.len() - 1;
        let digits = unnumbered[..end]
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_digit())
            .count();
        unnumbered.truncate(end - digits);
        unnumbered
    }
}

/// Most records are no longer.
const USUAL_BYTES: usize = 3_072;

/// Writes the number into a record from [`UsageEvent::encode_unsealed`] and closes it.
pub fn seal(unsealed: &mut Vec<u8>, producer_seq: i64) {
    unsealed.extend_from_slice(itoa::Buffer::new().format(producer_seq).as_bytes());
    unsealed.push(b'}');
}

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), OutOfBounds> {
    if count > most {
        return Err(OutOfBounds::TooMany(what, count, most));
    }
    Ok(())
}

fn at_least(what: &'static str, value: i64, least: i64) -> Result<(), OutOfBounds> {
    if value < least {
        return Err(OutOfBounds::TooSmall(what, value, least));
    }
    Ok(())
}
