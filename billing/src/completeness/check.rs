//! A check from its beginning to its verdicts.

use std::collections::{BTreeMap, BTreeSet};

use store::Client;

use super::bytes::{Findings, Reading, Wanted};
use super::claims::{self, Moment, Scope};
use super::dead_letters::{DeadLetters, dead_letters};
use super::model::{BootReport, Finding, HeldUp, Quick, Range, Report, State, Verdict};
use super::numbers::{self, Found};
use super::places::{self, End, Stretch};
use super::rows::{self, Which};
use super::seen::Window;
use super::{dense, judge, unclaimed};
use crate::chargeback::PeriodSpan;
use crate::{BillingError, Period};

/// The moment that a check speaks of: what is claimed within a minute of it need not be there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// µs since the epoch.
    At(i64),
    /// The newest claim in the store: the same store gives the same answer.
    NewestClaim,
}

/// What to check.
#[derive(Clone, Debug)]
pub struct Request {
    /// The period.
    pub period: Period,
    /// Only this producer.
    pub producer: Option<String>,
    /// As of when.
    pub as_of: AsOf,
}

/// What the numbers say.
struct Numbers {
    moment: Moment,
    boots: Vec<BootReport>,
    held_up: Vec<HeldUp>,
    dead_letters: DeadLetters,
    /// Rows of `usage_events` that are short of the numbers found.
    short: i64,
    scopes: Vec<Scope>,
    found: Vec<Found>,
    window: Window,
}

/// Checks a period: numbers first, then every byte.
pub async fn check(client: &Client, request: &Request) -> Result<Report, BillingError> {
    let stretches = places::stretches(client, &request.period).await?;
    let numbers = count(client, request).await?;
    let moment = numbers.moment;
    let running = moment.is_running();
    let ends = places::ends(client).await?;
    let mut reading = read(
        client,
        request,
        &stretches,
        running.then_some(ends.as_slice()),
    )
    .await?;
    compare_rows(
        client,
        request,
        &mut reading,
        running.then_some(ends.as_slice()),
    )
    .await?;
    let mut findings = std::mem::take(&mut reading.findings);
    conflicts(client, &numbers, &mut findings).await?;
    reconsider(&mut findings, &numbers.boots);
    for boot in &numbers.boots {
        judge::of_boot(boot, &mut findings);
    }
    if let Some(more) = numbers.dead_letters.cut_off() {
        findings.push(more);
    }
    judge::of_dead_letters(&numbers.dead_letters.list, &mut findings);
    findings.list.sort();
    let verdicts = judge::verdicts(
        &findings,
        reading.not_whole,
        &numbers.held_up,
        &numbers.boots,
    );
    Ok(Report {
        period: span(&request.period),
        producer: request.producer.clone(),
        as_of_us: moment.as_of,
        is_final: !running && numbers.held_up.is_empty(),
        held_up_by: numbers.held_up,
        verdicts,
        events: reading.events,
        boots: numbers.boots,
        partitions: reading.partitions,
        dead_letters: numbers.dead_letters.list,
        findings: findings.list,
        findings_left_out: findings.left_out,
    })
}

/// Looks at the numbers alone, for a note under a report.
pub async fn quick(client: &Client, period: &Period, as_of: AsOf) -> Result<Quick, BillingError> {
    let request = Request {
        period: period.clone(),
        producer: None,
        as_of,
    };
    let numbers = count(client, &request).await?;
    let missing: i64 = numbers.boots.iter().map(|boot| boot.missing).sum();
    Ok(Quick {
        missing: missing + numbers.short,
        dead_letters: i64::try_from(numbers.dead_letters.list.len()).unwrap_or(i64::MAX),
        held_up: i64::try_from(numbers.held_up.len()).unwrap_or(i64::MAX),
    })
}

fn span(period: &Period) -> PeriodSpan {
    PeriodSpan {
        name: period.name().to_owned(),
        zone: period.zone().name().to_owned(),
        start_us: period.start().0,
        end_us: period.end().0,
    }
}

async fn count(client: &Client, request: &Request) -> Result<Numbers, BillingError> {
    let newest = claims::newest(client).await?;
    let as_of = match (request.as_of, newest) {
        (AsOf::At(at), _) | (AsOf::NewestClaim, Some(at)) => at,
        // What nobody speaks of is looked at as a period that is over: nothing of it is excused as still under way.
        (AsOf::NewestClaim, None) => Moment::over(&request.period),
    };
    let moment = Moment::new(&request.period, as_of);
    let producer = request.producer.as_deref();
    let mut scopes = claims::scopes(client, moment, producer).await?;
    scopes.extend(unclaimed::scopes(client, moment, producer, &scopes).await?);
    scopes.sort_by(|a, b| (&a.producer, &a.boot).cmp(&(&b.producer, &b.boot)));
    let window = Window::of(moment, &scopes);
    let found = numbers::found(client, &scopes, window).await?;
    let dead_letters = dead_letters(client, moment, &scopes, producer).await?;
    let (mut boots, mut short) = (Vec::with_capacity(scopes.len()), 0);
    for (scope, found) in scopes.iter().zip(&found) {
        let report = numbers::report(client, scope, found, &dead_letters.list, window).await?;
        short += shortage(scope, &report, found);
        boots.push(report);
    }
    let differing = producers_whose_kills_differ(&scopes, &found);
    for ((report, scope), found) in boots.iter_mut().zip(&scopes).zip(&found) {
        let closes_others = !differing.contains(scope.producer.as_str());
        numbers::balance(report, scope, found, closes_others);
    }
    let mut held_up = dense::unknown_starts(client, moment, producer, &scopes).await?;
    held_up.extend(scopes.iter().filter_map(of_scope));
    if let Some(name) = producer
        && scopes.is_empty()
        && !unclaimed::is_known(client, name).await?
    {
        held_up.push(HeldUp {
            producer: name.to_owned(),
            boot: String::new(),
            why: "nothing is known of this producer: there is neither a record nor a word of it"
                .to_owned(),
        });
    }
    if held_up.is_empty() {
        held_up.extend(nobody(moment, newest));
    }
    Ok(Numbers {
        moment,
        boots,
        held_up,
        dead_letters,
        short,
        scopes,
        found,
        window,
    })
}

