//! Which numbers of which start belong to a period, by what the starts claimed.
//!
//! A claim says: by this moment of my clock my last number was n, and the oldest request that ran had been received then.
//! A start's claims are in the order of its journal, whatever its clock does. Of a period they choose:
//!
//! - after the last claim before the first one that lies in the period or later: all that was drawn earlier was received
//!   earlier;
//! - up to the first claim after the last one that lies before the end, a minute added, or that knows of a running request
//!   received before the end: all that is drawn later was received later. A refusal is written within that minute.
//!
//! So neighbouring periods share the numbers between two claims, a second's worth, or as long as a request ran over the
//! border: a number that is missing there may belong to either and is missed in both; no number is missed in none. A start
//! that was killed is closed by a later one, whose first numbers close what was left open: they belong to the periods of
//! the one that was killed, too.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Boot;
use serde::Deserialize;
use store::Client;

use super::model::{DeclaredLoss, State};
use crate::sql::{json_rows, quoted};
use crate::{BillingError, Period};

const TIMEOUT: Duration = Duration::from_secs(55);
/// A record is written within this of what it says it is about; a claim and its records are in the store within it.
pub(super) const GRACE_US: i64 = 60_000_000;
/// A start that has claimed nothing for so long has nothing under way any more: what is above its last claim and not there is missing.
const SILENCE_US: i64 = 10 * GRACE_US;
const NEVER: i64 = i64::MAX;

/// The counters of a claim; -1 where it does not say.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) seq: i64,
    pub(super) admitted: i64,
    pub(super) settled: i64,
    pub(super) open: i64,
    pub(super) at: i64,
    pub(super) oldest: i64,
}

/// All that is claimed of one start.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) producer: String,
    pub(super) boot: String,
    lo: Counts,
    has_lo: u64,
    hi: Counts,
    has_hi: u64,
    newest: Counts,
    /// Claims in the period or later.
    inside: u64,
    /// Claims before the end.
    before_end: u64,
    /// The earliest of all its claims.
    first_at: i64,
    /// The last number that must have arrived.
    due: i64,
    /// The number of the first claim that it made itself: all before it closes what others left open.
    began: i64,
    closed: u64,
    /// Who closed it; empty for itself.
    closed_by: String,
    /// The place of its last heartbeat in its journal: -1 where that does not say, -2 where there is none.
    heard: i64,
}

/// A loss that an operator declared.
#[derive(Clone, Debug)]
struct Loss {
    at: i64,
    /// The place of the heartbeat that it stands on, or -1.
    stands_on: i64,
    told: DeclaredLoss,
}

/// Numbers of a start that belong to a period.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) producer: String,
    pub(super) boot: String,
    pub(super) state: State,
    pub(super) first: i64,
    /// The last that was claimed.
    pub(super) last: i64,
    /// More may follow that is not claimed yet.
    pub(super) is_open: bool,
    /// Missing numbers after this one are under way.
    pub(super) due: i64,
    pub(super) before: Option<Counts>,
    pub(super) after: Option<Counts>,
    pub(super) lost: Option<DeclaredLoss>,
    pub(super) held_up: Option<String>,
    pub(super) last_claim_us: Option<i64>,
    /// The last that was ever claimed, for whatever period; -1 for none.
    pub(super) newest: i64,
}

impl Scope {
    /// Whether its claims say where its numbers of the period begin and end.
    fn is_bounded(&self) -> bool {
        self.last_claim_us.is_some() && !self.is_open
    }

    /// Whether its claims say that a number is of another period.
    pub(super) fn has_elsewhere(&self, number: i64) -> bool {
        let is_of_period = (self.first..=self.last).contains(&number);
        self.is_bounded() && !is_of_period && (0..=self.newest).contains(&number)
    }
}

/// The moment that a check speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) as_of: i64,
}

impl Moment {
    pub(super) fn new(period: &Period, as_of: i64) -> Self {
        Self {
            start: period.start().0,
            end: period.end().0,
            as_of,
        }
    }

    /// When a period is over for certain.
    pub(super) fn over(period: &Period) -> i64 {
        period.end().0 + GRACE_US
    }

    /// The period has not ended, or not for long enough.
    pub(super) fn is_running(self) -> bool {
        self.end + GRACE_US > self.as_of
    }

    /// Somebody must have spoken after this: else nobody knows whether there was another start.
    pub(super) fn heard_until(self) -> i64 {
        self.end.min(self.as_of - GRACE_US)
    }

    /// Claims before this are before the end.
    fn end_of_claims(self) -> i64 {
        if self.is_running() {
            self.as_of - GRACE_US
        } else {
            self.end + GRACE_US
        }
    }

    /// A request received before this keeps the period open while it runs.
    fn end_of_open(self) -> i64 {
        if self.is_running() { 0 } else { self.end }
    }
}

