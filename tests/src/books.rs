//! All that was written down about a run, by three who know nothing of each other: the client, the provider, the ledger;
//! and whether they agree.

use std::collections::BTreeMap;
use std::path::Path;

use ::store::Client;
use simulator::load::{ClientLine, Outcome as Seen};

use crate::http::Ask;
use crate::journal::{JournalContents, read_journal};
use crate::store::{self, StoredEvent, Trail};
use crate::truth::Truth;

/// How a fault begins that only a power cut excuses.
pub const UNREADABLE: &str = "unreadable in the journal";

/// A request as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What was asked.
    pub ask: Ask,
    /// What came of it.
    pub seen: Seen,
    /// HTTP status; 0 for none.
    pub status: u16,
}

impl Sent {
    /// What was asked, with the line of the load generator's log.
    pub fn of(ask: Ask, line: &ClientLine) -> Self {
        Self {
            ask,
            seen: line.outcome,
            status: line.status,
        }
    }
}

/// The books after a run that has settled.
#[derive(Debug)]
pub struct Books {
    /// The set of events in the store.
    pub events: Vec<StoredEvent>,
    /// What `audit_log` has.
    pub trail: Trail,
    /// What the provider did.
    pub truth: Truth,
    /// The journal.
    pub journal: JournalContents,
}

impl Books {
    /// What the journal, the store and the provider say now.
    ///
    /// # Panics
    /// If one of them does not answer.
    pub async fn of(data_dir: &Path, reader: &Client, simulator: &simulator::Simulator) -> Self {
        Self {
            journal: read_journal(data_dir),
            events: store::events(reader).await.expect("the store answers"),
            trail: store::trail(reader).await.expect("the store answers"),
            truth: Truth::of(simulator),
        }
    }

