//! Records of two kinds: with everything that a record can say, and as a gateway usually writes them. The second were taken from the
//! journal of `tollgate up --sample-traffic`: identities, times, counts and sizes differ from record to record, and one of ten is a refusal.

use std::collections::BTreeMap;

use schemas::event::Throttle;
use schemas::{
    Attempt, Billable, Capacity, Durability, EventId, Line, Micros, Outcome, RouteReason, Unit,
    UsageEvent, UsageQuality, UsageSource,
};

use crate::events::{MID_NOVEMBER_US, encode, event, refusal, some, text, units};

const SERVED: &str = "gpt-4o-mini-2024-07-18";

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Full,
    Usual,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Usual => "usual",
        }
    }

    /// What it is, for people.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Full => "Records with every field filled",
            Self::Usual => "Records as a gateway usually writes them",
        }
    }

    /// How long a record is.
    pub(crate) fn bytes(self) -> usize {
        encode(&self.event(1_000_000)).len()
    }

    /// The event of a number.
    pub(crate) fn event(self, number: u64) -> UsageEvent {
        match self {
            Self::Full => event(number),
            Self::Usual => usual(number),
        }
    }
}

/// A number that nobody would guess from the one before (splitmix64).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn below(number: u64, bound: u64) -> i64 {
    i64::try_from(number % bound).expect("it is below the bound")
}

/// A chat that was answered, or the refusal of one.
fn usual(number: u64) -> UsageEvent {
    let draws = [1, 2, 3, 4].map(|salt| scattered(number.wrapping_mul(8) + salt));
    let received = Micros(MID_NOVEMBER_US + below(number, u64::MAX >> 1) * 50);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&draws[0].to_be_bytes());
    let event_id = EventId::mint(received, random);
    let request_id = text(&format!("req_{}", event_id.to_string().replace('-', "")));
    let tenant = ["acme", "globex", "initech"][usize::try_from(draws[1] % 3).expect("it is small")];
    let common = UsageEvent {
        event_id,
        request_id,
        producer: text("gw-abf3cedf"),
        tenant: text(tenant),
        project: text("support"),
        key_id: text(&format!("{tenant}-support-1")),
        received_us: received,
        admitted_us: Micros(received.0 + 40 + below(draws[2], 60)),
        request_bytes: 150 + below(draws[3], 4_000),
        model_requested: text("chat-default"),
        leases: text(""),
        policies: text(""),
        config_digest: text("ad6fb71d6a12"),
        price_version: None,
        durability: Durability::Written,
        ..refusal(number)
    };
    if number % 10 == 9 {
        return UsageEvent {
            completed_us: common.admitted_us,
            gateway_us: Some(66),
            usage_quality: UsageQuality::Ok,
            response_bytes: 0,
            outcome: Outcome::RefusedPolicy,
            outcome_detail: some("model_not_allowed"),
            status: Some(403),
            ..common
        };
    }
    answered(common, draws)
}

fn answered(common: UsageEvent, draws: [u64; 4]) -> UsageEvent {
    let (input, output) = (20 + below(draws[0], 3_000), 1 + below(draws[1], 800));
    let took = 30_000 + below(draws[2], 4_000_000);
    let started = Micros(common.admitted_us.0 + 80);
    let (first, ended) = (Micros(started.0 + took / 4), Micros(started.0 + took));
    let usage_raw = format!(
        "{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\"total_tokens\":{},\
         \"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\
         \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}",
        input + output
    );
    let served = some(SERVED);
    UsageEvent {
        labels: BTreeMap::new(),
        stream: draws[3].is_multiple_of(2),
        model_served: served.clone(),
        priced_as: served.clone(),
        route: some("gpt-4o-mini"),
        deployment: some("simulator"),
        provider: some("openai"),
        capacity: Some(Capacity::Paygo),
        service_tier: some("default"),
        route_reason: Some(RouteReason::Primary),
        first_byte_us: Some(Micros(first.0 + 20)),
        completed_us: ended,
        upstream_us: Some(took),
        gateway_us: Some(120 + below(draws[3], 90)),
        lines: vec![Line {
            model: text(SERVED),
            service_tier: some("default"),
            speed: None,
            geography: None,
            units: units(&[(Unit::InputText, input), (Unit::OutputText, output)]),
        }],
        usage_source: UsageSource::Provider,
        usage_quality: UsageQuality::Ok,
        usage_raw: Some(usage_raw),
        estimated_units: units(&[(Unit::InputText, input + 400), (Unit::OutputText, output)]),
        billable: Billable::Yes,
        outcome: Outcome::Completed,
        status: Some(200),
        finish_reason: some("length"),
        attempts: vec![Attempt {
            deployment: text("simulator"),
            provider: some("openai"),
            capacity: Some(Capacity::Paygo),
            priced_as: served,
            started_us: started,
            first_byte_us: Some(first),
            ended_us: ended,
            status: Some(200),
            outcome: Outcome::Completed,
            billable: Some(Billable::Yes),
            units: None,
            provider_request_id: some(&format!("req_{:016x}{:016x}", draws[2], draws[3])),
            throttle: Some(Throttle {
                remaining: Some(199_000),
                reset_us: None,
            }),
        }],
        response_bytes: 700 + below(draws[0], 12_000),
        ..common
    }
}
