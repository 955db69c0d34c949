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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// Which API's object it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageShape {
    /// Totals, with all the sub-counts that `OpenAI` sends.
    Chat,
    /// The three totals alone.
    Completions,
    /// No output.
    Embeddings,
    /// `input_tokens` and `output_tokens`, with cached and reasoning.
    Responses,
    /// Text and pictures of the input apart.
    Images {
        /// Tokens of the pictures that came in.
        image: u64,
    },
    /// Text and sound of the input apart.
    Transcript {
        /// Tokens of the sound.
        audio: u64,
    },
    /// By the length of the sound.
    Seconds(u64),
    /// Totals under the newer names.
    Speech,
}

/// The figures as they are told, with the lie worked in.
struct Told {
    /// The last count of the answer, as JSON.
    output: String,
    total: u64,
    cached: u64,
    extra: &'static str,
}

impl Usage {
    /// The JSON object in an API's shape.
    pub(crate) fn json(&self, shape: UsageShape, bad: Option<BadUsage>) -> String {
        if bad == Some(BadUsage::Null) {
            return "null".to_owned();
        }
        let told = self.told(shape, bad);
        match shape {
            UsageShape::Chat | UsageShape::Completions | UsageShape::Embeddings => {
                self.older_names(shape, &told)
            }
            _ => self.newer_names(shape, &told),
        }
    }

    fn told(&self, shape: UsageShape, bad: Option<BadUsage>) -> Told {
        let output = match shape {
            UsageShape::Embeddings => self.prompt,
            UsageShape::Seconds(seconds) => seconds,
            _ => self.completion,
        };
        Told {
            output: match bad {
                Some(BadUsage::Negative) => "-7".to_owned(),
                Some(BadUsage::Fraction) => format!("{output}.5"),
                Some(BadUsage::Text) => format!("\"{output}\""),
                Some(BadUsage::Huge) => "99999999999999999999".to_owned(),
                _ => output.to_string(),
            },
            total: self.prompt + self.completion + u64::from(bad == Some(BadUsage::Sum)),
            cached: if bad == Some(BadUsage::Cached) {
                self.prompt + 1
            } else {
                self.cached
            },
            extra: if bad == Some(BadUsage::Extra) {
                ",\"quantum_tokens\":5"
            } else {
                ""
            },
        }
    }

    fn older_names(&self, shape: UsageShape, told: &Told) -> String {
        let Told {
            output,
            total,
            cached,
            extra,
        } = told;
        let mut json = String::with_capacity(320);
        let _ = match shape {
            UsageShape::Embeddings => {
                write!(
                    json,
                    "{{\"prompt_tokens\":{output},\"total_tokens\":{total}"
                )
            }
            _ => write!(
                json,
                "{{\"prompt_tokens\":{},\"completion_tokens\":{output},\"total_tokens\":{total}",
                self.prompt
            ),
        };
        if shape == UsageShape::Chat {
            let _ = write!(
                json,
                ",\"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"audio_tokens\":0}},\
                 \"completion_tokens_details\":{{\"reasoning_tokens\":{},\"audio_tokens\":0,\
                 \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
                self.reasoning,
            );
        }
        json.push_str(extra);
        json.push('}');
        json
    }

    fn newer_names(&self, shape: UsageShape, told: &Told) -> String {
        let Told {
            output,
            total,
            cached,
            extra,
        } = told;
        let (input, reasoning) = (self.prompt, self.reasoning);
        let totals = format!(
            "\"input_tokens\":{input},\"output_tokens\":{output},\"total_tokens\":{total}{extra}"
        );
        match shape {
            UsageShape::Responses => format!(
                "{{{totals},\"input_tokens_details\":{{\"cached_tokens\":{cached}}},\
                 \"output_tokens_details\":{{\"reasoning_tokens\":{reasoning}}}}}"
            ),
            UsageShape::Images { image } => format!(
                "{{{totals},\"input_tokens_details\":{{\"image_tokens\":{image},\"text_tokens\":{}}}}}",
                input.saturating_sub(image)
            ),
            UsageShape::Transcript { audio } => format!(
                "{{\"type\":\"tokens\",{totals},\"input_token_details\":{{\"audio_tokens\":{audio},\"text_tokens\":{}}}}}",
                input.saturating_sub(audio)
            ),
            UsageShape::Seconds(_) => {
                format!("{{\"type\":\"duration\",\"seconds\":{output}{extra}}}")
            }
            _ => format!("{{{totals}}}"),
        }
    }
}
