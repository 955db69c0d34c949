//! The tokenizers' vocabularies: read when first needed, given back when nobody has counted for a while.
//!
//! One takes tens of megabytes, and most gateways count nothing for days.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tiktoken_rs::CoreBPE;
use tokio::time::Instant;

/// How long a vocabulary is kept after its last use.
const KEPT: Duration = Duration::from_secs(30);

/// Which vocabulary a model uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Models from gpt-4o on.
    O200k,
    /// gpt-4, gpt-3.5 and the embedding models.
    Cl100k,
}

impl Encoding {
    /// The vocabulary of a model; that of the newest models for one that nobody knows.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let old = ["gpt-4-", "gpt-3.5", "gpt-35", "text-embedding"];
        if model == "gpt-4" || old.iter().any(|prefix| model.starts_with(prefix)) {
            Self::Cl100k
        } else {
            Self::O200k
        }
    }
}

#[derive(Default)]
struct Held {
    vocabulary: Option<Arc<CoreBPE>>,
    used: Option<Instant>,
}

/// Both vocabularies, while they are needed.
#[derive(Default)]
pub struct Vocabularies {
    o200k: Mutex<Held>,
    cl100k: Mutex<Held>,
}

impl Vocabularies {
    fn slot(&self, encoding: Encoding) -> &Mutex<Held> {
        match encoding {
            Encoding::O200k => &self.o200k,
            Encoding::Cl100k => &self.cl100k,
        }
    }

    /// The vocabulary; the first call reads it, which takes some hundred milliseconds. `None` if the one that
    /// is built in cannot be read.
    pub fn get(&self, encoding: Encoding, now: Instant) -> Option<Arc<CoreBPE>> {
        let mut held = self.slot(encoding).lock();
        held.used = Some(now);
        if held.vocabulary.is_none() {
            let read = match encoding {
                Encoding::O200k => tiktoken_rs::o200k_base(),
                Encoding::Cl100k => tiktoken_rs::cl100k_base(),
            };
            match read {
                Ok(vocabulary) => held.vocabulary = Some(Arc::new(vocabulary)),
                Err(error) => {
                    tracing::error!(%error, "a tokenizer's vocabulary cannot be read: nothing is counted");
                }
            }
        }
        held.vocabulary.clone()
    }

    /// Gives back what has not been used for a while.
    pub fn rest(&self, now: Instant) {
        for encoding in [Encoding::O200k, Encoding::Cl100k] {
            let mut held = self.slot(encoding).lock();
            if held
                .used
                .is_some_and(|used| now.duration_since(used) > KEPT)
            {
                *held = Held::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_know_their_vocabulary() {
        for new in [
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-5",
            "o3",
            "never-heard-of",
        ] {
            assert_eq!(Encoding::of(new), Encoding::O200k, "{new}");
        }
        for old in [
            "gpt-4",
            "gpt-4-0613",
            "gpt-4-turbo",
            "gpt-3.5-turbo",
            "gpt-35-turbo",
            "text-embedding-3-small",
        ] {
            assert_eq!(Encoding::of(old), Encoding::Cl100k, "{old}");
        }
    }

    #[test]
    fn a_vocabulary_goes_when_it_rests_and_comes_back() {
        let vocabularies = Vocabularies::default();
        let now = Instant::now();
        let first = Arc::downgrade(&vocabularies.get(Encoding::Cl100k, now).unwrap());
        vocabularies.rest(now + KEPT);
        assert!(first.upgrade().is_some());
        vocabularies.rest(now + KEPT * 2);
        assert!(first.upgrade().is_none());
        let again = vocabularies.get(Encoding::Cl100k, now).unwrap();
        assert_eq!(again.encode_ordinary("hello world").len(), 2);
    }
}
