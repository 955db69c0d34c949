//! Which numbers of the scopes are in the store, counted in SQL by stretches of numbers: however many there are, the
//! engine keeps a bitmap of them, and a stretch that is full is not looked at again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use schemas::rows::numbers::near;
use serde::Deserialize;
use store::Client;

use super::claims::Scope;
use super::model::{BootReport, DeadLetter, Range, State};
use super::seen::Window;
use crate::BillingError;
use crate::sql::{json_rows, quoted};

const TIMEOUT: Duration = Duration::from_secs(55);
/// Numbers of one stretch.
const STRETCH: i64 = 65_536;
/// Starts of one question.
pub(super) const SCOPES_AT_ONCE: usize = 400;
/// Stretches that are looked at number by number; what is missing in further ones is counted.
const MAX_STRETCHES: usize = 200;
/// Stretches whose copies are compared in one question.
const STRETCHES_AT_ONCE: usize = 32;
/// Gaps that are listed for one start.
pub(super) const MAX_GAPS: usize = 1_000;

/// What the store has of one scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    rows: i64,
    /// Distinct numbers.
    distinct: i64,
    /// The greatest of them; -1 for none.
    greatest: i64,
    /// Distinct numbers by stretch.
    stretches: BTreeMap<i64, i64>,
    /// Stretches with more rows than numbers.
    copied: Vec<i64>,
    /// Rows of `usage_events` up to the last claimed number.
    pub(super) usage: i64,
    refused: i64,
    pub(super) recovered: i64,
}

#[derive(Deserialize)]
struct StretchRow {
    scope: usize,
    stretch: i64,
    rows: i64,
    found: i64,
    greatest: i64,
}

#[derive(Deserialize)]
struct UsageRow {
    scope: usize,
    rows: i64,
    refused: i64,
    recovered: i64,
}

/// The numbers of the scopes that the store has, in the order of the scopes.
pub(super) async fn found(
    client: &Client,
    scopes: &[Scope],
    window: Window,
) -> Result<Vec<Found>, BillingError> {
    let mut all = Vec::with_capacity(scopes.len());
    for part in scopes.chunks(SCOPES_AT_ONCE) {
        all.extend(found_of(client, part, window).await?);
    }
    Ok(all)
}

async fn found_of(
    client: &Client,
    scopes: &[Scope],
    window: Window,
) -> Result<Vec<Found>, BillingError> {
    let mut found = vec![
        Found {
            greatest: -1,
            ..Found::default()
        };
        scopes.len()
    ];
    let received = window.condition();
    let sql = format!(
        "{} SELECT scope, intDiv(seq, {STRETCH}) AS stretch, count() AS rows, groupBitmap(toUInt64(seq)) AS found, max(seq) AS greatest \
        FROM (SELECT indexOf(ks, concat(toString(producer), ' ', toString(boot))) AS scope, assumeNotNull(producer_seq) AS seq \
            FROM audit_log WHERE {received} AND fate = 'event') \
        WHERE scope > 0 AND seq >= firsts[scope] AND seq <= lasts[scope] GROUP BY scope, stretch ORDER BY scope, stretch",
        arrays(scopes, |scope| if scope.is_open {
            i64::MAX
        } else {
            scope.last
        })
    );
    for row in json_rows::<StretchRow>(client, &sql, TIMEOUT).await? {
        let Some(found) = found.get_mut(row.scope - 1) else {
            continue;
        };
        found.rows += row.rows;
        found.distinct += row.found;
        found.greatest = found.greatest.max(row.greatest);
        found.stretches.insert(row.stretch, row.found);
        if row.rows > row.found {
            found.copied.push(row.stretch);
        }
    }
    let sql = format!(
        "{} SELECT scope, count() AS rows, countIf(isNull(deployment)) AS refused, \
            countIf(outcome = 'unknown' AND outcome_detail = 'gateway_died') AS recovered \
        FROM (SELECT indexOf(ks, concat(toString(producer), ' ', toString(boot))) AS scope, producer_seq AS seq, deployment, outcome, \
            outcome_detail FROM usage_events FINAL WHERE {received}) \
        WHERE scope > 0 AND seq >= firsts[scope] AND seq <= lasts[scope] GROUP BY scope",
        arrays(scopes, |scope| scope.last)
    );
    for row in json_rows::<UsageRow>(client, &sql, TIMEOUT).await? {
        if let Some(found) = found.get_mut(row.scope - 1) {
            found.usage = row.rows;
            found.refused = row.refused;
            found.recovered = row.recovered;
        }
    }
    Ok(found)
}

