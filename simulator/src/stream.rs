//! An answer as server-sent events, made one at a time: what comes next is decided when it is asked for.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::answer::Answer;
use crate::body::Step;
use crate::errors::ERROR_EVENT;
use crate::fate::{Break, Fate, Place, Shape, below, mix};
use crate::usage::UsageMode;

/// Where in the stream we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Role { choice: u64 },
    Content { start: u64, choice: u64 },
    Finish { choice: u64 },
    BeforeUsage,
    Usage,
    Done,
    End,
}

/// Produces the events of a streamed answer and what happens between them.
#[derive(Debug)]
pub(crate) struct Stream {
    answer: Answer,
    shape: Shape,
    phase: Phase,
    breaks: Option<Break>,
    sends_usage: bool,
    usage_json: String,
    /// Everything of an event before and after its `choices`.
    event_head: String,
    event_tail: String,
    content_events: u64,
    ready: VecDeque<Step>,
    draw: u64,
}

impl Stream {
    pub(crate) fn new(answer: Answer, fate: &Fate) -> Self {
        let eol = eol(&fate.shape);
        let event_head = format!(
            "data: {{\"id\":\"{}\",\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":\"{}\",\
             \"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\",\"choices\":[",
            answer.id, answer.created, answer.model
        );
        let null_usage = if answer.include_usage {
            ",\"usage\":null"
        } else {
            ""
        };
        Self {
            shape: fate.shape.clone(),
            phase: Phase::Role { choice: 0 },
            breaks: fate.breaks,
            sends_usage: answer.include_usage && fate.usage == UsageMode::Reported,
            usage_json: answer.usage.json(fate.bad_usage),
            event_head,
            event_tail: format!("]{null_usage}}}{eol}{eol}"),
            content_events: 0,
            ready: VecDeque::new(),
            draw: fate.draw,
            answer,
        }
    }