/// The clock of the newest claim of all, if there is one.
pub(super) async fn newest(client: &Client) -> Result<Option<i64>, BillingError> {
    #[derive(Deserialize)]
    struct Newest {
        claims: u64,
        at: i64,
    }
    const SQL: &str = "SELECT count() AS claims, toUnixTimestamp64Micro(max(clock)) AS at FROM producer_log \
        WHERE kind NOT IN ('silent', 'declared_lost')";
    let rows: Vec<Newest> = json_rows(client, SQL, TIMEOUT).await?;
    let newest = rows.first().filter(|row| row.claims > 0);
    Ok(newest.map(|row| row.at))
}

/// The numbers of every start that belong to the period.
pub(super) async fn scopes(
    client: &Client,
    moment: Moment,
    producer: Option<&str>,
) -> Result<Vec<Scope>, BillingError> {
    let claims: Vec<Claims> = json_rows(client, &claims_sql(moment, producer), TIMEOUT).await?;
    let mut losses = losses(client).await?;
    let with_loss = claims.into_iter().map(|claims| {
        let key = (claims.producer.clone(), claims.boot.clone());
        (claims, losses.remove(&key))
    });
    Ok(choose(moment, with_loss.collect()))
}

fn claims_sql(moment: Moment, producer: Option<&str>) -> String {
    let (start, end, open) = (moment.start, moment.end_of_claims(), moment.end_of_open());
    let due = moment.as_of - GRACE_US;
    let only = producer.map_or_else(String::new, |name| {
        format!("AND producer_log.producer = {}", quoted(name))
    });
    let before_end = format!("(at < {end} OR oldest < {open})");
    let counts = "CAST((seq, admitted, settled, open, at, oldest), \
        'Tuple(seq Int64, admitted Int64, settled Int64, open Int64, at Int64, oldest Int64)')";
    format!(
        "WITH own AS (SELECT toString(producer_log.producer) AS p, toString(producer_log.boot) AS b, toString(kind) AS k, \
            toUnixTimestamp64Micro(clock) AS at, ifNull(last_producer_seq, -1) AS seq, \
            ifNull(producer_log.admitted, -1) AS admitted, ifNull(producer_log.settled, -1) AS settled, \
            ifNull(producer_log.open, -1) AS open, ifNull(toUnixTimestamp64Micro(oldest_open), {NEVER}) AS oldest, \
            toString(by_whom) AS closer, (seq, ifNull(synced_position, 0), at) AS place, \
            if(kind = 'heartbeat', ifNull(synced_position, -1), -2) AS beat \
            FROM producer_log WHERE kind NOT IN ('silent', 'declared_lost') {only}), \
        marks AS (SELECT p, b, minIf(place, at >= {start}) AS first_in, countIf(at >= {start}) AS n_inside, \
            maxIf(place, {before_end}) AS last_in, countIf({before_end}) AS n_before FROM own GROUP BY p, b) \
        SELECT p AS producer, b AS boot, \
            argMaxIf({counts}, place, n_inside = 0 OR place < first_in) AS lo, countIf(n_inside = 0 OR place < first_in) AS has_lo, \
            argMinIf({counts}, place, n_before > 0 AND place > last_in) AS hi, countIf(n_before > 0 AND place > last_in) AS has_hi, \
            argMax({counts}, place) AS newest, any(n_inside) AS inside, any(n_before) AS before_end, \
            min(at) AS first_at, if(countIf(at < {due}) = 0, -1, maxIf(seq, at < {due})) AS due, if(countIf(k NOT IN ('registered', 'closed')) = 0, max(seq), \
                argMinIf(seq, place, k NOT IN ('registered', 'closed'))) AS began, \
            countIf(k = 'closed') AS closed, argMaxIf(closer, place, k = 'closed') AS closed_by, max(beat) AS heard \
        FROM own INNER JOIN marks USING (p, b) GROUP BY p, b ORDER BY p, b \
        SETTINGS output_format_json_named_tuples_as_objects = 1"
    )
}

/// Of each start the loss that stands on its latest heartbeat.
async fn losses(client: &Client) -> Result<BTreeMap<(String, String), Loss>, BillingError> {
    #[derive(Deserialize)]
    struct Row {
        p: String,
        b: String,
        at: i64,
        stands_on: i64,
        by: String,
        why: String,
        missing: Option<i64>,
        open: Option<i64>,
        until: Option<i64>,
        units: BTreeMap<String, i64>,
    }
    const SQL: &str = "SELECT toString(producer) AS p, toString(boot) AS b, toUnixTimestamp64Micro(clock) AS at, \
        ifNull(synced_position, -1) AS stands_on, by_whom AS by, why, \
        exposure_missing AS missing, exposure_open AS open, toUnixTimestamp64Micro(exposure_known_until) AS until, \
        CAST(reserved_units, 'Map(String, Int64)') AS units \
        FROM producer_log FINAL WHERE kind = 'declared_lost' ORDER BY p, b, stands_on, at";
    let rows: Vec<Row> = json_rows(client, SQL, TIMEOUT).await?;
    let losses = rows.into_iter().map(|row| {
        let told = DeclaredLoss {
            by: row.by,
            why: row.why,
            missing: row.missing,
            // Of one that never gave a sign of life nobody knows.
            open: row.open.filter(|open| *open > 0 || row.until.is_some()),
            reserved_units: row.units,
            known_until_us: row.until,
        };
        let loss = Loss {
            at: row.at,
            stands_on: row.stands_on,
            told,
        };
        ((row.p, row.b), loss)
    });
    Ok(losses.collect())
}

