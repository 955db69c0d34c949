//! A response as the events of a stream, in the order of the API reference: the response begins, each item begins
//! and ends, the text grows, the response ends.

use std::collections::VecDeque;

use super::Status;
use super::object::Object;
use super::tools::Item;
use crate::apis::plan::Plan;
use crate::stream::{Event, Part, tokens_per_event};
use crate::usage::{BadUsage, UsageMode};

/// The events of a streamed response.
#[derive(Debug)]
pub(super) struct Events {
    object: Object,
    /// Events that are ready, before the text and after it.
    ready: VecDeque<Event>,
    sequence: u64,
    start: u64,
    tokens_per_event: u64,
    /// Where the message stands among the items.
    message_index: usize,
    tells_usage: bool,
    bad_usage: Option<BadUsage>,
    closed: bool,
}

impl Events {
    pub(super) fn new(plan: &Plan<'_>, object: Object) -> Self {
        let tells_usage = plan.fate.usage == UsageMode::Reported && object.status != Status::Failed;
        let mut events = Self {
            ready: VecDeque::new(),
            sequence: 0,
            start: 0,
            tokens_per_event: tokens_per_event(&plan.fate.shape),
            message_index: object.items.len(),
            tells_usage,
            bad_usage: plan.fate.bad_usage,
            closed: false,
            object,
        };
        events.open();
        events
    }

    /// One event; what follows its type and number is given.
    fn push(&mut self, name: &'static str, part: Part, members: &str) {
        let event = self.event(name, part, members);
        self.ready.push_back(event);
    }

    fn event(&mut self, name: &'static str, part: Part, members: &str) -> Event {
        let json = format!(
            "{{\"type\":\"{name}\",\"sequence_number\":{},{members}}}",
            self.sequence
        );
        self.sequence += 1;
        Event::new(json, part).named(name)
    }

    fn open(&mut self) {
        let response = format!("\"response\":{}", self.object.in_progress());
        self.push("response.created", Part::Open, &response);
        self.push("response.in_progress", Part::Open, &response);
        let items = std::mem::take(&mut self.object.items);
        for (index, item) in items.iter().enumerate() {
            self.item(index, item);
        }
        self.object.items = items;
        let message = self.object.message(0, "in_progress");
        let item = format!("\"output_index\":{},\"item\":{message}", self.message_index);
        self.push("response.output_item.added", Part::Open, &item);
        let part = format!("{},\"part\":{}", self.place(), self.object.content_part(0));
        self.push("response.content_part.added", Part::Open, &part);
    }

    fn item(&mut self, index: usize, item: &Item) {
        let begun = format!("\"output_index\":{index},\"item\":{}", item.begun);
        self.push("response.output_item.added", Part::Open, &begun);
        let place = format!("\"output_index\":{index},\"item_id\":\"{}\"", item.id);
        for name in item.events {
            self.push(name, Part::Open, &place);
        }
        let done = format!("\"output_index\":{index},\"item\":{}", item.json);
        self.push("response.output_item.done", Part::Open, &done);
    }

    /// Where the text stands.
    fn place(&self) -> String {
        format!(
            "\"item_id\":\"{}\",\"output_index\":{},\"content_index\":0",
            self.object.message_id, self.message_index
        )
    }

    fn delta(&mut self) -> Event {
        let left = self.object.visible_tokens - self.start;
        let count = self.tokens_per_event.min(left);
        let mut text = Vec::new();
        self.object.text.write(&mut text, self.start, count);
        let members = format!(
            "{},\"delta\":\"{}\",\"logprobs\":[]",
            self.place(),
            String::from_utf8_lossy(&text)
        );
        let hidden = self.hidden_tokens(self.start == 0);
        self.start += count;
        let event = self.event("response.output_text.delta", Part::Content, &members);
        event.counted(self.charged(count + hidden))
    }

    fn hidden_tokens(&self, first: bool) -> u64 {
        if first {
            self.object.usage.reasoning
        } else {
            0
        }
    }

    fn charged(&self, tokens: u64) -> u64 {
        if self.object.status == Status::Failed {
            0
        } else {
            tokens
        }
    }

    fn close(&mut self) {
        self.closed = true;
        let hidden = self.charged(self.hidden_tokens(self.object.visible_tokens == 0));
        if self.object.status != Status::Failed {
            self.close_message();
        }
        let usage = self
            .tells_usage
            .then(|| self.object.usage_member(self.bad_usage));
        let part = if usage.is_some() {
            Part::Usage
        } else {
            Part::Close
        };
        let response = format!("\"response\":{}", self.object.finished(usage));
        let name = match self.object.status {
            Status::Completed => "response.completed",
            Status::Incomplete(_) => "response.incomplete",
            Status::Failed => "response.failed",
        };
        let event = self.event(name, part, &response).counted(hidden);
        self.ready.push_back(event);
    }

    fn close_message(&mut self) {
        let tokens = self.object.visible_tokens;
        let (place, text) = (self.place(), self.object.text.string(tokens));
        let done = format!("{place},\"text\":\"{text}\",\"logprobs\":[]");
        self.push("response.output_text.done", Part::Close, &done);
        let part = format!("{place},\"part\":{}", self.object.content_part(tokens));
        self.push("response.content_part.done", Part::Close, &part);
        let message = self
            .object
            .message(tokens, self.object.status.name_of_message());
        let item = format!("\"output_index\":{},\"item\":{message}", self.message_index);
        self.push("response.output_item.done", Part::Close, &item);
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.ready.pop_front() {
            return Some(event);
        }
        if self.start < self.object.visible_tokens {
            return Some(self.delta());
        }
        if self.closed {
            return None;
        }
        self.close();
        self.ready.pop_front()
    }
}