    /// What is to be done next; `None` after the end.
    pub(crate) fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            if self.phase == Phase::End {
                return None;
            }
            self.advance();
        }
    }

    fn advance(&mut self) {
        match self.phase {
            Phase::Role { choice } => self.role(choice),
            Phase::Content { start, choice } => self.content(start, choice),
            Phase::Finish { choice } => self.finish(choice),
            Phase::BeforeUsage => self.before_usage(),
            Phase::Usage => self.usage(),
            Phase::Done => self.done(),
            Phase::End => {}
        }
    }

    fn role(&mut self, choice: u64) {
        let delta = format!(
            "{{\"index\":{choice},\"delta\":{{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}},\
             \"logprobs\":null,\"finish_reason\":null}}"
        );
        self.push_event(&delta, 0);
        let last = choice + 1 == self.answer.choices;
        self.phase = if last {
            Phase::Content {
                start: 0,
                choice: 0,
            }
        } else {
            Phase::Role { choice: choice + 1 }
        };
    }

    fn content(&mut self, start: u64, choice: u64) {
        let over = start >= self.answer.visible_tokens;
        if let Some(breaks) = self.due_break(over) {
            return self.break_off(breaks);
        }
        if over {
            self.phase = Phase::Finish { choice: 0 };
            return;
        }
        self.pace();
        let count = self
            .tokens_per_chunk()
            .min(self.answer.visible_tokens - start);
        let hidden = if start == 0 {
            self.answer.reasoning_tokens
        } else {
            0
        };
        let event = self.content_event(start, count, choice);
        self.ready.push_back(Step::Data {
            bytes: event,
            tokens: count + hidden,
            usage: false,
        });
        self.content_events += 1;
        let last = choice + 1 == self.answer.choices;
        self.phase = if last {
            Phase::Content {
                start: start + count,
                choice: 0,
            }
        } else {
            Phase::Content {
                start,
                choice: choice + 1,
            }
        };
    }

    fn content_event(&self, start: u64, count: u64, choice: u64) -> Bytes {
        let mut event = Vec::with_capacity(self.event_head.len() + 160);
        event.extend_from_slice(self.event_head.as_bytes());
        event.extend_from_slice(b"{\"index\":");
        event.extend_from_slice(choice.to_string().as_bytes());
        event.extend_from_slice(b",\"delta\":{\"content\":\"");
        self.answer.text(choice).write(&mut event, start, count);
        event.extend_from_slice(b"\"},\"logprobs\":null,\"finish_reason\":null}");
        event.extend_from_slice(self.event_tail.as_bytes());
        event.into()
    }

    /// Waits and comments before a content event.
    fn pace(&mut self) {
        if self.content_events > 0 {
            let jitter = below(
                mix(self.draw ^ (self.content_events << 8)),
                self.shape.chunk_jitter_ms,
            );
            let wait_ms = self.shape.chunk_delay_ms + jitter;
            if wait_ms > 0 {
                self.ready.push_back(Step::Pause(wait_ms));
            }
        }
        if self.shape.ping_every_events > 0
            && self
                .content_events
                .is_multiple_of(self.shape.ping_every_events)
        {
            let eol = eol(&self.shape);
            self.push_raw(format!(": ping{eol}{eol}"), false);
        }
    }

    /// A big answer has big events, so that its size on the wire is about the size that was ordered.
    fn tokens_per_chunk(&self) -> u64 {
        let least = if self.shape.big_bytes.is_some() {
            1_024
        } else {
            1
        };
        self.shape.tokens_per_chunk.max(least)
    }

    fn due_break(&mut self, over: bool) -> Option<Break> {
        let due = |place| match place {
            Place::AfterEvents(events) => over || self.content_events >= events,
            Place::BeforeUsage => false,
        };
        self.breaks.take_if(|breaks| due(place(*breaks)))
    }

    fn break_off(&mut self, breaks: Break) {
        match breaks {
            Break::Stall(_, ms) => self.ready.push_back(Step::Stall(ms)),
            Break::Reset(_) => {
                self.ready.push_back(Step::Reset);
                self.phase = Phase::End;
            }
            Break::ErrorEvent(_) => {
                let eol = eol(&self.shape);
                self.push_raw(format!("data: {ERROR_EVENT}{eol}{eol}"), false);
                self.ready.push_back(Step::ErrorEnd);
                self.phase = Phase::End;
            }
        }
    }

    fn finish(&mut self, choice: u64) {
        let reason = self.answer.finish_reason;
        let delta = format!(
            "{{\"index\":{choice},\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"{reason}\"}}"
        );
        let hidden = if self.answer.visible_tokens == 0 {
            self.answer.reasoning_tokens
        } else {
            0
        };
        self.push_event(&delta, hidden);
        let last = choice + 1 == self.answer.choices;
        self.phase = if last {
            Phase::BeforeUsage
        } else {
            Phase::Finish { choice: choice + 1 }
        };
    }

    fn before_usage(&mut self) {
        self.phase = Phase::Usage;
        if let Some(breaks) = self.breaks.take() {
            self.break_off(breaks);
        }
    }

    fn usage(&mut self) {
        self.phase = Phase::Done;
        if self.sends_usage {
            let eol = eol(&self.shape);
            let end = if self.shape.no_done {
                self.last_eol()
            } else {
                eol
            };
            let event = format!(
                "{}],\"usage\":{}}}{eol}{end}",
                self.event_head, self.usage_json
            );
            self.push_raw(event, true);
        }
    }

    fn done(&mut self) {
        self.phase = Phase::End;
        if !self.shape.no_done {
            self.push_raw(
                format!("data: [DONE]{}{}", eol(&self.shape), self.last_eol()),
                false,
            );
        }
    }

    fn last_eol(&self) -> &'static str {
        if self.shape.no_final_blank {
            ""
        } else {
            eol(&self.shape)
        }
    }

    fn push_event(&mut self, choice: &str, tokens: u64) {
        let bytes = Bytes::from([&self.event_head, choice, &self.event_tail].concat());
        self.ready.push_back(Step::Data {
            bytes,
            tokens,
            usage: false,
        });
    }

    fn push_raw(&mut self, event: String, usage: bool) {
        self.ready.push_back(Step::Data {
            bytes: event.into(),
            tokens: 0,
            usage,
        });
    }
}

fn place(breaks: Break) -> Place {
    match breaks {
        Break::Reset(place) | Break::Stall(place, _) | Break::ErrorEvent(place) => place,
    }
}

fn eol(shape: &Shape) -> &'static str {
    if shape.crlf { "\r\n" } else { "\n" }
}
