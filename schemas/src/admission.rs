//! The admission record: all that is needed to close a request after a crash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encode;
use crate::enums::{
    Api, AuthMethod, Billable, Capacity, ClockQuality, Durability, Outcome, RouteReason,
    UsageQuality, UsageSource,
};
use crate::event::{Labels, UsageEvent, present};
use crate::id::{Boot, EventId};
use crate::name::Text;
use crate::time::Micros;
use crate::units::Units;
use crate::upcast;
use crate::wire::WIRE_VERSION;

/// A request was let in. Stays in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = require_all_but_calls)]
pub struct Admission {
    /// The wire version.
    pub wire: Text,
    /// The identity of the request and its usage event.
    pub event_id: EventId,
    /// Given back as `x-request-id`.
    pub request_id: Text,
    /// Who pays.
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
    /// Ties calls together.
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
    /// The route.
    pub route: Text,
    /// The planned backend.
    pub deployment: Text,
    /// Who runs it.
    pub provider: Text,
    /// Where it runs.
    #[serde(deserialize_with = "present")]
    pub region: Option<Text>,
    /// Global, zone or region.
    #[serde(deserialize_with = "present")]
    pub data_zone: Option<Text>,
    /// How its capacity is paid.
    pub capacity: Capacity,
    /// The model that it is planned to be priced as.
    #[serde(deserialize_with = "present")]
    pub priced_as: Option<Text>,
    /// Why this backend.
    pub route_reason: RouteReason,
    /// When the request came.
    pub received_us: Micros,
    /// When it was let in.
    pub admitted_us: Micros,
    /// Bytes of its body.
    pub request_bytes: i64,
    /// What was reserved for each of its calls.
    pub estimated_units: Units,
    /// The most calls that it may make, where it may make more than one: each can be billed, and a gateway that died does not
    /// know how many it made.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 8))]
    pub calls: u8,
    /// The limits in which that is reserved; at most eight.
    #[schemars(length(max = 8))]
    pub scopes: Vec<Text>,
    /// Leases the decision stood on.
    pub leases: Text,
    /// Policies the decision stood on.
    pub policies: Text,
    /// The price book in force.
    #[serde(deserialize_with = "present")]
    pub price_version: Option<Text>,
    /// Digest of the configuration in force.
    pub config_digest: Text,
    /// The promised level.
    pub durability: Durability,
    /// Demo or self-test traffic.
    pub synthetic: bool,
}

fn one() -> u8 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_one(calls: &u8) -> bool {
    *calls == 1
}

/// Readers of before requests could make several calls take a record of one call.
fn require_all_but_calls(schema: &mut schemars::Schema) {
    crate::event::require_all(schema);
    let required = schema
        .get_mut("required")
        .and_then(|list| list.as_array_mut());
    if let Some(required) = required {
        required.retain(|name| name != "calls");
    }
}

impl Admission {
    /// Reads the record, or one that an older draft of the wire wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        upcast::read(bytes, upcast::admission)
    }

    /// Encodes the record.
    ///
    /// # Panics
    /// Never: a record holds nothing that JSON cannot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(1_024);
        encode::append(&mut record, self).expect("a record always has a JSON form");
        record
    }

    /// What all its calls together reserve. A count that leaves 64 bits stays at their end.
    #[must_use]
    pub fn reserved(&self) -> Units {
        let mut reserved = Units::default();
        for (unit, count) in self.estimated_units.iter() {
            // Never refused: it is not below 0.
            drop(reserved.set(unit, count.saturating_mul(i64::from(self.calls))));
        }
        reserved
    }

    /// The usage event of a request that nobody is left to tell more of: as many calls may be billed as it was permitted.
    #[must_use]
    pub fn unknown_event(&self, producer: &Text, boot: Boot) -> UsageEvent {
        UsageEvent {
            estimated_units: self.reserved(),
            ..self.open_event(producer, boot)
        }
    }

    /// The usage event of a request of which nothing more is known: outcome `unknown`, no units, to be
    /// filled in by who knows more.
    #[must_use]
    pub fn open_event(&self, producer: &Text, boot: Boot) -> UsageEvent {
        let who = self.clone();
        UsageEvent {
            // That of the writer: what a draft admitted is closed in today's form.
            wire: Text::cut(WIRE_VERSION),
            event_id: who.event_id,
            request_id: who.request_id,
            producer: producer.clone(),
            boot,
            tenant: who.tenant,
            project: who.project,
            key_id: who.key_id,
            principal: who.principal,
            auth_method: who.auth_method,
            conversation: who.conversation,
            labels: who.labels,
            api: who.api,
            stream: who.stream,
            model_requested: who.model_requested,
            model_served: None,
            priced_as: who.priced_as,
            route: Some(who.route),
            deployment: Some(who.deployment),
            provider: Some(who.provider),
            region: who.region,
            data_zone: who.data_zone,
            capacity: Some(who.capacity),
            service_tier: None,
            route_reason: Some(who.route_reason),
            received_us: who.received_us,
            admitted_us: who.admitted_us,
            first_byte_us: None,
            completed_us: who.admitted_us,
            upstream_us: None,
            gateway_us: None,
            clock_quality: ClockQuality::Good,
            lines: Vec::new(),
            usage_source: UsageSource::None,
            usage_quality: UsageQuality::Missing,
            usage_raw: None,
            provider_cost: None,
            provider_cost_currency: None,
            estimated_units: who.estimated_units,
            billable: Billable::Unclear,
            synthetic: who.synthetic,
            outcome: Outcome::Unknown,
            outcome_detail: None,
            status: None,
            finish_reason: None,
            limit_hit: None,
            attempts: Vec::new(),
            cache: None,
            request_bytes: who.request_bytes,
            response_bytes: 0,
            price_version: who.price_version,
            leases: who.leases,
            policies: who.policies,
            config_digest: who.config_digest,
            durability: who.durability,
            durability_degraded: false,
            capture: None,
            count: 1,
            producer_seq: 0,
        }
    }
}
