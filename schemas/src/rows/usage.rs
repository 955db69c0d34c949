//! The row of `usage_events`: its columns in their order, and how they are written.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::macros::row;
use super::parts::{Columns, UuidHalves};
use crate::event::UsageEvent;
use crate::name::Text;
use crate::rated::{Rated, rated};
use crate::units::{Unit, Units};

/// One usage event as a row of `usage_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// All columns but the unit counts.
    pub head: UsageHead,
    /// The unit counts of the first line.
    pub units: Units,
    /// The same and more, as billing adds it up.
    pub rated: UsageRated,
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
        boot: Text,
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
        /// Their speeds; empty where not reported.
        extra_speeds: Vec<Text>,
        /// Their geographies; empty where not reported.
        extra_geographies: Vec<Text>,
        /// Policies the decision stood on, and what they changed.
        policies: Text,
        /// What the provider says it costs, as it said it.
        provider_cost: Option<Text>,
        /// In which currency.
        provider_cost_currency: Option<Text>,
        /// What is priced where no line names a model.
        priced_as: Option<Text>,
        /// Who runs the backends called; empty where not known, here as below.
        attempt_providers: Vec<Text>,
        /// What is priced of each call.
        attempt_priced_as: Vec<Text>,
        /// Whether its provider bills it; 0 where not known.
        attempt_billables: Vec<i8>,
    }
}

row! {
    /// The columns of `usage_events` behind the unit counts: see [`crate::rated`]. All empty where an event does not fit.
    #[derive(Default, Eq)]
    UsageRated in "usage_events" {
        /// Everything a price depends on but the time and the counts.
        rated_as: String,
        /// Units of the input side.
        rated_input: u32,
        /// The first count; so on.
        rated_1: u32,
        /// The second.
        rated_2: u32,
        /// The third.
        rated_3: u32,
        /// The fourth.
        rated_4: u32,
        /// The fifth.
        rated_5: u32,
        /// The sixth.
        rated_6: u32,
        /// The seventh.
        rated_7: u32,
        /// The eighth.
        rated_8: u32,
    }
}

impl UsageRated {
    /// The columns of an event.
    #[must_use]
    pub fn of(event: &UsageEvent) -> Self {
        let Some(Rated { key, input, counts }) = rated(event) else {
            return Self::default();
        };
        let [
            rated_1,
            rated_2,
            rated_3,
            rated_4,
            rated_5,
            rated_6,
            rated_7,
            rated_8,
        ] = counts;
        Self {
            rated_as: key.text(),
            rated_input: input,
            rated_1,
            rated_2,
            rated_3,
            rated_4,
            rated_5,
            rated_6,
            rated_7,
            rated_8,
        }
    }
}

const RATED_COUNT: usize = UsageRated::COLUMNS.len();
const UNIT_COUNT: usize = Unit::ALL.len();
const HEAD_COUNT: usize = UsageHead::COLUMNS.len();

const USAGE_COLUMNS: [&str; HEAD_COUNT + UNIT_COUNT + RATED_COUNT] = {
    let mut columns = [""; HEAD_COUNT + UNIT_COUNT + RATED_COUNT];
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
    let mut rated = 0;
    while rated < RATED_COUNT {
        columns[HEAD_COUNT + UNIT_COUNT + rated] = UsageRated::COLUMNS[rated];
        rated += 1;
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
        self.rated.serialize_into(&mut row)?;
        row.end()
    }
}
