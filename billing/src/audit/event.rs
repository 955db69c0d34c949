//! One event of the trail, with names that stay as they are: they are the columns of the exports.

use std::collections::BTreeMap;

use schemas::units::Side;
use schemas::{Api, AuthMethod, Billable, Durability, Outcome, Unit, UsageQuality, UsageSource};
use serde::{Deserialize, Serialize};

/// A request as the trail shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When it was received, in UTC.
    #[serde(alias = "received_text")]
    pub received: String,
    /// The same in µs since the epoch.
    pub received_us: i64,
    /// The only identity.
    #[serde(alias = "event_text")]
    pub event_id: String,
    /// The id that was given back to the app.
    pub request_id: String,
    /// Who pays.
    pub tenant: String,
    /// What for.
    pub project: String,
    /// Which credential.
    pub key_id: String,
    /// Pseudonym of whom the credential names.
    pub principal: Option<String>,
    /// How the credential was verified.
    pub auth_method: AuthMethod,
    /// Ties calls together.
    pub conversation: Option<String>,
    /// Claims of the client.
    pub labels: BTreeMap<String, String>,
    /// Which API.
    pub api: Api,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// As asked.
    pub model_requested: String,
    /// As the provider named it.
    pub model_served: Option<String>,
    /// How it was served.
    pub route: Option<String>,
    /// By which backend.
    pub deployment: Option<String>,
    /// Who runs that.
    pub provider: Option<String>,
    /// Where.
    pub region: Option<String>,
    /// Its final fate.
    pub outcome: Outcome,
    /// Machine code beside it.
    pub outcome_detail: Option<String>,
    /// HTTP status given to the app.
    pub status: Option<u16>,
    /// As the provider said.
    pub finish_reason: Option<String>,
    /// Which limit refused it.
    pub limit_hit: Option<String>,
    /// Policies the decision stood on, and what they changed in the request; empty where none did.
    pub policies: String,
    /// How many calls of backends it took.
    pub attempts: u64,
    /// Where its figures come from.
    pub usage_source: UsageSource,
    /// Whether they add up.
    pub usage_quality: UsageQuality,
    /// All that the provider said about usage, verbatim.
    pub usage_raw: Option<String>,
    /// What the provider says it costs, as it said it; never used as ours.
    pub provider_cost: Option<String>,
    /// In which currency.
    pub provider_cost_currency: Option<String>,
    /// Whether the provider bills it, by its own rules.
    pub billable: Billable,
    /// Demo or self-test traffic.
    pub synthetic: bool,
    /// Units by model; absent means not reported, never 0.
    pub lines: Vec<EventLine>,
    /// Microseconds from receipt to the first byte to the app.
    pub first_byte_after_us: Option<i64>,
    /// Microseconds from receipt to the end.
    pub completed_after_us: i64,
    /// When its record counted as kept.
    pub durability: Durability,
    /// How many requests the record stands for.
    pub count: i64,
    /// The gateway.
    pub producer: String,
    /// Its start.
    pub boot: String,
    /// Its number.
    pub producer_seq: i64,
    /// The log that has the record.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The place there.
    pub offset: i64,
    /// How many copies of the record the log has; 1 unless something was delivered again.
    pub copies: u64,
}

/// What one model did for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    /// As priced.
    pub model: String,
    /// Counts by unit.
    pub units: BTreeMap<Unit, i64>,
}

/// Some events of the trail, in the order of receipt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// Where the next page begins; none where this is the last.
    pub next: Option<String>,
}

impl AuditEvent {
    /// The count of a unit over all lines; none where no line reported it.
    #[must_use]
    pub fn total(&self, unit: Unit) -> Option<i128> {
        self.sum(|of| of == unit)
    }

    /// The count of a side over all lines; none where no line reported any of it.
    #[must_use]
    pub fn side(&self, side: Side) -> Option<i128> {
        self.sum(|of| of.side() == side)
    }

    fn sum(&self, wanted: impl Fn(Unit) -> bool) -> Option<i128> {
        let all = self.lines.iter().flat_map(|line| &line.units);
        let mut counts = all
            .filter(|(unit, _)| wanted(**unit))
            .map(|(_, count)| i128::from(*count))
            .peekable();
        counts.peek()?;
        Some(counts.sum())
    }
}
