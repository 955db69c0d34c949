//! A record of the ledger as the trail reads it, and the groups of one request that rating takes. What is charged, and
//! at which price, is decided by `chargeback` alone.

use std::collections::BTreeMap;

use schemas::units::Side;
use schemas::{Api, AuthMethod, Billable, Capacity, Outcome, Unit, UsageQuality, UsageSource};
use serde::Deserialize;

use crate::chargeback::groups::{Called, Group, Other, Sku, context_of};

/// The store's columns, in the order of the query.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) event_id: String,
    pub(super) received_us: i64,
    pub(super) request_id: String,
    pub(super) tenant: String,
    pub(super) project: String,
    pub(super) key_id: String,
    pub(super) principal: Option<String>,
    pub(super) auth_method: AuthMethod,
    pub(super) conversation: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) api: Api,
    pub(super) stream: bool,
    pub(super) route: Option<String>,
    pub(super) deployment: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) region: Option<String>,
    pub(super) data_zone: Option<String>,
    pub(super) capacity: Option<Capacity>,
    pub(super) model_requested: String,
    pub(super) model_served: Option<String>,
    pub(super) priced_as: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) outcome_detail: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) finish_reason: Option<String>,
    pub(super) limit_hit: Option<String>,
    pub(super) policies: String,
    pub(super) attempts: u64,
    doubtful_calls: u8,
    called: Vec<Called>,
    pub(super) usage_source: UsageSource,
    pub(super) usage_quality: UsageQuality,
    pub(super) provider_cost: Option<String>,
    pub(super) provider_cost_currency: Option<String>,
    pub(super) billable: Billable,
    pub(super) synthetic: bool,
    pub(super) count: i64,
    pub(super) estimated_units: BTreeMap<Unit, i64>,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    model: Option<String>,
    service_tier: Option<String>,
    speed: Option<String>,
    geography: Option<String>,
    extra_models: Vec<String>,
    extra_service_tiers: Vec<String>,
    extra_speeds: Vec<String>,
    extra_geographies: Vec<String>,
    extra_units: Vec<BTreeMap<Unit, i64>>,
    units: Vec<Option<i64>>,
}

/// A line of a record: what one model did. A record without any has one without a number.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1; 0 where the record has no line.
    pub(super) number: u8,
    pub(super) group: Group,
    /// As it was reported, zeros with it.
    pub(super) units: Vec<(Unit, i64)>,
}

impl Record {
    /// The lines, each with the group that rating takes: the request is counted with the first.
    pub(super) fn lines(&self) -> Vec<Line> {
        let later: Vec<_> = (0..self.extra_models.len())
            .map(|at| self.later_sku(at))
            .collect();
        let mut lines = vec![self.first(&later)];
        for (number, (sku, units)) in (2..).zip(later.into_iter().zip(&self.extra_units)) {
            let units: Vec<_> = units.iter().map(|(unit, count)| (*unit, *count)).collect();
            let group = Group {
                context: self.context(&sku.model),
                sku,
                units: counts(&units),
                ..self.bare_group()
            };
            lines.push(Line {
                number,
                group,
                units,
            });
        }
        lines
    }

    fn first(&self, later: &[Sku]) -> Line {
        let counted = Unit::ALL.iter().zip(&self.units);
        let units: Vec<_> = counted
            .filter_map(|(unit, count)| Some((*unit, (*count)?)))
            .collect();
        let used = |(sku, units): (&Sku, &BTreeMap<Unit, i64>)| {
            let nonzero = units.iter().filter(|(_, count)| **count != 0);
            Other {
                sku: sku.clone(),
                context: self.context(&sku.model),
                used: nonzero.map(|(unit, _)| *unit).collect(),
            }
        };
        let sku = self.first_sku();
        let mut group = Group {
            context: self.context(&sku.model),
            sku,
            requests: i128::from(self.count),
            units: counts(&units),
            others: later.iter().zip(&self.extra_units).map(used).collect(),
            ..self.bare_group()
        };
        group.doubtful_calls = self.doubtful_calls;
        group.called.clone_from(&self.called);
        let reserved = self.estimated_units.iter();
        let reserved = reserved.map(|(unit, count)| (*unit, i128::from(*count)));
        group.reserve(&reserved.collect(), &self.counted());
        Line {
            number: u8::from(self.model.is_some()),
            group,
            units,
        }
    }