type Claimed = (Claims, Option<Loss>);

/// From claims to scopes. Pure. A loss holds until a heartbeat follows it, or an end.
fn choose(moment: Moment, mut claims: Vec<Claimed>) -> Vec<Scope> {
    for (claims, loss) in &mut claims {
        loss.take_if(|loss| claims.closed > 0 || loss.stands_on < claims.heard);
    }
    let heirs = heirs(moment, &claims);
    let scopes = claims.into_iter().filter_map(|(claims, loss)| {
        let inherits = heirs.contains(&(claims.producer.clone(), claims.boot.clone()));
        scope(moment, claims, loss, inherits)
    });
    scopes.collect()
}

/// The starts that closed what one of the period had left open, and those between.
fn heirs(moment: Moment, claims: &[Claimed]) -> std::collections::BTreeSet<(String, String)> {
    let mut heirs = std::collections::BTreeSet::new();
    let counter = |boot: &str| boot.parse::<Boot>().map_or(0, |boot| boot.counter);
    for (dead, loss) in claims {
        let is_in = in_period(moment, dead, loss.as_ref());
        // One that lived on after the period had nothing of it open when it was killed.
        let lived_on = dead.has_hi > 0 && !moment.is_running() && dead.hi != dead.newest;
        if lived_on || dead.closed_by.is_empty() || dead.closed_by == dead.boot || !is_in {
            continue;
        }
        let after = counter(&dead.boot) + 1..=counter(&dead.closed_by);
        let same_producer = claims
            .iter()
            .filter(|(claims, _)| claims.producer == dead.producer);
        let between = same_producer.filter(|(claims, _)| after.contains(&counter(&claims.boot)));
        heirs.extend(between.map(|(claims, _)| (claims.producer.clone(), claims.boot.clone())));
    }
    heirs
}

/// Whether any number of it, known or not, may belong to the period.
fn in_period(moment: Moment, claims: &Claims, loss: Option<&Loss>) -> bool {
    let began_before_end = claims.first_at < moment.end;
    let lived_on = match loss {
        Some(loss) => loss.at >= moment.start,
        None => claims.closed == 0,
    };
    began_before_end && (claims.inside > 0 || lived_on)
}

fn scope(moment: Moment, claims: Claims, loss: Option<Loss>, inherits: bool) -> Option<Scope> {
    let is_in = in_period(moment, &claims, loss.as_ref());
    if !is_in && !inherits {
        return None;
    }
    let is_whole = claims.has_hi > 0 && !moment.is_running();
    // What came of it after the period is no matter of the period.
    let lived_on = is_whole && claims.hi != claims.newest;
    let state = if lived_on {
        State::Open
    } else {
        state(&claims, loss.is_some())
    };
    let before = Some(claims.lo).filter(|_| claims.has_lo > 0 && !inherits);
    let after = if is_whole { claims.hi } else { claims.newest };
    let after = if is_in {
        after
    } else {
        Counts {
            seq: claims.began,
            ..claims.newest
        }
    };
    let ended = is_whole || state != State::Open;
    let is_open = is_in && !ended;
    let spoke = claims.has_hi > 0 || claims.before_end == 0;
    let held_up = (is_open && !(moment.is_running() && spoke)).then(|| {
        "it has claimed nothing after the end: neither a heartbeat, nor that it closed, nor was it declared lost"
            .to_owned()
    });
    Some(Scope {
        first: before.map_or(0, |before| before.seq + 1),
        last: after.seq,
        is_open,
        due: if (moment.is_running() || is_open) && claims.newest.at >= moment.as_of - SILENCE_US {
            claims.due
        } else {
            i64::MAX
        },
        before,
        after: Some(after).filter(|_| is_in),
        lost: loss.map(|loss| loss.told).filter(|_| !lived_on),
        held_up,
        last_claim_us: Some(claims.newest.at),
        newest: claims.newest.seq,
        producer: claims.producer,
        boot: claims.boot,
        state,
    })
}

fn state(claims: &Claims, is_lost: bool) -> State {
    match (claims.closed > 0, claims.closed_by.is_empty()) {
        (true, true) => State::Closed,
        (true, false) => State::Recovered,
        (false, _) if is_lost => State::DeclaredLost,
        (false, _) => State::Open,
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
