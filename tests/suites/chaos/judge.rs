//! The join of the three books by number: the clients', the provider's and the store's, row by row. It holds a few bytes a
//! request, so that a million fit.

use std::collections::BTreeMap;
use std::fmt;

use simulator::load::Outcome as Seen;
use store::Client;
use tests::KEYS;

use crate::gateways::Deaths;
use crate::load::{Line, number_of};
use crate::truth::{Provider, Truth};

/// The set is read in so many parts.
const PARTS: u64 = 16;
/// So many faults are shown of each kind.
const SHOWN: usize = 3;

/// What the three say together.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Requests by number that have an event.
    pub events: u64,
    /// Events by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Numbers that have neither an answer nor an event: their clients did not get through, or left.
    pub unheard: u64,
    /// Refused for want of room, each or together with others counted.
    refused: Refused,
    faults: BTreeMap<&'static str, (u64, Vec<String>)>,
}

/// Refusals without a record of their own, and what counted records stand for beyond one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Refused {
    /// Answers 503, as clients saw them.
    unrecorded: u64,
    /// As records count them.
    folded: u64,
    /// Of no record and of no answer: their clients left, or the gateway went. Some may have been refused.
    unanswered: u64,
    /// What gateways had folded when they died.
    forgotten: u64,
    /// Their deaths.
    deaths: u64,
}

/// A row of the set.
#[derive(Debug)]
struct Event<'a> {
    nonce: &'a str,
    who: [&'a str; 3],
    outcome: &'a str,
    source: &'a str,
    status: u16,
    input: Option<u32>,
    output: Option<u32>,
    count: u64,
}

const COLUMNS: &str = "labels['client_request_id'], tenant, project, key_id, toString(outcome), toString(usage_source), \
    toString(ifNull(status, 0)), \
    if(input_text IS NULL AND input_cached IS NULL, '', toString(ifNull(input_text, 0) + ifNull(input_cached, 0))), \
    if(output_text IS NULL AND output_reasoning IS NULL, '', toString(ifNull(output_text, 0) + ifNull(output_reasoning, 0))), \
    toString(count)";

/// Reads the set and compares.
pub async fn judge(client: &Client, book: &[Line], numbers: usize, provider: &Provider) -> Verdict {
    let mut verdict = Verdict::default();
    let mut lines: Vec<Option<Line>> = vec![None; numbers];
    for line in book {
        lines[line.number as usize] = Some(*line);
    }
    let mut seen = vec![0_u8; numbers];
    for part in 0..PARTS {
        let sql = format!(
            "SELECT {COLUMNS} FROM usage_events FINAL WHERE cityHash64(event_id) % {PARTS} = {part}"
        );
        let bytes = client.query_bytes(&sql, "TabSeparated").await;
        let bytes = bytes.expect("the store answers");
        let text = std::str::from_utf8(&bytes).expect("the store answers with a text");
        for row in text.lines() {
            let event = Event::read(row);
            verdict.take(&event, &lines, &mut seen, provider);
        }
    }
    for (line, seen) in lines.iter().zip(seen) {
        match (line, seen) {
            (Some(line), 0) => verdict.without_event(*line, provider.of(line.number)),
            (Some(_), 1) => verdict.events += 1,
            (None, _) => verdict.fault(
                "a number was given out and is in no client's book",
                String::new,
            ),
            (Some(line), many) => {
                verdict.fault("counted twice", || format!("{line:?} has {many} events"));
            }
        }
    }
    for oddity in &provider.oddities {
        verdict.fault("the provider's book", || oddity.clone());
    }
    verdict
}

impl<'a> Event<'a> {
    fn read(row: &'a str) -> Self {
        let mut fields = row.split('\t');
        let mut field = || fields.next().expect("the columns that were asked for");
        let nonce = field();
        let who = [field(), field(), field()];
        let (outcome, source, status) = (field(), field(), field());
        let (input, output, count) = (field(), field(), field());
        let figure = |text: &str| {
            let empty = text.is_empty();
            (!empty).then(|| text.parse().expect("a figure"))
        };
        Self {
            nonce,
            who,
            outcome,
            source,
            status: status.parse().expect("a status"),
            input: figure(input),
            output: figure(output),
            count: count.parse().expect("a count"),
        }
    }
}

impl Verdict {
    /// Whether no fault was found.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes a fault; few of a kind are written out.
    pub fn fault(&mut self, kind: &'static str, what: impl FnOnce() -> String) {
        let (count, shown) = self.faults.entry(kind).or_default();
        *count += 1;
        if shown.len() < SHOWN {
            shown.push(what());
        }
    }

    /// Holds the refusals that clients saw against those that records count: no record counts one that was not, and none is in no
    /// record but what a gateway had in memory when it was killed.
    pub fn judge_refusals(&mut self, deaths: &Deaths) {
        self.refused.deaths = deaths.count();
        self.refused.forgotten = deaths.forgotten();
        let refused = self.refused;
        if let Some(fault) = refused.fault() {
            self.fault(fault, || format!("{refused:?}"));
        }
    }

