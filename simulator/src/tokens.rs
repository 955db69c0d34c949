//! Counting tokens: which tokenizer a model has, and what of a prompt is counted.
//! Nothing here trusts a figure that the request brings along.

use serde::{Deserialize, Serialize};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use crate::prompt::{Content, Message};
use crate::settings::PromptCount;

/// A tokenizer of `OpenAI`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Of gpt-4 and gpt-3.5.
    Cl100kBase,
    /// Of gpt-4o and everything after it.
    O200kBase,
}

impl Encoding {
    /// The tokenizer of a model, by its name as tiktoken's table has it; `o200k_base` for names nobody knows.
    pub fn of_model(model: &str) -> Self {
        let newer = ["gpt-4o", "gpt-4.1", "gpt-4.5"]
            .iter()
            .any(|family| model.starts_with(family));
        let older = ["gpt-4", "gpt-3.5", "gpt-35"]
            .iter()
            .any(|family| model.starts_with(family));
        if older && !newer {
            Self::Cl100kBase
        } else {
            Self::O200kBase
        }
    }

    /// How many tokens a text has; names of special tokens count as the text that they are.
    pub fn count(self, text: &str) -> u64 {
        self.tokenizer().count_ordinary(text) as u64
    }

    fn tokenizer(self) -> &'static CoreBPE {
        match self {
            Self::Cl100kBase => cl100k_base_singleton(),
            Self::O200kBase => o200k_base_singleton(),
        }
    }
}

/// Tokens of a prompt. Only text is counted: role, content and name, or content alone.
pub(crate) fn count_prompt(encoding: Encoding, rule: PromptCount, messages: &[Message]) -> u64 {
    let content: u64 = messages
        .iter()
        .map(|message| count_content(encoding, message))
        .sum();
    match rule {
        PromptCount::ContentOnly => content,
        PromptCount::ChatTemplate => {
            content
                + messages
                    .iter()
                    .map(|message| template_overhead(encoding, message))
                    .sum::<u64>()
                + 3
        }
    }
}

fn count_content(encoding: Encoding, message: &Message) -> u64 {
    match &message.content {
        None => 0,
        Some(Content::Text(text)) => encoding.count(text),
        Some(Content::Parts(parts)) => parts
            .iter()
            .filter_map(|part| part.text.as_deref())
            .map(|t| encoding.count(t))
            .sum(),
    }
}

fn template_overhead(encoding: Encoding, message: &Message) -> u64 {
    let name = message
        .name
        .as_deref()
        .map_or(0, |name| 1 + encoding.count(name));
    3 + encoding.count(&message.role) + name
}

/// The rule of byte counting.
pub(crate) fn count_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::Encoding;
    use crate::words::Text;

    #[test]
    fn a_text_of_n_words_has_n_tokens_as_a_whole() {
        for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
            for tokens in 0..=2_000 {
                let mut text = Vec::new();
                Text::of_tokens(tokens).write(&mut text, 0, tokens);
                let text = String::from_utf8(text).expect("words are whole characters");
                assert_eq!(
                    encoding.count(&text),
                    tokens,
                    "{encoding:?}, {tokens} words"
                );
            }
        }
    }

    #[test]
    fn models_have_the_tokenizer_that_tiktoken_names() {
        for model in [
            "gpt-4",
            "gpt-4-0613",
            "gpt-4-turbo",
            "gpt-3.5-turbo",
            "gpt-3.5-turbo-0125",
        ] {
            assert_eq!(Encoding::of_model(model), Encoding::Cl100kBase, "{model}");
        }
        for model in [
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4.1-nano",
            "o1",
            "o3-mini",
            "o4-mini",
            "gpt-5",
            "chatgpt-4o-latest",
        ] {
            assert_eq!(Encoding::of_model(model), Encoding::O200kBase, "{model}");
        }
    }
}
