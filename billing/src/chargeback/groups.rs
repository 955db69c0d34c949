//! What the query gives: sums of units per columns of the report and per everything that decides a price.

use std::collections::BTreeMap;

use schemas::{Billable, Outcome, Unit, UsageQuality, UsageSource, rated};
use serde::Deserialize;

use crate::BillingError;
use crate::chargeback::plain::Others;
use crate::sql::lines;

/// One group as the store writes it; sums are text, because they may be wider than 64 bits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "columns of the query, each a fact of its own"
)]
pub(crate) struct RawGroup {
    dims: Vec<String>,
    sku: Sku,
    at: i64,
    context: i64,
    outcome: Outcome,
    billable: Billable,
    source: UsageSource,
    quality: UsageQuality,
    synthetic: bool,
    is_reserved: bool,
    has_units: bool,
    doubtful_calls: u8,
    called: Vec<Called>,
    names_model: bool,
    others: Vec<RawLine>,
    used: u64,
    /// Which units bound the request: where one of them has no price, only requests like this one have no bound.
    #[serde(rename = "bounding")]
    _bounding: Vec<u8>,
    request_count: String,
    unit_sums: Vec<String>,
    extra_sums: Vec<String>,
    estimated_sums: Vec<String>,
    rows: u64,
    mark: u64,
}

/// A later line of an event, as its first line's group names it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    model: String,
    tier: String,
    speed: String,
    geography: String,
    context: i64,
    used: u64,
}

/// What a call before the last went to. Where its record does not name one of them it was the request's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Called {
    /// Who was called.
    pub(crate) provider: String,
    /// The model as it is priced.
    pub(crate) model: String,
}

/// What a price is looked up by, as the events have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sku {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) tier: String,
    pub(crate) speed: String,
    pub(crate) geography: String,
    pub(crate) zone: String,
    pub(crate) region: String,
    pub(crate) capacity: String,
}

impl Sku {
    /// The same request's line of another model.
    pub(crate) fn of_line(&self, model: &str, tier: &str, speed: &str, geography: &str) -> Self {
        Self {
            model: model.to_owned(),
            tier: tier.to_owned(),
            speed: speed.to_owned(),
            geography: geography.to_owned(),
            ..self.clone()
        }
    }
}

/// A group with its sums as numbers.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the records of its own"
)]
pub(crate) struct Group {
    pub(crate) dims: Vec<String>,
    pub(crate) sku: Sku,
    /// An instant of the group's interval of prices.
    pub(crate) at: i64,
    /// A number of input units in the context band of the line's model: see [`context_of`].
    pub(crate) context: i64,
    pub(crate) outcome: Outcome,
    pub(crate) billable: Billable,
    pub(crate) source: UsageSource,
    pub(crate) quality: UsageQuality,
    pub(crate) synthetic: bool,
    /// Whether each request of the group reserved something, not nothing of everything: one that did not has no bound.
    pub(crate) is_reserved: bool,
    /// Whether each of the requests says how many of any unit it used, be it 0, on any line.
    pub(crate) has_units: bool,
    /// Whether the records name the model that is priced: on a line, as planned, or as served. A route's public name is not
    /// that: what answers under it may be dearer, so where nothing else is known there is no bound.
    pub(crate) names_model: bool,
    /// Requests, each counted with its first line.
    pub(crate) requests: i128,
    /// Of each of these requests, the later lines. All alike.
    pub(crate) others: Vec<Other>,
    /// All events of a group used the same units, so a unit that is here was used by each.
    pub(crate) units: BTreeMap<Unit, i128>,
    /// Of each of these requests, the calls before the last that failed and that the provider may bill.
    pub(crate) doubtful_calls: u8,
    /// What these calls went to, each once: another model may be dearer than the request's own.
    pub(crate) called: Vec<Called>,
    /// What admission reserved, for each of these calls; and once more that, or what was counted, where [`Self::is_bounded_by_reservation`].
    pub(crate) estimated: BTreeMap<Unit, i128>,
}

/// A later line of the requests of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Other {
    pub(crate) sku: Sku,
    /// As [`Group::context`], of this line's model.
    pub(crate) context: i64,
    /// The units it used.
    pub(crate) used: Vec<Unit>,
}

/// The input units of one model over the lines of a request, each a model and its input units: they choose the context
/// band of all its lines. What another model read for the same answer is in no band of this one.
pub(crate) fn context_of<'a>(model: &str, lines: impl Iterator<Item = (&'a str, i128)>) -> i64 {
    let own = lines.filter(|(of, _)| *of == model);
    let total: i128 = own.map(|(_, input_units)| input_units).sum();
    i64::try_from(total).unwrap_or(i64::MAX)
}

