//! Reading the trail's records from the store, a bounded page at a time, in the order of its primary key: tenant, hour,
//! event. Over `FINAL`, as the report: a copy of an event counts once.

use std::time::Duration;

use schemas::Unit;
use store::Client;

use crate::BillingError;
use crate::chargeback::sql::CALLED;
use crate::chargeback::{Request, Synthetic};
use crate::export::record::Record;
use crate::sql::{instant, lines};

/// How long the store may take over a page.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);
/// The widest record that can be is some 25 kB long, and the store gives no answer above 256 MiB.
const PAGE_RECORDS: usize = 8_000;

/// Columns of the store, in the order of [`Record`]'s fields; units and later lines come behind them.
const COLUMNS_TO_CALLS: &str = "toString(event_id), toUnixTimestamp64Micro(received), request_id, tenant, project, key_id, principal, auth_method, \
     conversation, labels, api, stream, route, deployment, provider, region, data_zone, capacity, model_requested, \
     model_served, priced_as, outcome, outcome_detail, status, finish_reason, limit_hit, policies, length(attempt_deployments), \
     arrayCount(b -> b = 'unclear', arraySlice(attempt_billables, 1, -1))";
const COLUMNS_AFTER_CALLS: &str = "usage_source, \
     usage_quality, provider_cost, provider_cost_currency, billable, synthetic, count, estimated_units, topic, partition, offset, model, service_tier, speed, \
     geography, extra_models, extra_service_tiers, extra_speeds, extra_geographies, extra_units";

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    tenant: String,
    received_us: i64,
    event_id: String,
}

impl Place {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            tenant: record.tenant.clone(),
            received_us: record.received_us,
            event_id: record.event_id.clone(),
        }
    }
}

/// The records behind a place, or the first ones; none are left where it gives fewer than a page holds.
pub(super) async fn read(
    client: &Client,
    request: &Request,
    after: Option<&Place>,
) -> Result<Vec<Record>, BillingError> {
    let (text, bound) = query(request, after);
    let mut query = client.query(&text);
    for value in &bound {
        query = query.bind(value.as_str());
    }
    let answer = query
        .timeout(PAGE_TIMEOUT)
        .setting("output_format_json_named_tuples_as_objects", "1")
        .setting("output_format_json_quote_64bit_integers", "0")
        .bytes("JSONCompactEachRow")
        .await?;
    lines(&answer)
}

/// Whether a page was the last.
pub(super) fn is_last(page: &[Record]) -> bool {
    page.len() < PAGE_RECORDS
}

fn query(request: &Request, after: Option<&Place>) -> (String, Vec<String>) {
    let (mut parts, mut bound) = (Vec::new(), Vec::new());
    let mut tenant = |condition: &str, tenant: &str| {
        bound.push(tenant.to_owned());
        condition.to_owned()
    };
    parts.extend(
        request
            .tenant
            .as_deref()
            .map(|name| tenant("tenant = ?", name)),
    );
    if let Some(place) = after {
        let name = place.tenant.as_str();
        let hour = format!(
            "toStartOfHour({})",
            instant(schemas::Micros(place.received_us))
        );
        // Spelled out, because the store finds its granules by this and not by a comparison of tuples.
        let (later_tenant, same_tenant) = (tenant("tenant > ?", name), tenant("tenant = ?", name));
        parts.push(format!(
            "({later_tenant} OR ({same_tenant} AND (toStartOfHour(received) > {hour} \
             OR (toStartOfHour(received) = {hour} AND event_id > toUUID('{}')))))",
            place.event_id
        ));
    }
    let shown = match request.synthetic {
        Synthetic::Exclude => Some("NOT synthetic"),
        Synthetic::Only => Some("synthetic"),
        Synthetic::Include => None,
    };
    parts.extend(shown.map(str::to_owned));
    parts.push(format!(
        "received >= {} AND received < {}",
        instant(request.period.start()),
        instant(request.period.end())
    ));
    let units: Vec<_> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
    let sql = format!(
        "SELECT {COLUMNS_TO_CALLS}, {CALLED}, {COLUMNS_AFTER_CALLS}, [{}] FROM usage_events FINAL WHERE {} \
         ORDER BY tenant, toStartOfHour(received), event_id LIMIT {PAGE_RECORDS}",
        units.join(", "),
        parts.join(" AND ")
    );
    (sql, bound)
}