    /// The one event of a nonce.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub fn event(&self, nonce: &str) -> &StoredEvent {
        let found = self.events_of(nonce);
        assert_eq!(found.len(), 1, "events of {nonce}: {found:#?}");
        found[0]
    }

    /// All events of a nonce.
    pub fn events_of(&self, nonce: &str) -> Vec<&StoredEvent> {
        let all = self.events.iter();
        all.filter(|event| event.nonce == nonce).collect()
    }

    /// Rows of `audit_log` beyond one a record.
    pub fn surplus_copies(&self) -> u64 {
        self.trail.values().map(|(_, copies)| copies - 1).sum()
    }

    /// How many events ended in each way, for the log of a test.
    pub fn outcomes(&self) -> BTreeMap<(&str, &str, &str), usize> {
        let mut outcomes = BTreeMap::new();
        for event in &self.events {
            let fate = (
                event.outcome.as_str(),
                event.outcome_detail.as_str(),
                event.usage_source.as_str(),
            );
            *outcomes.entry(fate).or_default() += 1;
        }
        outcomes
    }

    /// Everything in which the books disagree about requests that were sent, by nonce. Empty is what a test wants.
    pub fn faults(&self, sent: &BTreeMap<String, Sent>) -> Vec<String> {
        let mut faults = self.faults_of_the_log();
        let mut events: BTreeMap<&str, Vec<&StoredEvent>> = BTreeMap::new();
        for event in &self.events {
            events.entry(&event.nonce).or_default().push(event);
        }
        for (nonce, found) in &events {
            if !sent.contains_key(*nonce) {
                faults.push(format!("invented: nobody sent `{nonce}`: {found:?}"));
            }
        }
        for (nonce, sent) in sent {
            match events.get(nonce.as_str()).map(Vec::as_slice) {
                Some([event]) => self.compare(sent, event, &mut faults),
                Some(many) => faults.push(format!("doubled: {nonce} has {} events", many.len())),
                None => self.must_be_unheard_of(sent, &mut faults),
            }
        }
        faults
    }

    /// Faults that show without the client's log.
    pub fn faults_of_the_log(&self) -> Vec<String> {
        let journal = &self.journal;
        let mut faults = Vec::new();
        let mut fault = |what: &str, which: String| faults.push(format!("{what}: {which}"));
        for id in journal.open_admissions() {
            fault("admitted and never closed", id.to_string());
        }
        for id in journal.doubled() {
            fault("closed twice", id.to_string());
        }
        for gap in journal.gaps() {
            fault("numbers are not dense", gap.clone());
        }
        for damage in &journal.damaged {
            fault(UNREADABLE, format!("{damage:?}"));
        }
        for nonce in &self.truth.repeated {
            fault("sent to the provider twice", nonce.clone());
        }
        for (place, leaf) in &journal.published {
            match self.trail.get(place) {
                None => fault("not in audit_log", place.to_string()),
                Some((stored, _)) if stored != leaf => {
                    fault("other bytes in audit_log", place.to_string());
                }
                Some(_) => {}
            }
        }
        for place in self
            .trail
            .keys()
            .filter(|at| !journal.published.contains_key(at))
        {
            fault("audit_log has what the journal has not", place.to_string());
        }
        let mut ids: Vec<String> = journal
            .events
            .iter()
            .map(|event| event.event_id.to_string())
            .collect();
        let mut stored: Vec<&str> = self
            .events
            .iter()
            .map(|event| event.event_id.as_str())
            .collect();
        ids.sort_unstable();
        stored.sort_unstable();
        if ids != stored {
            fault(
                "the set of events differs from the journal's",
                format!("{} against {}", stored.len(), ids.len()),
            );
        }
        faults
    }

    /// A request without an event: nothing may have come of it.
    fn must_be_unheard_of(&self, sent: &Sent, faults: &mut Vec<String>) {
        let nonce = &sent.ask.nonce;
        if self.truth.requests.contains_key(nonce) {
            faults.push(format!("lost: the provider saw {nonce}, there is no event"));
        }
        if sent.status != 0 {
            faults.push(format!(
                "lost: {nonce} was answered {}, there is no event",
                sent.status
            ));
        }
    }

    fn compare(&self, sent: &Sent, event: &StoredEvent, faults: &mut Vec<String>) {
        let nonce = &sent.ask.nonce;
        let mut fault = |what: &str| {
            let truth = self.truth.answers.get(nonce);
            faults.push(format!(
                "{nonce}: {what}\n  sent {sent:?}\n  event {event:?}\n  truth {truth:?}"
            ));
        };
        let key = sent.ask.key;
        let who = (
            event.tenant.as_str(),
            event.project.as_str(),
            event.key_id.as_str(),
        );
        if who != (key.tenant, key.project, key.id) {
            fault("on another's account");
        }
        if event.count != 1 {
            fault("counted more than once");
        }
        if event.outcome != "completed" && sent.seen == Seen::Complete {
            fault("the client got the whole answer");
        }
        if sent.seen == Seen::NotConnected {
            fault("never left the client");
        }
        let got_status = i64::from(sent.status);
        if got_status != 0
            && event.outcome != "unknown"
            && event.outcome != "client_aborted"
            && event.status != got_status
        {
            fault("another status than the client's");
        }
        if event.outcome == "unknown"
            && (event.usage_source != "none" || event.input.is_some() || event.output.is_some())
        {
            fault("unknown, and yet with units");
        }
        if !self.truth.requests.contains_key(nonce)
            && (event.input.is_some() || event.output.is_some())
        {
            fault("units of a request that the provider never saw");
        }
        if !self.units_agree(nonce, event) {
            fault("the provider says otherwise");
        }
    }

    /// Figures of the provider's must be the provider's; estimates must say so and stand only where it gave none.
    fn units_agree(&self, nonce: &str, event: &StoredEvent) -> bool {
        let Some(answer) = self.truth.answers.get(nonce) else {
            return event.outcome != "completed"
                && !matches!(event.usage_source.as_str(), "provider" | "drained");
        };
        let figure = |tokens: u64| i64::try_from(tokens).ok();
        match event.usage_source.as_str() {
            "provider" | "drained" => {
                answer.usage_sent
                    && event.input == figure(answer.prompt_tokens)
                    && event.output == figure(answer.completion_tokens)
            }
            // Whoever hangs up or is cut off may miss figures that were on their way.
            _ => event.outcome != "completed" || !answer.usage_sent,
        }
    }
}