impl Group {
    /// Whether the provider said nothing whole about requests that it may bill: then only the reservation bounds them.
    pub(crate) fn is_bounded_by_reservation(&self) -> bool {
        rated::is_bounded_by_reservation(self.outcome, self.billable, self.source)
    }

    /// Takes what each of its requests reserved, as often as it bounds something. What was counted of a request may be more
    /// than was reserved for it: of each side the greater bounds it. The store adds up the same: see `sql::bounds`.
    pub(crate) fn reserve(
        &mut self,
        reserved: &BTreeMap<Unit, i128>,
        counted: &BTreeMap<Unit, i128>,
    ) {
        let is_bounded = self.is_bounded_by_reservation();
        if self.doubtful_calls == 0 && !is_bounded {
            return;
        }
        self.is_reserved = reserved.values().any(|count| *count > 0);
        let of = |units: &BTreeMap<Unit, i128>, unit: Unit| units.get(&unit).copied().unwrap_or(0);
        let all = rated::bounds(
            self.doubtful_calls,
            is_bounded,
            |unit| of(reserved, unit),
            |unit| of(counted, unit),
        );
        self.estimated = all.filter(|(_, count)| *count != 0).collect();
    }

    /// Whether each of its requests used nothing, on any line.
    pub(crate) fn is_all_zero(&self) -> bool {
        self.units.is_empty() && self.others.iter().all(|other| other.used.is_empty())
    }
}

impl TryFrom<RawGroup> for Group {
    type Error = BillingError;

    fn try_from(raw: RawGroup) -> Result<Self, BillingError> {
        let mut units = BTreeMap::new();
        add_units(&mut units, &raw.unit_sums)?;
        add_units(&mut units, &raw.extra_sums)?;
        if !units.keys().copied().eq(units_of(raw.used)) {
            let text = "a sum of units that its events did not use, or none of one that they did";
            return Err(BillingError::Answer(text.to_owned()));
        }
        let mut estimated = BTreeMap::new();
        add_units(&mut estimated, &raw.estimated_sums)?;
        let other = |line: &RawLine| {
            let sku = raw
                .sku
                .of_line(&line.model, &line.tier, &line.speed, &line.geography);
            Other {
                sku,
                context: line.context,
                used: units_of(line.used),
            }
        };
        Ok(Self {
            others: raw.others.iter().map(other).collect(),
            dims: raw.dims,
            sku: raw.sku,
            at: raw.at,
            context: raw.context,
            outcome: raw.outcome,
            billable: raw.billable,
            source: raw.source,
            quality: raw.quality,
            synthetic: raw.synthetic,
            is_reserved: raw.is_reserved,
            has_units: raw.has_units,
            doubtful_calls: raw.doubtful_calls,
            called: raw.called,
            names_model: raw.names_model,
            requests: number(&raw.request_count)?,
            units,
            estimated,
        })
    }
}

/// Reads the store's answer, one group a line, and of which rows they are.
pub(super) fn read(answer: &[u8]) -> Result<(Vec<Group>, Others), BillingError> {
    let (mut groups, mut of) = (Vec::new(), Others::default());
    for raw in lines::<RawGroup>(answer)? {
        of.rows += raw.rows;
        of.mark ^= raw.mark;
        groups.push(raw.try_into()?);
    }
    Ok((groups, of))
}

/// The units of a set of bits, in the order of the unit numbers.
fn units_of(bits: u64) -> Vec<Unit> {
    let is_set = |(at, _): &(usize, &Unit)| bits >> at & 1 == 1;
    let all = Unit::ALL.iter().enumerate();
    all.filter(is_set).map(|(_, unit)| *unit).collect()
}

fn number(text: &str) -> Result<i128, BillingError> {
    text.parse()
        .map_err(|_| BillingError::Answer(format!("`{text}` is not a sum")))
}

/// Adds sums in the order of the unit numbers; no sums at all are allowed, some missing are not.
fn add_units(units: &mut BTreeMap<Unit, i128>, sums: &[String]) -> Result<(), BillingError> {
    if !sums.is_empty() && sums.len() != Unit::ALL.len() {
        return Err(BillingError::Answer(format!(
            "{} sums for {} units",
            sums.len(),
            Unit::ALL.len()
        )));
    }
    for (unit, text) in Unit::ALL.iter().zip(sums) {
        let count = number(text)?;
        if count != 0 {
            let sum = units.entry(*unit).or_insert(0);
            *sum = sum
                .checked_add(count)
                .ok_or_else(|| BillingError::TooLarge(unit.to_string()))?;
        }
    }
    Ok(())
}
