//! The object of a response, in its parts: before its items, the items, after them, the usage.

use super::{Status, tools};
use crate::apis::plan::Plan;
use crate::fate::Tools;
use crate::usage::{BadUsage, Usage, UsageShape};
use crate::words::Text;

/// A whole response.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) message_id: String,
    pub(super) status: Status,
    pub(super) usage: Usage,
    pub(super) text: Text,
    /// Tokens of the text.
    pub(super) visible_tokens: u64,
    /// All items but the message: JSON, finished.
    pub(super) items: Vec<tools::Item>,
    tools: Tools,
    created: i64,
    model: String,
    tier: &'static str,
}

impl Object {
    pub(super) fn new(plan: &Plan<'_>, status: Status, usage: Usage) -> Self {
        Self {
            id: plan.id("resp_", 48),
            message_id: plan.id("msg_", 48),
            status,
            usage,
            text: plan.text(0),
            visible_tokens: usage.completion - usage.reasoning,
            items: tools::items(plan, usage),
            tools: plan.fate.content.tools,
            created: plan.created(),
            model: plan.model.served.to_string(),
            tier: plan.fate.content.service_tier,
        }
    }

    /// As it is told while it is made.
    pub(super) fn in_progress(&self) -> String {
        let head = self.head("in_progress", "null", "null", "auto");
        format!("{head},\"output\":[]{},\"usage\":null}}", self.settings())
    }

    /// As it is told at its end.
    pub(super) fn finished(&self, usage: Option<String>) -> String {
        let usage = usage.unwrap_or_default();
        let (before, output, after) = (self.before_output(), self.output(), self.after_output());
        format!("{before}{output}{after}{usage}}}")
    }

    pub(super) fn before_output(&self) -> String {
        let (error, incomplete) = match self.status {
            Status::Completed => ("null".to_owned(), "null".to_owned()),
            Status::Incomplete(why) => ("null".to_owned(), format!("{{\"reason\":\"{why}\"}}")),
            Status::Failed => (
                "{\"code\":\"server_error\",\"message\":\"The model failed to generate a response.\"}".to_owned(),
                "null".to_owned(),
            ),
        };
        let head = self.head(self.status.name(), &error, &incomplete, self.tier);
        format!("{head},\"output\":[")
    }

    /// The items, with commas between them.
    pub(super) fn output(&self) -> String {
        let mut output = String::new();
        for item in &self.items {
            output.push_str(&item.json);
            output.push(',');
        }
        output.push_str(&self.message(self.visible_tokens, self.status.name_of_message()));
        output
    }

    pub(super) fn after_output(&self) -> String {
        format!("]{}", self.settings())
    }

    /// The usage, and that of the tools.
    pub(super) fn usage_member(&self, bad: Option<BadUsage>) -> String {
        let usage = self.usage.json(UsageShape::Responses, bad);
        format!(",\"usage\":{usage}{}", tools::usage_member(self.tools))
    }

    /// The message, with so much of its text.
    pub(super) fn message(&self, tokens: u64, status: &str) -> String {
        let content = if status == "in_progress" {
            String::new()
        } else {
            self.content_part(tokens)
        };
        format!(
            "{{\"id\":\"{}\",\"type\":\"message\",\"status\":\"{status}\",\"role\":\"assistant\",\"content\":[{content}]}}",
            self.message_id
        )
    }

    pub(super) fn content_part(&self, tokens: u64) -> String {
        let text = self.text.string(tokens);
        format!(
            "{{\"type\":\"output_text\",\"text\":\"{text}\",\"annotations\":[],\"logprobs\":[]}}"
        )
    }

    fn head(&self, status: &str, error: &str, incomplete: &str, tier: &str) -> String {
        let Self {
            id, created, model, ..
        } = self;
        format!(
            "{{\"id\":\"{id}\",\"object\":\"response\",\"created_at\":{created},\"status\":\"{status}\",\
             \"background\":false,\"error\":{error},\"incomplete_details\":{incomplete},\"instructions\":null,\
             \"max_output_tokens\":null,\"model\":\"{model}\",\"service_tier\":\"{tier}\""
        )
    }

    /// Members that say what was asked.
    fn settings(&self) -> String {
        format!(
            ",\"parallel_tool_calls\":true,\"previous_response_id\":null,\"reasoning\":{{\"effort\":null,\"summary\":null}},\
             \"store\":false,\"temperature\":1.0,\"text\":{{\"format\":{{\"type\":\"text\"}}}},\"tool_choice\":\"auto\",\
             \"tools\":{},\"top_p\":1.0,\"truncation\":\"disabled\",\"user\":null,\"metadata\":{{}}",
            tools::settings(self.tools)
        )
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }

    pub(super) fn name_of_message(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete(_) | Self::Failed => "incomplete",
        }
    }
}
