//! From what was found to the verdicts. Pure.

use super::bytes::Findings;
use super::model::{
    BootReport, Completeness, DeadLetter, Finding, HeldUp, Integrity, Verdict, Verdicts,
};

/// What is wrong with the numbers of a start, as findings that name them.
pub(super) fn of_boot(report: &BootReport, findings: &mut Findings) {
    let mut say = |numbers, what: &str| {
        findings.push(Finding {
            verdict: Verdict::Completeness,
            producer: Some(report.producer.clone()),
            boot: Some(report.boot.clone()),
            numbers,
            partition: None,
            places: None,
            what: what.to_owned(),
        });
    };
    let last = report.numbers.map(|numbers| numbers.last);
    for gap in &report.gaps {
        let is_tail = Some(gap.last) == last;
        let what = match (&report.lost, is_tail) {
            (Some(_), _) => "missing; the start was declared lost",
            (None, true) => "missing, up to the last number that was claimed",
            (None, false) => "missing",
        };
        say(Some(*gap), what);
    }
    let listed: i64 = report.gaps.iter().map(super::model::Range::count).sum();
    if report.missing > listed {
        let more = report.missing - listed;
        say(
            report.numbers,
            &format!("{more} more numbers of these are missing"),
        );
    }
    if report.balanced == Some(false) {
        let what = "the requests that it claims to have let in are not those that were settled, unknown and open";
        say(report.numbers, what);
    }
}

/// Dead letters as findings: they are in the log and in no figure.
pub(super) fn of_dead_letters(letters: &[DeadLetter], findings: &mut Findings) {
    for letter in letters {
        findings.push(Finding {
            verdict: Verdict::Completeness,
            producer: letter.producer.clone(),
            boot: letter.boot.clone(),
            numbers: letter.number.map(|number| super::model::Range {
                first: number,
                last: number,
            }),
            partition: Some((letter.topic.clone(), letter.partition)),
            places: Some(super::model::Range {
                first: letter.offset,
                last: letter.offset,
            }),
            what: format!("a record that could not be read: {}", letter.reason),
        });
    }
}

/// The verdicts. Of a start that was declared lost nobody knows what it did after its last sign of life, whatever was found.
pub(super) fn verdicts(
    findings: &Findings,
    not_whole: i64,
    held_up: &[HeldUp],
    boots: &[BootReport],
) -> Verdicts {
    let is_lost = boots.iter().any(|boot| boot.lost.is_some());
    let completeness = if findings.missing {
        Completeness::Incomplete
    } else if held_up.is_empty() && !is_lost {
        Completeness::Complete
    } else {
        Completeness::Unproven
    };
    let integrity = if findings.changed {
        Integrity::Changed
    } else if not_whole > 0 {
        Integrity::Unproven
    } else {
        Integrity::Intact
    };
    Verdicts {
        completeness,
        integrity,
    }
}