/// The scopes as arrays of a query: `ks`, `firsts`, `lasts`.
pub(super) fn arrays(scopes: &[Scope], last: impl Fn(&Scope) -> i64) -> String {
    let (mut keys, mut firsts, mut lasts) = (String::new(), String::new(), String::new());
    for scope in scopes {
        let key = quoted(&format!("{} {}", scope.producer, scope.boot));
        // Writing to a text does not fail.
        let _ = write!(keys, "{key},");
        let _ = write!(firsts, "toInt64({}),", scope.first);
        let _ = write!(lasts, "toInt64({}),", last(scope));
    }
    let array = |text: &str, none: &str| match text.strip_suffix(',') {
        Some(items) => format!("[{items}]"),
        None => format!("[{none}]"),
    };
    format!(
        "WITH {} AS ks, {} AS firsts, {} AS lasts",
        array(&keys, "''"),
        array(&firsts, "toInt64(0)"),
        array(&lasts, "toInt64(-1)")
    )
}

/// What is missing of a scope, by stretches that are not full.
pub(super) async fn report(
    client: &Client,
    scope: &Scope,
    found: &Found,
    dead: &[DeadLetter],
    window: Window,
) -> Result<BootReport, BillingError> {
    let last = scope.last.max(found.greatest);
    let wanted = (last - scope.first + 1).max(0);
    let dead: Vec<i64> = dead_numbers(scope, last, dead);
    let mut report = blank(scope);
    report.numbers = (wanted > 0).then_some(Range {
        first: scope.first,
        last,
    });
    report.claimed = (scope.last - scope.first + 1).max(0);
    report.copies = found.rows - found.distinct;
    report.refused = found.refused;
    report.recovered = found.recovered;
    let mut gaps = Gaps::new(scope.due, dead);
    if found.distinct < wanted {
        let mut looked_at = 0;
        for stretch in scope.first.div_euclid(STRETCH)..=last.div_euclid(STRETCH) {
            let range = Range {
                first: scope.first.max(stretch * STRETCH),
                last: last.min(stretch * STRETCH + STRETCH - 1),
            };
            let has = found.stretches.get(&stretch).copied().unwrap_or(0);
            if has == range.count() {
                continue;
            }
            looked_at += 1;
            if has == 0 && found.distinct == 0 {
                gaps.add(range);
            } else if looked_at > MAX_STRETCHES {
                gaps.uncounted += range.count() - has;
            } else {
                let seqs = numbers(client, scope, range, window).await?;
                gaps.between(range, &seqs);
            }
        }
    }
    report.missing = gaps.missing + gaps.uncounted;
    report.under_way = gaps.under_way;
    report.dead_letters = gaps.dead_found;
    report.found = wanted - report.missing - report.under_way - report.dead_letters;
    report.gaps = gaps.list;
    Ok(report)
}

fn blank(scope: &Scope) -> BootReport {
    BootReport {
        producer: scope.producer.clone(),
        boot: scope.boot.clone(),
        state: scope.state,
        numbers: None,
        claimed: 0,
        found: 0,
        copies: 0,
        dead_letters: 0,
        under_way: 0,
        missing: 0,
        gaps: Vec::new(),
        open_before: None,
        admitted: None,
        settled: None,
        unknown: None,
        open: None,
        refused: 0,
        recovered: 0,
        balanced: None,
        lost: scope.lost.clone(),
        last_claim_us: scope.last_claim_us,
    }
}

