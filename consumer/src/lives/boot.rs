//! What is known of one boot of a producer: what it claims, what it is, how far its numbers were looked for. Pure.

use std::time::Duration;

use schemas::ProducerState;
use schemas::event::FIRST_PRODUCER_SEQ;
use schemas::producer::Standing;

use super::gaps::{self, Range};

/// The most gaps of a boot that are kept apart; beyond them nothing more is looked for until some have closed.
const MAX_GAPS: usize = 1_000;

/// A producer and its boot.
pub(crate) type Key = (String, String);

/// What the records of a boot say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The last number that it says it gave; -1 before the first.
    pub last: i64,
    /// What it is.
    pub standing: Standing,
}

impl Default for Claim {
    fn default() -> Self {
        Self {
            last: FIRST_PRODUCER_SEQ - 1,
            standing: Standing::default(),
        }
    }
}

impl Claim {
    /// Both together.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
        self.standing.merge(&other.standing);
    }
}

/// One boot.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub claim: Claim,
    /// Every number up to here is in the store or in a gap.
    pub checked: i64,
    /// Numbers that were claimed and are not in the store.
    pub gaps: Vec<Range>,
    /// When its last sign of life was first seen, by the watch's own time.
    heard: Duration,
    /// The sign of life about which silence was said already; -1 for the want of any.
    said_silent: Option<i64>,
}

impl Boot {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            claim: Claim::default(),
            checked: FIRST_PRODUCER_SEQ - 1,
            gaps: Vec::new(),
            heard: now,
            said_silent: None,
        }
    }

    /// Takes what its records say now.
    pub(crate) fn hear(&mut self, claim: &Claim, now: Duration) {
        let before = self.claim.standing.heard;
        self.claim.merge(claim);
        if self.claim.standing.heard > before {
            self.heard = now;
        }
    }

    pub(crate) fn state(&self) -> ProducerState {
        self.claim.standing.state()
    }

    /// Nothing more is to be expected of it.
    pub(crate) fn is_done(&self) -> bool {
        let is_over = matches!(
            self.state(),
            ProducerState::Closed | ProducerState::DeclaredLost
        );
        is_over && self.gaps.is_empty() && self.checked >= self.claim.last
    }

    /// It should speak, has not for `after`, and nobody has said so yet.
    pub(crate) fn is_newly_silent(&self, now: Duration, after: Duration) -> bool {
        let should_speak = matches!(
            self.state(),
            ProducerState::Registered | ProducerState::Live | ProducerState::Draining
        );
        should_speak
            && now.saturating_sub(self.heard) >= after
            && self.said_silent != Some(self.last_heard())
    }

    /// Silence after its last sign of life was said.
    pub(crate) fn silence_is_said(&mut self) {
        self.said_silent = Some(self.last_heard());
    }

    fn last_heard(&self) -> i64 {
        self.claim.standing.heard.unwrap_or(-1)
    }

    /// The numbers to look for next, of at most `most`, if it claims any up to `last` that were not looked for.
    pub(crate) fn next(&self, last: i64, most: i64) -> Option<Range> {
        let first = self.checked + 1;
        let is_due = first <= last && self.gaps.len() < MAX_GAPS;
        is_due.then(|| (first, last.min(first.saturating_add(most - 1))))
    }

    /// What of `asked` is there. `is_cut` says that more stretches follow the last one.
    pub(crate) fn found(&mut self, asked: Range, there: &[Range], is_cut: bool) -> Vec<Range> {
        let end = match there.last() {
            Some((_, last)) if is_cut => *last,
            _ => asked.1,
        };
        let mut opened = gaps::without(&[(asked.0, end)], there);
        let room = MAX_GAPS.saturating_sub(self.gaps.len());
        if opened.len() > room {
            opened.truncate(room);
        }
        self.checked = match opened.last() {
            Some((_, last)) if opened.len() == room => *last,
            _ => end,
        };
        self.gaps.extend(&opened);
        opened
    }

    /// What of its gaps has turned up.
    pub(crate) fn turned_up(&mut self, there: &[Range]) -> Vec<Range> {
        let left = gaps::without(&self.gaps, there);
        let closed = gaps::without(&self.gaps, &left);
        self.gaps = left;
        closed
    }

    /// Whether its gaps are an alarm: not of one that was declared lost with them.
    pub(crate) fn raises_alarm(&self) -> bool {
        self.state() != ProducerState::DeclaredLost
    }

    /// How many numbers are missing.
    pub(crate) fn missing(&self) -> i64 {
        gaps::count(&self.gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn heard(position: i64) -> Claim {
        Claim {
            last: position,
            standing: Standing {
                heard: Some(position),
                ..Standing::default()
            },
        }
    }

    #[test]
    fn gaps_open_are_named_once_and_close_when_the_numbers_turn_up() {
        let mut boot = Boot::new(Duration::ZERO);
        boot.hear(&heard(9), SECOND);
        assert_eq!(boot.next(9, 4), Some((0, 3)));
        assert_eq!(boot.found((0, 3), &[(0, 1), (3, 3)], false), [(2, 2)]);
        assert_eq!(boot.next(9, 100), Some((4, 9)));
        assert_eq!(boot.found((4, 9), &[(5, 7)], false), [(4, 4), (8, 9)]);
        assert_eq!((boot.next(9, 100), boot.missing()), (None, 4));
        assert_eq!(boot.turned_up(&[(2, 2), (9, 9)]), [(2, 2), (9, 9)]);
        assert_eq!(boot.gaps, [(4, 4), (8, 8)]);
    }

    #[test]
    fn an_answer_that_was_cut_is_asked_on_from_its_last_stretch() {
        let mut boot = Boot::new(Duration::ZERO);
        assert_eq!(boot.found((0, 99), &[(0, 4), (6, 6)], true), [(5, 5)]);
        assert_eq!(boot.next(99, 100), Some((7, 99)));
    }

    #[test]
    fn a_boot_keeps_a_bounded_number_of_gaps() {
        let mut boot = Boot::new(Duration::ZERO);
        let there: Vec<Range> = (0..2_000).map(|n| (2 * n, 2 * n)).collect();
        let opened = boot.found((0, 3_998), &there, false);
        assert_eq!((opened.len(), boot.gaps.len()), (MAX_GAPS, MAX_GAPS));
        assert_eq!(boot.checked, 1_999);
        assert_eq!(boot.next(3_998, 100), None);
        boot.turned_up(&[(1, 1)]);
        assert_eq!(boot.next(3_998, 10), Some((2_000, 2_009)));
    }

    #[test]
    fn silence_counts_from_the_last_sign_of_life_and_is_said_once() {
        let mut boot = Boot::new(Duration::ZERO);
        boot.hear(&heard(1), SECOND);
        boot.hear(&heard(1), 50 * SECOND);
        assert!(!boot.is_newly_silent(60 * SECOND, 60 * SECOND));
        assert!(boot.is_newly_silent(61 * SECOND, 60 * SECOND));
        boot.silence_is_said();
        assert!(!boot.is_newly_silent(99 * SECOND, 60 * SECOND));
        boot.hear(&heard(2), 100 * SECOND);
        assert!(!boot.is_newly_silent(101 * SECOND, 60 * SECOND));
        assert!(boot.is_newly_silent(160 * SECOND, 60 * SECOND));
        boot.claim.standing.is_closed = true;
        assert!(!boot.is_newly_silent(160 * SECOND, 60 * SECOND));
    }
}
