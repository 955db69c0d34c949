//! A call that goes wrong: what it carries, what it is, what must come of it.

/// The path of a chat call.
pub const CHAT: &str = "/v1/chat/completions";

/// What the calls carry. Each text stands for something that must never be seen elsewhere.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The key of an app that may use every model.
    pub secret: String,
    /// The key of an app that may use `gpt-4o` alone.
    pub limited: String,
    /// A key that is switched off.
    pub disabled: String,
    /// A key that nobody has.
    pub foreign: String,
    /// What the prompts say.
    pub prompt: String,
}

impl Default for Carried {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            secret: text("tg-faulty-1"),
            limited: text("tg-faulty-limited"),
            disabled: text("tg-faulty-disabled"),
            foreign: text("tg-faulty-nobody"),
            prompt: text("Say something."),
        }
    }
}

/// A call that goes wrong.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is wrong.
    pub name: &'static str,
    /// The request, each piece in a write of its own.
    pub pieces: Vec<Vec<u8>>,
    /// The status that the app gets.
    pub status: u16,
    /// The machine code in an error of ours; empty where the answer is the provider's.
    pub code: &'static str,
    /// Of the record.
    pub outcome: &'static str,
    /// Of the record; empty for none.
    pub detail: &'static str,
}

/// A body as it should be, with an order to the simulator.
pub fn good_body(model: &str, order: &str, stream: bool, prompt: &str) -> String {
    format!(
        "{{\"model\":\"{model}\",\"stream\":{stream},\"max_tokens\":6,\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}],\
         \"metadata\":{{\"sim\":\"{order}\"}}}}"
    )
}

/// The headers of an app with this key.
pub fn bearer(secret: &str) -> String {
    format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n")
}
