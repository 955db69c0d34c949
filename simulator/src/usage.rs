//! The usage object of an answer, honest or not. How many tokens there are is counted elsewhere.

use std::fmt::Write as _;

/// Whether an answer reports its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageMode {
    /// As the real provider does.
    Reported,
    /// Neither plain nor streamed.
    Nowhere,
    /// Plain answers do, streams end without the usage chunk.
    NotInStream,
}

/// A usage object that does not say the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadUsage {
    /// `completion_tokens` is below zero.
    Negative,
    /// `completion_tokens` has a fraction.
    Fraction,
    /// `completion_tokens` is a text.
    Text,
    /// `completion_tokens` does not fit 64 bits.
    Huge,
    /// `total_tokens` is not the sum.
    Sum,
    /// A figure that nobody knows.
    Extra,
    /// More cached tokens than prompt tokens.
    Cached,
    /// `usage` is `null`.
    Null,
}

/// The counts of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

impl Usage {
    /// The JSON object, with all the sub-counts that `OpenAI` sends.
    pub(crate) fn json(&self, bad: Option<BadUsage>) -> String {
        if bad == Some(BadUsage::Null) {
            return "null".to_owned();
        }
        let completion = match bad {
            Some(BadUsage::Negative) => "-7".to_owned(),
            Some(BadUsage::Fraction) => format!("{}.5", self.completion),
            Some(BadUsage::Text) => format!("\"{}\"", self.completion),
            Some(BadUsage::Huge) => "99999999999999999999".to_owned(),
            _ => self.completion.to_string(),
        };
        let lie = u64::from(bad == Some(BadUsage::Sum));
        let cached = if bad == Some(BadUsage::Cached) {
            self.prompt + 1
        } else {
            self.cached
        };
        let mut json = String::with_capacity(320);
        let _ = write!(
            json,
            "{{\"prompt_tokens\":{},\"completion_tokens\":{completion},\"total_tokens\":{},\
             \"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"audio_tokens\":0}},\
             \"completion_tokens_details\":{{\"reasoning_tokens\":{},\"audio_tokens\":0,\
             \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
            self.prompt,
            self.prompt + self.completion + lie,
            self.reasoning,
        );
        if bad == Some(BadUsage::Extra) {
            json.push_str(",\"quantum_tokens\":5");
        }
        json.push('}');
        json
    }
}
