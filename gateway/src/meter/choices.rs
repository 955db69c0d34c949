//! Which choices an answer has begun and which it has finished. Bounded.

/// As many choices are told apart; no provider gives more.
const MAX_CHOICES: usize = 128;

/// The choices that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    seen: u128,
    finished: u128,
    /// Those that told figures of their own.
    told: u128,
    /// The last figures of the answer stood in a chunk with a choice.
    figures_beside: bool,
}

impl Choices {
    /// Whether none that was seen is open.
    pub(super) fn are_finished(self) -> bool {
        self.seen & !self.finished == 0
    }

    /// Whether more than one told figures: of itself, or of all of them?
    pub(super) fn several_told(self) -> bool {
        self.told.count_ones() > 1
    }

    /// Whether the last figures of the answer can be those of one choice, where there are several. vLLM, `serving_chat.py`: asked for
    /// figures in every chunk, it tells with each those of that chunk's choice, and the sum of all in a chunk without any.
    pub(super) fn may_be_told_apart(self) -> bool {
        self.figures_beside && self.seen.count_ones() > 1
    }

    /// A chunk with figures of the answer is over.
    pub(super) fn note_figures(&mut self, beside_choice: bool) {
        self.figures_beside = beside_choice;
    }

    fn see(&mut self, choice: Choice) {
        let index = choice.index;
        if index < MAX_CHOICES {
            self.seen |= 1 << index;
            self.finished |= u128::from(choice.finished) << index;
            self.told |= u128::from(choice.told) << index;
        }
    }
}

/// The choice that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Nesting of its members.
    pub(super) depth: usize,
    /// As it is named; the first where it is not.
    index: usize,
    /// It tells how it finished.
    pub(super) finished: bool,
    /// It tells figures.
    pub(super) told: bool,
}

impl Choice {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            depth,
            index: 0,
            finished: false,
            told: false,
        }
    }

    /// Takes its index. What is none is no choice that could be waited for.
    pub(super) fn take_index(&mut self, text: &[u8]) {
        let index = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        self.index = index.unwrap_or(MAX_CHOICES);
    }

    pub(super) fn note_in(self, choices: &mut Choices) {
        choices.see(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: &[(&[u8], bool)]) -> Choices {
        let mut choices = Choices::default();
        for (index, finished) in all {
            let mut choice = Choice::new(3);
            choice.take_index(index);
            choice.finished = *finished;
            choice.note_in(&mut choices);
        }
        choices
    }

    #[test]
    fn every_choice_that_was_seen_must_finish() {
        assert!(seen(&[]).are_finished());
        assert!(!seen(&[(b"0", true), (b"1", false)]).are_finished());
        assert!(seen(&[(b"1", false), (b"0", true), (b"1", true), (b"1", false)]).are_finished());
        assert!(!seen(&[(b"127", false)]).are_finished());
        assert!(
            seen(&[
                (b"128", false),
                (b"-1", false),
                (b"9999999999999999999999", false)
            ])
            .are_finished()
        );
    }
}
