//! Answers that are one or several texts, each a choice: of chats and of completions. How they are streamed is told
//! in `choices/events`.

mod events;

use std::fmt::Write as _;
use std::sync::Arc;

use self::events::Events;
use super::plan::{EVENTS, JSON, Made, Plan};
use crate::body::Script;
use crate::fate::Filter;
use crate::plain::{Pieces, Plain};
use crate::stream::{Ending, Stream};
use crate::truth::{Unit, Units, UseLine};
use crate::usage::{Usage, UsageMode, UsageShape};
use crate::verdict;

/// Whose choices they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Chat,
    Completion,
}

/// All that an answer consists of.
#[derive(Debug)]
pub(super) struct Choices {
    pub(super) style: Style,
    pub(super) id: String,
    pub(super) count: u64,
    /// Tokens of each choice that are seen.
    pub(super) visible_tokens: u64,
    /// Tokens of each choice that are not.
    pub(super) reasoning_tokens: u64,
    pub(super) limited: bool,
    pub(super) include_usage: bool,
    pub(super) usage: Usage,
    pub(super) usage_shape: UsageShape,
}

impl Choices {
    pub(super) fn make(self, plan: &Plan<'_>) -> Made {
        let (usage, line) = (self.usage, self.line(plan));
        let (script, content_type) = if plan.streams {
            let source = Events::new(self, plan);
            let stream = Stream::new(source, Ending::Done, plan.fate);
            (Script::Stream(Box::new(stream)), EVENTS)
        } else {
            (Script::Plain(self.plain(plan)), JSON)
        };
        Made {
            script,
            content_type,
            usage,
            lines: vec![line],
        }
    }

    fn line(&self, plan: &Plan<'_>) -> UseLine {
        let tier = (self.style == Style::Chat).then(|| Arc::from(plan.fate.content.service_tier));
        let Usage {
            prompt,
            completion,
            cached,
            reasoning,
        } = self.usage;
        UseLine {
            model: plan.served(),
            service_tier: tier,
            units: Units::default()
                .with(Unit::InputText, prompt - cached)
                .with_part(Unit::InputCached, cached)
                .with(Unit::OutputText, completion - reasoning)
                .with_part(Unit::OutputReasoning, reasoning),
        }
    }

    fn finish_reason(&self, plan: &Plan<'_>) -> &'static str {
        match plan.fate.content.filter {
            Some(Filter::Answer) => "content_filter",
            _ if self.limited => "length",
            _ => "stop",
        }
    }

    fn plain(&self, plan: &Plan<'_>) -> Plain {
        let mut pieces = Pieces::default();
        let object = match self.style {
            Style::Chat => "chat.completion",
            Style::Completion => "text_completion",
        };
        let mut pending = format!(
            "{{\"id\":\"{}\",\"object\":\"{object}\",\"created\":{},\"model\":\"{}\",\"choices\":[",
            self.id,
            plan.created(),
            plan.model.served
        );
        for choice in 0..self.count {
            pending.push_str(&self.choice_head(choice));
            pieces.bytes(std::mem::take(&mut pending));
            pieces.text(
                plan.text(choice),
                self.visible_tokens,
                self.reasoning_tokens,
            );
            pending.push_str(&self.choice_tail(plan));
        }
        pending.push(']');
        pieces.bytes(std::mem::take(&mut pending));
        pieces.before_usage();
        if plan.fate.usage != UsageMode::Nowhere {
            let usage = self.usage.json(self.usage_shape, plan.fate.bad_usage);
            pieces.usage(format!(",\"usage\":{usage}"));
        }
        pieces.bytes(self.plain_tail(plan));
        Plain::new(pieces, plan.fate)
    }

    fn choice_head(&self, choice: u64) -> String {
        let comma = if choice == 0 { "" } else { "," };
        match self.style {
            Style::Chat => format!(
                "{comma}{{\"index\":{choice},\"message\":{{\"role\":\"assistant\",\"content\":\""
            ),
            Style::Completion => format!("{comma}{{\"index\":{choice},\"text\":\""),
        }
    }

    fn choice_tail(&self, plan: &Plan<'_>) -> String {
        let reason = self.finish_reason(plan);
        let verdict = if plan.is_azure() {
            let filtered = plan.fate.content.filter == Some(Filter::Answer);
            format!(
                ",\"content_filter_results\":{}",
                verdict::of_answer(filtered)
            )
        } else {
            String::new()
        };
        let message = match self.style {
            Style::Chat => "\",\"refusal\":null,\"annotations\":[]}",
            Style::Completion => "\"",
        };
        format!("{message},\"logprobs\":null,\"finish_reason\":\"{reason}\"{verdict}}}")
    }

    fn plain_tail(&self, plan: &Plan<'_>) -> String {
        let mut tail = self.stamp(plan);
        if plan.is_azure() {
            let _ = write!(tail, ",\"prompt_filter_results\":{}", verdict::prompts());
        }
        tail.push('}');
        tail
    }

    /// Members that a chat has beside those of a completion.
    fn stamp(&self, plan: &Plan<'_>) -> String {
        match self.style {
            Style::Chat => format!(
                ",\"service_tier\":\"{}\",\"system_fingerprint\":\"fp_51db84afab\"",
                plan.fate.content.service_tier
            ),
            Style::Completion => String::new(),
        }
    }
}