fn of_scope(scope: &Scope) -> Option<HeldUp> {
    Some(HeldUp {
        producer: scope.producer.clone(),
        boot: scope.boot.clone(),
        why: scope.held_up.clone()?,
    })
}

/// Where the claims end before the period does, there may have been starts that nobody has heard of.
fn nobody(moment: Moment, newest: Option<i64>) -> Option<HeldUp> {
    let why = match newest {
        None => "no gateway has claimed anything, so nothing says what there should be",
        Some(at) if at < moment.heard_until() => {
            "no gateway has claimed anything since, so nothing says whether there was another start"
        }
        Some(_) => return None,
    };
    Some(HeldUp {
        producer: String::new(),
        boot: String::new(),
        why: why.to_owned(),
    })
}

/// Numbers up to the last claimed one whose row is not in `usage_events`, as far as counting shows it.
fn shortage(scope: &Scope, report: &BootReport, found: &Found) -> i64 {
    if scope.is_open || report.under_way > 0 {
        return 0;
    }
    (report.found - found.usage).max(0)
}

/// Producers of which other requests were closed as unknown than were left open: start by start it can not be told, as one
/// that closes may be killed over it.
fn producers_whose_kills_differ<'a>(scopes: &'a [Scope], found: &[Found]) -> BTreeSet<&'a str> {
    let mut balances: BTreeMap<&str, Option<i64>> = BTreeMap::new();
    for (scope, found) in scopes.iter().zip(found) {
        let left_open = match (scope.state, scope.after) {
            (State::Recovered, Some(after)) => after.open,
            _ => 0,
        };
        let balance = balances.entry(&scope.producer).or_insert(Some(0));
        // Where one does not say what it left open there is nothing to compare.
        *balance = balance
            .filter(|_| left_open >= 0)
            .map(|balance| balance + left_open - found.recovered);
    }
    let differing = balances
        .into_iter()
        .filter(|(_, balance)| balance.is_some_and(|balance| balance != 0));
    differing.map(|(producer, _)| producer).collect()
}

async fn read(
    client: &Client,
    request: &Request,
    stretches: &[Stretch],
    ends: Option<&[End]>,
) -> Result<Reading, BillingError> {
    let mut reading = Reading::default();
    let wanted = Wanted {
        from: request.period.start().0,
        to: request.period.end().0,
        producer: request.producer.as_deref(),
    };
    for stretch in stretches {
        let end = ends.map(|ends| {
            let of = ends
                .iter()
                .find(|end| (&end.topic, end.partition) == (&stretch.topic, stretch.partition));
            of.map_or(-1, |end| end.last)
        });
        reading.stretch(client, stretch, wanted, end).await?;
    }
    reading.end();
    Ok(reading)
}

async fn compare_rows(
    client: &Client,
    request: &Request,
    reading: &mut Reading,
    ends: Option<&[End]>,
) -> Result<(), BillingError> {
    let which = Which {
        from: request.period.start().0,
        to: request.period.end().0,
        producer: request.producer.as_deref(),
        below: ends,
    };
    let stored = rows::sums(client, &which).await?;
    let (findings, left_out) =
        rows::differences(client, &which, (&stored, &reading.expected)).await?;
    for finding in findings {
        reading.findings.push(finding);
    }
    if left_out > 0 {
        reading.findings.push(Finding::at_large(Verdict::Integrity, format!(
                "in {left_out} more parts of hours usage_events is not what audit_log gives; check a shorter period"
            )));
    }
    Ok(())
}

async fn conflicts(
    client: &Client,
    numbers: &Numbers,
    findings: &mut Findings,
) -> Result<(), BillingError> {
    for (scope, found) in numbers.scopes.iter().zip(&numbers.found) {
        let twice = numbers::conflicts(client, scope, found, numbers.window).await?;
        for number in twice {
            findings.push(Finding {
                verdict: Verdict::Integrity,
                producer: Some(scope.producer.clone()),
                boot: Some(scope.boot.clone()),
                numbers: Some(Range {
                    first: number,
                    last: number,
                }),
                partition: None,
                places: None,
                what: "different records have this number".to_owned(),
            });
        }
    }
    Ok(())
}

/// A row without a record is one whose record is missing, where its number is.
fn reconsider(findings: &mut Findings, boots: &[BootReport]) {
    let is_missing = |finding: &Finding| {
        let number = finding.numbers.map_or(-1, |numbers: Range| numbers.first);
        boots.iter().any(|boot| {
            Some(&boot.producer) == finding.producer.as_ref()
                && Some(&boot.boot) == finding.boot.as_ref()
                && boot
                    .gaps
                    .iter()
                    .any(|gap| (gap.first..=gap.last).contains(&number))
        })
    };
    for finding in &mut findings.list {
        let surplus = finding.verdict == Verdict::Integrity && finding.what == rows::SURPLUS;
        if surplus && is_missing(finding) {
            finding.verdict = Verdict::Completeness;
        }
    }
    let changed = |finding: &Finding| finding.verdict == Verdict::Integrity;
    findings.changed =
        findings.left_out > 0 && findings.changed || findings.list.iter().any(changed);
    findings.missing |= findings.list.iter().any(|finding| !changed(finding));
}