    /// What admission reserved, as it stands.
    pub(super) fn reserved(&self) -> Vec<(Unit, i64)> {
        let all = self.estimated_units.iter();
        all.map(|(unit, count)| (*unit, *count)).collect()
    }

    /// What all lines together used.
    fn counted(&self) -> BTreeMap<Unit, i128> {
        let first = Unit::ALL.iter().zip(&self.units);
        let first = first.map(|(unit, count)| (*unit, count.unwrap_or(0)));
        let later = self.extra_units.iter().flatten();
        let mut sums = BTreeMap::new();
        for (unit, count) in first.chain(later.map(|(unit, count)| (*unit, *count))) {
            *sums.entry(unit).or_insert(0) += i128::from(count);
        }
        sums
    }

    /// The model that is priced where no line names one. Rows of the first draft have only what the provider called it.
    fn named(&self) -> Option<&String> {
        self.priced_as.as_ref().or(self.model_served.as_ref())
    }

    fn first_sku(&self) -> Sku {
        // The name that was asked for may be any text, unless it led to a route.
        let was_routed = self.route.is_some() || self.deployment.is_some();
        let asked =
            Some(&self.model_requested).filter(|_| was_routed && !self.outcome.is_refusal());
        let model = self.model.as_ref().or(self.named()).or(asked);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Sku {
            provider: text(&self.provider),
            model: model.cloned().unwrap_or_default(),
            tier: text(&self.service_tier),
            speed: text(&self.speed),
            geography: text(&self.geography),
            zone: text(&self.data_zone),
            region: text(&self.region),
            capacity: self
                .capacity
                .map(|name| name.to_string())
                .unwrap_or_default(),
        }
    }

    /// Rows that were written before later lines had a speed and a geography have neither.
    fn later_sku(&self, at: usize) -> Sku {
        let text = |list: &[String]| list.get(at).cloned().unwrap_or_default();
        self.first_sku().of_line(
            &text(&self.extra_models),
            &text(&self.extra_service_tiers),
            &text(&self.extra_speeds),
            &text(&self.extra_geographies),
        )
    }

    fn bare_group(&self) -> Group {
        Group {
            dims: Vec::new(),
            sku: Sku::default(),
            at: self.received_us,
            context: 0,
            outcome: self.outcome,
            billable: self.billable,
            source: self.usage_source,
            quality: self.usage_quality,
            synthetic: self.synthetic,
            is_reserved: false,
            has_units: self.has_units(),
            doubtful_calls: 0,
            called: Vec::new(),
            names_model: self.model.is_some() || self.named().is_some(),
            requests: 0,
            others: Vec::new(),
            units: BTreeMap::new(),
            estimated: BTreeMap::new(),
        }
    }

    fn has_units(&self) -> bool {
        let mut later = self.extra_units.iter();
        self.api == Api::Moderations
            || self.units.iter().any(Option::is_some)
            || later.any(|units| !units.is_empty())
    }

    fn context(&self, model: &str) -> i64 {
        let counted = Unit::ALL.iter().zip(&self.units);
        let first = input_units(counted.map(|(unit, count)| (unit, count.unwrap_or(0))));
        let later = self.extra_models.iter().zip(&self.extra_units);
        let later = later.map(|(of, units)| {
            let units = units.iter().map(|(unit, count)| (unit, *count));
            (of.as_str(), input_units(units))
        });
        let own = self.model.as_deref().map(|of| (of, first));
        context_of(model, own.into_iter().chain(later))
    }
}

fn input_units<'a>(counts: impl Iterator<Item = (&'a Unit, i64)>) -> i128 {
    let inputs = counts.filter(|(unit, _)| unit.side() == Side::Input);
    inputs.map(|(_, count)| i128::from(count)).sum()
}

fn counts(units: &[(Unit, i64)]) -> BTreeMap<Unit, i128> {
    let used = units.iter().filter(|(_, count)| *count != 0);
    used.map(|(unit, count)| (*unit, i128::from(*count)))
        .collect()
}