fn dead_numbers(scope: &Scope, last: i64, dead: &[DeadLetter]) -> Vec<i64> {
    let of_scope = dead.iter().filter(|letter| {
        letter.producer.as_deref() == Some(&scope.producer)
            && letter.boot.as_deref() == Some(&scope.boot)
    });
    let numbers = of_scope.filter_map(|letter| letter.number);
    let mut numbers: Vec<i64> = numbers
        .filter(|number| (scope.first..=last).contains(number))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The numbers of a stretch, looked for far beyond the window: a clock may have been wrong.
async fn numbers(
    client: &Client,
    scope: &Scope,
    range: Range,
    window: Window,
) -> Result<Vec<i64>, BillingError> {
    #[derive(Deserialize)]
    struct Numbers {
        seqs: Vec<i64>,
    }
    let (producer, boot) = (quoted(&scope.producer), quoted(&scope.boot));
    let sql = format!(
        "SELECT arraySort(groupUniqArray(assumeNotNull(producer_seq))) AS seqs FROM audit_log \
        WHERE {} AND fate = 'event' AND producer = {producer} AND boot = {boot} AND producer_seq >= {} AND producer_seq <= {}{}",
        window.widened().condition(),
        range.first,
        range.last,
        near(&producer, &boot, &[(range.first, range.last)])
    );
    let rows: Vec<Numbers> = json_rows(client, &sql, TIMEOUT).await?;
    Ok(rows.into_iter().flat_map(|row| row.seqs).collect())
}

/// Numbers under which different records stand, of stretches with copies.
pub(super) async fn conflicts(
    client: &Client,
    scope: &Scope,
    found: &Found,
    window: Window,
) -> Result<Vec<i64>, BillingError> {
    #[derive(Deserialize)]
    struct Number {
        seq: i64,
    }
    let (producer, boot) = (quoted(&scope.producer), quoted(&scope.boot));
    let mut numbers = Vec::new();
    for stretches in found.copied.chunks(STRETCHES_AT_ONCE) {
        let ranges: Vec<_> = stretches
            .iter()
            .map(|stretch| (stretch * STRETCH, (stretch + 1) * STRETCH - 1))
            .collect();
        let stretches: Vec<String> = stretches.iter().map(ToString::to_string).collect();
        let sql = format!(
            "SELECT assumeNotNull(producer_seq) AS seq FROM audit_log WHERE {} AND fate = 'event' AND producer = {producer} AND boot = {boot} \
                AND intDiv(producer_seq, {STRETCH}) IN ({}){} GROUP BY seq HAVING uniqExact(leaf) > 1 ORDER BY seq LIMIT {MAX_GAPS}",
            window.condition(),
            stretches.join(", "),
            near(&producer, &boot, &ranges)
        );
        let rows: Vec<Number> = json_rows(client, &sql, TIMEOUT).await?;
        numbers.extend(rows.into_iter().map(|row| row.seq));
    }
    Ok(numbers)
}

/// What is missing, split by why.
struct Gaps {
    due: i64,
    dead: Vec<i64>,
    list: Vec<Range>,
    missing: i64,
    under_way: i64,
    dead_found: i64,
    /// Missing, and not looked at one by one.
    uncounted: i64,
}

impl Gaps {
    fn new(due: i64, dead: Vec<i64>) -> Self {
        Self {
            due,
            dead,
            list: Vec::new(),
            missing: 0,
            under_way: 0,
            dead_found: 0,
            uncounted: 0,
        }
    }

    /// What lies between numbers that are there, in their order.
    fn between(&mut self, range: Range, seqs: &[i64]) {
        let mut next = range.first;
        for seq in seqs.iter().copied().chain([range.last + 1]) {
            if seq > next {
                self.add(Range {
                    first: next,
                    last: seq - 1,
                });
            }
            next = seq + 1;
        }
    }

    fn add(&mut self, range: Range) {
        let mut next = range.first;
        let dead: Vec<i64> = self
            .dead
            .iter()
            .copied()
            .filter(|number| (range.first..=range.last).contains(number))
            .collect();
        for number in dead {
            self.dead_found += 1;
            self.absent(next, number - 1);
            next = number + 1;
        }
        self.absent(next, range.last);
    }

    fn absent(&mut self, first: i64, last: i64) {
        let late = last - first.max(self.due.saturating_add(1)) + 1;
        self.under_way += late.max(0);
        let last = last.min(self.due);
        if first > last {
            return;
        }
        self.missing += last - first + 1;
        let is_full = self.list.len() >= MAX_GAPS;
        match self.list.last_mut() {
            Some(before) if before.last + 1 == first => before.last = last,
            _ if is_full => {}
            _ => self.list.push(Range { first, last }),
        }
    }
}

/// Fills in the equation of requests: what was claimed against what was found.
pub(super) fn balance(report: &mut BootReport, scope: &Scope, found: &Found, closes_others: bool) {
    let (Some(after), before) = (scope.after, scope.before) else {
        return;
    };
    let none = (0, 0, 0);
    let before = before.map_or(none, |claim| (claim.admitted, claim.settled, claim.open));
    let after = (after.admitted, after.settled, after.open);
    let counts = [before.0, before.1, before.2, after.0, after.1, after.2];
    if counts.iter().any(|count| *count < 0) {
        return;
    }
    let (admitted, settled) = (after.0 - before.0, after.1 - before.1);
    let (open, unknown) = if scope.state == State::Recovered {
        (0, after.2)
    } else {
        (after.2, 0)
    };
    report.open_before = Some(before.2);
    report.admitted = Some(admitted);
    report.settled = Some(settled);
    report.open = Some(open);
    report.unknown = Some(unknown);
    if report.missing + report.under_way + report.dead_letters > 0 {
        return;
    }
    let adds_up = before.2 + admitted == settled + unknown + open;
    let found_settled = found.usage - found.refused - found.recovered;
    report.balanced = Some(adds_up && found_settled == settled && closes_others);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_is_not_there_and_the_young_and_the_dead_are_apart() {
        let mut gaps = Gaps::new(20, vec![5, 12]);
        gaps.between(Range { first: 0, last: 24 }, &[0, 1, 2, 6, 7, 8, 13, 14]);
        let listed: Vec<String> = gaps.list.iter().map(ToString::to_string).collect();
        assert_eq!(listed, ["3-4", "9-11", "15-20"]);
        assert_eq!((gaps.missing, gaps.dead_found, gaps.under_way), (11, 2, 4));
    }
}