    fn take(
        &mut self,
        event: &Event<'_>,
        lines: &[Option<Line>],
        seen: &mut [u8],
        provider: &Provider,
    ) {
        *self.outcomes.entry(event.outcome.to_owned()).or_default() += 1;
        let number = number_of(event.nonce);
        let line = number.and_then(|number| lines.get(number as usize).copied().flatten());
        let Some(line) = line else {
            return self.fault("invented: nobody sent it", || format!("{event:?}"));
        };
        let at = line.number as usize;
        seen[at] = seen[at].saturating_add(1);
        let truth = provider.of(line.number);
        if event.count > 1 && event.outcome == "refused_limit" {
            self.refused.folded += event.count - 1;
        } else if event.count != 1 {
            self.fault("counted more than once", || format!("{event:?}"));
        }
        for fault in faults(line, event, truth) {
            self.fault(fault, || {
                format!("{line:?}\n      {event:?}\n      {truth:?}")
            });
        }
    }

    /// A request without an event: nothing may have come of it.
    fn without_event(&mut self, line: Line, truth: Truth) {
        if truth.requests > 0 {
            self.fault("lost: the provider saw it", || {
                format!("{line:?} {truth:?}")
            });
        } else if line.status == 503 {
            self.refused.unrecorded += 1;
        } else if line.status != 0 {
            self.fault("lost: it was answered", || format!("{line:?}"));
        } else {
            self.unheard += 1;
            self.refused.unanswered += u64::from(line.seen != Seen::NotConnected);
        }
    }
}

impl Refused {
    fn fault(self) -> Option<&'static str> {
        if self.folded > self.unrecorded + self.unanswered {
            return Some("refusals are counted that were not");
        }
        let is_lost = self.unrecorded > self.folded + self.forgotten;
        is_lost.then_some("lost: refusals that no gateway died with")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let difference = i128::from(self.unrecorded) - i128::from(self.folded);
        write!(
            f,
            "{} answers 503 have no record of their own, records count {} beside their own: {difference} apart, after {} deaths of \
             gateways that had {} in memory, {} requests without an answer beside them",
            self.unrecorded, self.folded, self.deaths, self.forgotten, self.unanswered
        )
    }
}

/// Everything in which the three disagree about one request.
fn faults(line: Line, event: &Event<'_>, truth: Truth) -> Vec<&'static str> {
    let key = KEYS[usize::from(line.key)];
    let has_units = event.input.is_some() || event.output.is_some();
    let is_unknown = event.outcome == "unknown";
    let is_whole = line.seen == Seen::Complete;
    let may_differ = line.status == 0 || is_unknown || event.outcome == "client_aborted";
    let found = [
        (
            "on another's account",
            event.who != [key.tenant, key.project, key.id],
        ),
        ("sent to the provider twice", truth.requests > 1),
        (
            "the client got the whole answer",
            event.outcome != "completed" && is_whole,
        ),
        ("never left the client", line.seen == Seen::NotConnected),
        (
            "another status than the client's",
            !may_differ && event.status != line.status,
        ),
        (
            "unknown, and yet with units",
            is_unknown && (event.source != "none" || has_units),
        ),
        (
            "units of what the provider never saw",
            truth.requests == 0 && has_units,
        ),
        ("the provider says otherwise", !units_agree(event, truth)),
    ];
    let bad = found.into_iter().filter(|(_, is_bad)| *is_bad);
    bad.map(|(fault, _)| fault).collect()
}

/// Figures of the provider's must be the provider's; estimates must say so and stand only where it gave none.
fn units_agree(event: &Event<'_>, truth: Truth) -> bool {
    let is_the_providers = matches!(event.source, "provider" | "drained");
    if !truth.is_answered {
        return event.outcome != "completed" && !is_the_providers;
    }
    if is_the_providers {
        return truth.usage_sent
            && event.input == Some(truth.prompt)
            && event.output == Some(truth.completion);
    }
    // Whoever hangs up or is cut off may miss figures that were on their way.
    event.outcome != "completed" || !truth.usage_sent
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests have one event each, by outcome {:?}",
            self.events, self.outcomes
        )?;
        writeln!(
            f,
            "{} never got an answer, and have no event\n{}",
            self.unheard, self.refused
        )?;
        for (kind, (count, shown)) in &self.faults {
            writeln!(f, "FAULT, {count} times: {kind}")?;
            for one in shown {
                writeln!(f, "    {one}")?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_refusal_more_or_less_than_there_may_be_is_a_fault() {
    let refused = Refused {
        unrecorded: 10,
        folded: 8,
        unanswered: 3,
        forgotten: 2,
        deaths: 1,
    };
    assert_eq!(refused.fault(), None);
    for folded in [7, 14] {
        let refused = Refused { folded, ..refused };
        assert!(refused.fault().is_some(), "{refused:?}");
    }
    let undying = Refused {
        forgotten: 0,
        ..refused
    };
    assert!(undying.fault().is_some(), "{undying:?}");
}
