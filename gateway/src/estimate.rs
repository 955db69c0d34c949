//! Counting tokens ourselves, where the provider did not: off the reactor, in a bounded pool, over bounded
//! input. What comes of it is always marked as an estimate.

mod prompt;

use std::sync::Arc;

use bytes::Bytes;
use schemas::{Api, Unit, Units};
use tokio::sync::Semaphore;

use crate::vocabulary::{Encoding, Vocabulary};

/// More text than this is counted in part and extrapolated.
const MAX_COUNTED_BYTES: usize = 256 * 1024;

/// The bounded pool.
#[derive(Clone)]
pub struct Estimator {
    places: Arc<Semaphore>,
}

/// What is to be counted.
#[derive(Debug)]
pub struct Question {
    /// Picks the vocabulary.
    pub model: String,
    /// Says where the texts of the request stand.
    pub api: Api,
    /// The request's body, if the input is wanted.
    pub request: Option<Bytes>,
    /// The text generated so far and the factor for what was not kept, if the output is wanted.
    pub output: Option<(String, f64)>,
}

/// What was counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    /// By unit. What was not wanted or cannot be counted is absent.
    pub units: Units,
    /// Whether the input is all text: pictures, sound, files and what hosted tools read are tokens that no tokenizer
    /// sees.
    pub is_whole: bool,
}

impl Default for Counted {
    /// Nothing was wanted.
    fn default() -> Self {
        Self {
            units: Units::default(),
            is_whole: true,
        }
    }
}

impl Estimator {
    /// A pool of `places` threads at once.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// Counts.
    pub async fn count(&self, question: Question) -> Counted {
        let Ok(place) = self.places.clone().acquire_owned().await else {
            return Counted::default();
        };
        let counting = tokio::task::spawn_blocking(move || {
            let _place = place;
            count(Encoding::of(&question.model).vocabulary(), &question)
        });
        counting.await.unwrap_or_default()
    }
}

fn count(vocabulary: &Vocabulary, question: &Question) -> Counted {
    let mut counted = Counted::default();
    let units = &mut counted.units;
    if let Some(input) = question
        .request
        .as_deref()
        .and_then(|body| prompt::count(vocabulary, question.api, body))
    {
        drop(units.set(Unit::InputText, input.tokens));
        counted.is_whole = input.is_whole;
    }
    if let Some((text, factor)) = &question.output {
        let tokens = scaled(text_tokens(vocabulary, text), *factor);
        drop(units.set(Unit::OutputText, tokens));
    }
    counted
}

fn text_tokens(vocabulary: &Vocabulary, text: &str) -> i64 {
    if text.len() <= MAX_COUNTED_BYTES {
        return signed(vocabulary.count(text));
    }
    let mut end = MAX_COUNTED_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate by its nature")]
    let factor = text.len() as f64 / end as f64;
    scaled(signed(vocabulary.count(&text[..end])), factor)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an estimate by its nature; float to integer casts saturate"
)]
fn scaled(tokens: i64, factor: f64) -> i64 {
    (tokens as f64 * factor).ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_a_documented_example() {
        // OpenAI cookbook, "How to count tokens with tiktoken": this conversation is 124 tokens for gpt-4o.
        let messages = r#"{"messages":[
            {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
            {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
            {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
            {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
            {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
            {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}"#;
        let question = |model: &str| Question {
            model: model.into(),
            api: Api::Chat,
            request: Some(Bytes::copy_from_slice(messages.as_bytes())),
            output: Some(("tiktoken is great!".into(), 1.0)),
        };
        let estimator = Estimator::new(1);
        let counted = estimator.count(question("gpt-4o")).await;
        assert!(counted.is_whole);
        let new = counted.units;
        assert_eq!(
            (new.get(Unit::InputText), new.get(Unit::OutputText)),
            (Some(124), Some(6))
        );
        let old = estimator.count(question("gpt-4-0613")).await.units;
        assert_eq!(
            (old.get(Unit::InputText), old.get(Unit::OutputText)),
            (Some(129), Some(6))
        );
    }
}
