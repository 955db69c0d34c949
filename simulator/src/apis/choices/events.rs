//! Choices as the events of a stream: what comes next is decided when it is asked for.

use super::{Choices, Style};
use crate::apis::Plan;
use crate::fate::Filter;
use crate::stream::{Event, Part, tokens_per_event};
use crate::usage::UsageMode;
use crate::verdict;
use crate::words::Text;

/// Where in the stream we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Prompts,
    Role { choice: u64 },
    Content { start: u64, choice: u64 },
    Finish { choice: u64 },
    Verdicts { choice: u64 },
    Usage,
    End,
}

/// The events of a streamed answer.
#[derive(Debug)]
pub(super) struct Events {
    answer: Choices,
    text: Vec<Text>,
    phase: Phase,
    tokens_per_event: u64,
    finish_reason: &'static str,
    azure: bool,
    late_verdicts: bool,
    usage_json: Option<String>,
    /// Everything of an event before and after its `choices`.
    head: String,
    tail: &'static str,
}

impl Events {
    pub(super) fn new(answer: Choices, plan: &Plan<'_>) -> Self {
        let object = match answer.style {
            Style::Chat => "chat.completion.chunk",
            Style::Completion => "text_completion",
        };
        let head = format!(
            "{{\"id\":\"{}\",\"object\":\"{object}\",\"created\":{},\"model\":\"{}\"{},\"choices\":[",
            answer.id,
            plan.created(),
            plan.model.served,
            answer.stamp(plan)
        );
        let told = answer.include_usage
            && plan.fate.usage == UsageMode::Reported
            && !(plan.is_azure() && plan.fate.content.filter == Some(Filter::Answer));
        Self {
            text: (0..answer.count).map(|choice| plan.text(choice)).collect(),
            phase: Phase::Prompts,
            tokens_per_event: tokens_per_event(&plan.fate.shape),
            finish_reason: answer.finish_reason(plan),
            azure: plan.is_azure(),
            late_verdicts: plan.is_azure() && plan.fate.content.late_verdicts,
            usage_json: told.then(|| answer.usage.json(answer.usage_shape, plan.fate.bad_usage)),
            head,
            tail: if answer.include_usage {
                "],\"usage\":null}"
            } else {
                "]}"
            },
            answer,
        }
    }

    /// The next choice of a phase, or what follows it.
    fn after(&self, choice: u64, same: impl Fn(u64) -> Phase, next: Phase) -> Phase {
        if choice + 1 == self.answer.count {
            next
        } else {
            same(choice + 1)
        }
    }

    fn event(&self, choice: &str, part: Part) -> Event {
        Event::new([&self.head, choice, self.tail].concat(), part)
    }

    fn prompts(&mut self) -> Option<Event> {
        self.phase = match self.answer.style {
            Style::Chat => Phase::Role { choice: 0 },
            Style::Completion => Phase::Content {
                start: 0,
                choice: 0,
            },
        };
        let prompts = || {
            format!(
                "{{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":{}}}",
                verdict::prompts()
            )
        };
        self.azure.then(|| Event::new(prompts(), Part::Open))
    }

    fn role(&mut self, choice: u64) -> Event {
        let content = Phase::Content {
            start: 0,
            choice: 0,
        };
        self.phase = self.after(choice, |choice| Phase::Role { choice }, content);
        let delta = format!(
            "{{\"index\":{choice},\"delta\":{{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}},\
             \"logprobs\":null,\"finish_reason\":null}}"
        );
        self.event(&delta, Part::Open)
    }

    fn content(&mut self, start: u64, choice: u64) -> Option<Event> {
        let left = self.answer.visible_tokens.saturating_sub(start);
        if left == 0 {
            self.phase = Phase::Finish { choice: 0 };
            return None;
        }
        let count = self.tokens_per_event.min(left);
        let hidden = if start == 0 {
            self.answer.reasoning_tokens
        } else {
            0
        };
        let next = Phase::Content {
            start: start + count,
            choice: 0,
        };
        self.phase = self.after(choice, |choice| Phase::Content { start, choice }, next);
        let event = Event::new(self.content_json(start, count, choice), Part::Content);
        Some(event.counted(count + hidden))
    }

    fn content_json(&self, start: u64, count: u64, choice: u64) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.head.len() + 160);
        json.extend_from_slice(self.head.as_bytes());
        json.extend_from_slice(b"{\"index\":");
        json.extend_from_slice(choice.to_string().as_bytes());
        json.extend_from_slice(match self.answer.style {
            Style::Chat => b",\"delta\":{\"content\":\"",
            Style::Completion => b",\"text\":\"",
        });
        let text = usize::try_from(choice)
            .ok()
            .and_then(|choice| self.text.get(choice));
        if let Some(text) = text {
            text.write(&mut json, start, count);
        }
        json.extend_from_slice(match self.answer.style {
            Style::Chat => b"\"},\"logprobs\":null,\"finish_reason\":null",
            Style::Completion => b"\",\"logprobs\":null,\"finish_reason\":null",
        });
        if self.azure && !self.late_verdicts {
            let verdict = verdict::of_answer(false).to_string();
            json.extend_from_slice(b",\"content_filter_results\":");
            json.extend_from_slice(verdict.as_bytes());
        }
        json.push(b'}');
        json.extend_from_slice(self.tail.as_bytes());
        json
    }

    fn finish(&mut self, choice: u64) -> Event {
        let next = if self.late_verdicts {
            Phase::Verdicts { choice: 0 }
        } else {
            Phase::Usage
        };
        self.phase = self.after(choice, |choice| Phase::Finish { choice }, next);
        let (reason, delta) = match self.answer.style {
            Style::Chat => (self.finish_reason, "\"delta\":{}"),
            Style::Completion => (self.finish_reason, "\"text\":\"\""),
        };
        let verdict = if self.azure {
            ",\"content_filter_results\":{}"
        } else {
            ""
        };
        let finish = format!(
            "{{\"index\":{choice},{delta},\"logprobs\":null,\"finish_reason\":\"{reason}\"{verdict}}}"
        );
        let hidden = if self.answer.visible_tokens == 0 {
            self.answer.reasoning_tokens
        } else {
            0
        };
        self.event(&finish, Part::Close).counted(hidden)
    }

    /// A verdict that comes late, in a chunk that has no name.
    fn verdict(&mut self, choice: u64) -> Event {
        self.phase = self.after(choice, |choice| Phase::Verdicts { choice }, Phase::Usage);
        let end = self.answer.visible_tokens;
        let verdict = format!(
            "{{\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[{{\"index\":{choice},\
             \"finish_reason\":null,\"content_filter_results\":{},\"content_filter_offsets\":\
             {{\"check_offset\":0,\"start_offset\":0,\"end_offset\":{end}}}}}{}",
            verdict::of_answer(false),
            self.tail
        );
        Event::new(verdict, Part::Close)
    }

    fn usage(&mut self) -> Option<Event> {
        self.phase = Phase::End;
        let usage = self.usage_json.take()?;
        let json = format!("{}],\"usage\":{usage}}}", self.head);
        Some(Event::new(json, Part::Usage))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let event = match self.phase {
                Phase::Prompts => self.prompts(),
                Phase::Role { choice } => Some(self.role(choice)),
                Phase::Content { start, choice } => self.content(start, choice),
                Phase::Finish { choice } => Some(self.finish(choice)),
                Phase::Verdicts { choice } => Some(self.verdict(choice)),
                Phase::Usage => self.usage(),
                Phase::End => return None,
            };
            if event.is_some() {
                return event;
            }
        }
    }
}
