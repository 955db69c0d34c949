//! What a statement says, and how one is read again. Only what belongs to its day is in it, so that a store that grows
//! states the day in the same bytes.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::canonical::{NotExact, canonical};
use super::note::{BadNote, PublicKey, SigningKey, open};
use crate::completeness::{BootReport, Report};

/// What the text says that it is.
const TYPE: &str = "ai.tollgate.statement.v1";

/// Not a statement.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadStatement {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] BadNote),
    /// Signed, and something else.
    #[error("the note is signed, but is not a statement in canonical JSON of type {TYPE}")]
    NotOurs,
    /// It cannot be written.
    #[error(transparent)]
    NotExact(#[from] NotExact),
    /// Another day.
    #[error("the statement to correct is of {0}, not of {1}")]
    OtherDay(String, String),
    /// Nothing came since.
    #[error("nothing has changed since the statement that is to be corrected: it stands")]
    NothingToCorrect,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// When it is issued, RFC 3339.
    pub issued: String,
    /// The note that it corrects, if any.
    pub corrects: Option<Vec<u8>>,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(Value);

impl Document {
    /// States a checked day. `key` must have signed what it corrects.
    pub fn new(report: &Report, subject: &Subject, key: &PublicKey) -> Result<Self, BadStatement> {
        let corrected = subject.corrects.as_deref();
        let digest = corrected.map(|note| hex::encode(Sha256::digest(note)));
        let new = Self(json!({
            "type": TYPE,
            "issued": subject.issued,
            "corrects": digest,
            "day": report.period.name,
            "zone": report.period.zone,
            "from": instant(report.period.start_us),
            "before": instant(report.period.end_us),
            "status": if report.is_final { "final" } else { "provisional" },
            "held_up_by": report.held_up_by,
            "completeness": report.verdicts.completeness,
            "integrity": report.verdicts.integrity,
            "events": report.events,
            "totals": totals(&report.boots),
            "boots": report.boots.iter().map(boot).collect::<Vec<_>>(),
            "partitions": report.partitions,
            "dead_letters": report.dead_letters,
            "findings": report.findings,
            "findings_left_out": report.findings_left_out,
        }));
        if let Some(note) = corrected {
            new.must_correct(&Self::open(note, key)?)?;
        }
        Ok(new)
    }

    fn must_correct(&self, old: &Self) -> Result<(), BadStatement> {
        let of = |document: &Self| (document.text("day"), document.text("zone"));
        if of(self) != of(old) {
            let shown = |(day, zone): (String, String)| format!("{day} ({zone})");
            return Err(BadStatement::OtherDay(shown(of(old)), shown(of(self))));
        }
        let facts = |document: &Self| {
            let mut value = document.0.clone();
            if let Some(members) = value.as_object_mut() {
                members.remove("issued");
                members.remove("corrects");
            }
            value
        };
        if facts(self) == facts(old) {
            return Err(BadStatement::NothingToCorrect);
        }
        Ok(())
    }

    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> Result<String, BadStatement> {
        let text = canonical(&self.0)? + "\n";
        Ok(key.sign(&text)?)
    }

    /// Reads a signed note. Needs nothing but the key.
    pub fn open(note: &[u8], key: &PublicKey) -> Result<Self, BadStatement> {
        let text = open(note, key)?;
        let value: Value = serde_json::from_str(text).map_err(|_| BadStatement::NotOurs)?;
        let is_canonical = canonical(&value)? + "\n" == text;
        if !is_canonical || value.get("type").and_then(Value::as_str) != Some(TYPE) {
            return Err(BadStatement::NotOurs);
        }
        Ok(Self(value))
    }

    /// All that it says.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// A text in it; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let text = self.0.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    /// A figure of its totals; `None` where it is not known.
    #[must_use]
    pub fn total(&self, name: &str) -> Option<i64> {
        self.0.get("totals")?.get(name)?.as_i64()
    }
}

fn instant(at_us: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(at_us).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// Without what its later life adds.
fn boot(boot: &BootReport) -> Value {
    let mut value = json!(boot);
    if let Some(members) = value.as_object_mut() {
        members.remove("last_claim_us");
        members.remove("state");
    }
    value
}

fn totals(boots: &[BootReport]) -> Value {
    let sum = |of: fn(&BootReport) -> i64| boots.iter().map(of).sum::<i64>();
    let known = |of: fn(&BootReport) -> Option<i64>| {
        let all: Option<Vec<i64>> = boots.iter().map(of).collect();
        // Of no start nothing is known.
        let all = all.filter(|all| !all.is_empty());
        all.map(|all| all.iter().sum::<i64>())
    };
    json!({
        "claimed": sum(|boot| boot.claimed),
        "found": sum(|boot| boot.found),
        "copies": sum(|boot| boot.copies),
        "dead_letters": sum(|boot| boot.dead_letters),
        "under_way": sum(|boot| boot.under_way),
        "missing": sum(|boot| boot.missing),
        "refused": sum(|boot| boot.refused),
        "recovered": sum(|boot| boot.recovered),
        "open_before": known(|boot| boot.open_before),
        "admitted": known(|boot| boot.admitted),
        "settled": known(|boot| boot.settled),
        "unknown": known(|boot| boot.unknown),
        "open": known(|boot| boot.open),
    })
}
