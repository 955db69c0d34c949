//! What the gateway counts, and how a closed record is counted. What each figure is called stands in `register`.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use schemas::name::Text;
use schemas::units::Side;
use schemas::{Attempt, UsageEvent, UsageQuality};

use super::axes::{self, place, region_place, status_place};
use super::capped::Capped;
use super::histogram::{ByApi, ByValue, GATEWAY_US, REQUEST_US};
use super::series::{
    self, Deployment, MAX_DEPLOYMENTS, MAX_DETAILS, MAX_MODELS, MAX_TENANTS, Tenant,
};
use super::table::Table;
use crate::throttle::Cause;

/// How connecting to a provider ended, in the order of [`axes::connects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// There is a connection.
    Connected,
    /// It was refused, or TLS failed.
    Failed,
    /// It did not come in time.
    Timeout,
}

/// Everything that the gateway counts.
#[derive(Debug)]
pub struct Metrics {
    pub(super) requests: Table,
    pub(super) answers: Table,
    pub(super) metering: Table,
    pub(super) throttled: Table,
    pub(super) request_seconds: ByApi,
    pub(super) first_byte_seconds: ByApi,
    pub(super) gateway_seconds: ByApi,
    pub(super) place_seconds: ByValue,
    pub(super) place_first_byte_seconds: ByValue,
    pub(super) connect_seconds: ByValue,
    own_region: OnceLock<String>,
    pub(super) deployments: Capped<Deployment>,
    pub(super) models: Capped<Table>,
    pub(super) tenants: Capped<Tenant>,
    pub(super) details: Capped<Table>,
    pub(super) inconsistent_usage: Counter,
    pub(super) zero_token_answers: Counter,
    /// Requests admitted and not closed.
    pub open_requests: Gauge,
    /// Connections of apps.
    pub connections: Gauge,
    /// Answers read on after their app has gone.
    pub drains: Gauge,
    /// Outcomes that the journal has not taken yet and that are tried again.
    pub waiting_outcomes: Gauge,
    /// Refusals that are folded and in no record yet.
    pub waiting_refusals: Gauge,
    /// Folded refusals that a stop gave up: the journal did not take them.
    pub unrecorded_refusals: Counter,
    /// Outcomes that the journal did not take and that are given up.
    pub unrecorded_outcomes: Counter,
    /// Requests whose guard was dropped without an outcome; an alarm.
    pub dropped_without_outcome: Counter,
    /// Refusals of strangers folded into counted records.
    pub folded_refusals: Counter,
    /// Forms that could not be kept for a further call.
    pub unkept_forms: Counter,
    /// Requests of an earlier start closed as unknown.
    pub orphans: Counter,
    /// Reloads of the configuration that were refused.
    pub refused_reloads: Counter,
    /// Records that were not as durable as promised in time.
    pub missed_durability: Counter,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Table::new([axes::apis(), axes::outcomes(), axes::sources()].into()),
            answers: Table::new([axes::apis(), axes::statuses()].into()),
            metering: Table::new([axes::sources(), axes::qualities()].into()),
            throttled: Table::new([axes::causes()].into()),
            request_seconds: ByApi::new(REQUEST_US),
            first_byte_seconds: ByApi::new(REQUEST_US),
            gateway_seconds: ByApi::new(GATEWAY_US),
            place_seconds: ByValue::new(axes::places(), REQUEST_US),
            place_first_byte_seconds: ByValue::new(axes::places(), REQUEST_US),
            connect_seconds: ByValue::new(axes::connects(), REQUEST_US),
            own_region: OnceLock::new(),
            deployments: Capped::new(MAX_DEPLOYMENTS, Deployment::new),
            models: Capped::new(MAX_MODELS, series::units),
            tenants: Capped::new(MAX_TENANTS, Tenant::new),
            details: Capped::new(MAX_DETAILS, series::outcomes),
            inconsistent_usage: Counter::default(),
            zero_token_answers: Counter::default(),
            open_requests: Gauge::default(),
            connections: Gauge::default(),
            drains: Gauge::default(),
            waiting_outcomes: Gauge::default(),
            waiting_refusals: Gauge::default(),
            unrecorded_refusals: Counter::default(),
            unrecorded_outcomes: Counter::default(),
            dropped_without_outcome: Counter::default(),
            folded_refusals: Counter::default(),
            unkept_forms: Counter::default(),
            orphans: Counter::default(),
            refused_reloads: Counter::default(),
            missed_durability: Counter::default(),
        };
        metrics.register(registry);
        metrics
    }

    /// Says where this gateway runs, once.
    pub fn runs_in(&self, region: Option<&str>) {
        if let Some(region) = region {
            self.own_region.get_or_init(|| region.to_owned());
        }
    }

    /// Counts one try to connect to a provider, TLS included.
    pub fn observe_connect(&self, connect: Connect, us: i64) {
        self.connect_seconds.observe(connect as usize, us);
    }

    /// Counts one record.
    pub fn observe(&self, event: &UsageEvent) {
        let count = u64::try_from(event.count).unwrap_or(1);
        let (api, outcome) = (place(event.api.number()), place(event.outcome.number()));
        let source = place(event.usage_source.number());
        self.requests.add(&[api, outcome, source], count);
        self.answers.add(&[api, status_place(event.status)], count);
        let quality = place(event.usage_quality.number());
        self.metering.add(&[source, quality], count);
        if let Some(detail) = &event.outcome_detail {
            self.details.with(detail, &Text::default(), |table| {
                table.add(&[outcome], count);
            });
        }
        if event.usage_quality == UsageQuality::Inconsistent {
            self.inconsistent_usage.inc();
        }
        if is_zero_token_answer(event) {
            self.zero_token_answers.inc();
        }
        self.observe_times(event);
        self.observe_deployment(event, count);
        self.observe_tenant(event, count);
        self.observe_units(event);
        if let Some(cause) = Cause::of(event) {
            self.throttled.add(&[cause as usize], count);
        }
    }

    fn observe_times(&self, event: &UsageEvent) {
        // A folded record stands for many requests and has the times of one.
        if event.count != 1 {
            return;
        }
        let whole_us = event.completed_us.since(event.received_us);
        self.request_seconds.observe(event.api, whole_us);
        if let Some(first) = event.first_byte_us {
            let first_us = first.since(event.received_us);
            self.first_byte_seconds.observe(event.api, first_us);
        }
        if let Some(gateway_us) = event.gateway_us {
            self.gateway_seconds.observe(event.api, gateway_us);
        }
    }

    fn observe_deployment(&self, event: &UsageEvent, count: u64) {
        let nobody = Text::default();
        let provider = event.provider.as_ref().unwrap_or(&nobody);
        let Some(deployment) = &event.deployment else {
            return;
        };
        self.deployments.with(deployment, provider, |figures| {
            let outcome = place(event.outcome.number());
            figures.requests.add(&[outcome], count);
            if let Some(cause) = Cause::of(event).filter(|cause| *cause != Cause::OwnLimit) {
                figures.throttled.add(&[cause as usize], count);
            }
        });
        for (at, attempt) in event.attempts.iter().enumerate() {
            let is_repeated = at + 1 < event.attempts.len();
            // The record says who runs the last deployment alone.
            let count = |figures: &Deployment| {
                self.observe_call(figures, attempt);
                if is_repeated {
                    figures.retried.add(&[status_place(attempt.status)], 1);
                }
            };
            if attempt.deployment == *deployment {
                let own = self.own_region.get().map(String::as_str);
                let place = region_place(own, event.region.as_ref().map(Text::as_str));
                self.deployments.with(deployment, provider, |figures| {
                    figures.place.store(place, Ordering::Relaxed);
                    count(figures);
                });
            } else {
                self.deployments.with_known(&attempt.deployment, count);
            }
        }
    }

    fn observe_call(&self, figures: &Deployment, attempt: &Attempt) {
        figures.calls.add(&[status_place(attempt.status)], 1);
        let place = figures.place.load(Ordering::Relaxed);
        let called_us = attempt.ended_us.since(attempt.started_us);
        figures.seconds.observe(called_us);
        self.place_seconds.observe(place, called_us);
        if let Some(head) = attempt.first_byte_us {
            let head_us = head.since(attempt.started_us);
            figures.first_byte_seconds.observe(head_us);
            self.place_first_byte_seconds.observe(place, head_us);
        }
    }

    fn observe_tenant(&self, event: &UsageEvent, count: u64) {
        if event.tenant.as_str().is_empty() {
            return;
        }
        self.tenants
            .with(&event.tenant, &Text::default(), |figures| {
                figures
                    .requests
                    .add(&[place(event.outcome.number())], count);
                for (unit, units) in event.lines.iter().flat_map(|line| line.units.iter()) {
                    let units = u64::try_from(units).unwrap_or(0);
                    figures.units.add(&[place(unit as u8)], units);
                }
                if let Some(cause) = Cause::of(event) {
                    figures.throttled.add(&[cause as usize], count);
                }
            });
    }

    fn observe_units(&self, event: &UsageEvent) {
        // The public name: what an app asked for is any text until it has a route.
        let Some(model) = event.route.as_ref().filter(|_| !event.lines.is_empty()) else {
            return;
        };
        let source = place(event.usage_source.number());
        self.models.with(model, &Text::default(), |table| {
            for (unit, units) in event.lines.iter().flat_map(|line| line.units.iter()) {
                let units = u64::try_from(units).unwrap_or(0);
                table.add(&[place(unit as u8), source], units);
            }
        });
    }
}

/// A provider answered well, and neither it nor we know of anything that was used.
fn is_zero_token_answer(event: &UsageEvent) -> bool {
    let was_served = event
        .attempts
        .last()
        .and_then(|attempt| attempt.status)
        .is_some_and(|status| (200..300).contains(&status));
    let used = |side| {
        let totals = event.lines.iter().filter_map(|line| line.units.total(side));
        totals.sum::<i128>() > 0
    };
    was_served
        && ![Side::Input, Side::Output, Side::Apart]
            .into_iter()
            .any(used)
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
