//! An answer as server-sent events: paces and frames the events of a source, and breaks off where the fate says.
//! What the events are is each API's business.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::iter::Peekable;

use bytes::Bytes;

use crate::body::Step;
use crate::errors::ERROR_EVENT;
use crate::fate::{Break, Fate, Place, Shape, below, mix};

/// An event before it is framed.
#[derive(Debug)]
pub(crate) struct Event {
    /// What the line `event:` says; no such line where it is `None`.
    pub(crate) name: Option<&'static str>,
    pub(crate) json: Vec<u8>,
    pub(crate) part: Part,
    /// Tokens that are handed over with it.
    pub(crate) tokens: u64,
}

/// Which part of a stream an event belongs to; they come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Before any content.
    Open,
    Content,
    /// After all content, without the usage.
    Close,
    /// Holds the usage.
    Usage,
}

impl Event {
    /// An event without a name that holds no tokens.
    pub(crate) fn new(json: impl Into<Vec<u8>>, part: Part) -> Self {
        Self {
            name: None,
            json: json.into(),
            part,
            tokens: 0,
        }
    }

    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    pub(crate) fn counted(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }
}

/// Makes the events of an answer, one when one is asked for.
pub(crate) trait Source: Iterator<Item = Event> + Debug + Send {}

impl<S: Iterator<Item = Event> + Debug + Send> Source for S {}

/// How an API ends its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// `data: [DONE]`.
    Done,
    /// The last event says so itself.
    Silent,
    /// As `Silent`; and errors are events with a name.
    Typed,
}

/// Produces the events of a streamed answer and what happens between them.
#[derive(Debug)]
pub(crate) struct Stream {
    source: Peekable<Box<dyn Source>>,
    ending: Ending,
    shape: Shape,
    breaks: Option<Break>,
    content_events: u64,
    ready: VecDeque<Step>,
    over: bool,
    draw: u64,
}

impl Stream {
    pub(crate) fn new(source: impl Source + 'static, ending: Ending, fate: &Fate) -> Self {
        let source: Box<dyn Source> = Box::new(source);
        Self {
            source: source.peekable(),
            ending,
            shape: fate.shape.clone(),
            breaks: fate.breaks,
            content_events: 0,
            ready: VecDeque::new(),
            over: false,
            draw: fate.draw,
        }
    }

    /// What is to be done next; `None` after the end.
    pub(crate) fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            if self.over {
                return None;
            }
            self.advance();
        }
    }

    fn advance(&mut self) {
        let part = self.source.peek().map(|event| event.part);
        if let Some(breaks) = self.due_break(part) {
            return self.break_off(breaks);
        }
        match self.source.next() {
            Some(event) => self.event(&event),
            None => self.done(),
        }
    }

    /// The break that happens before the next event, which belongs to this part.
    fn due_break(&mut self, part: Option<Part>) -> Option<Break> {
        let due = |place| match (place, part) {
            (Place::AfterEvents(_), Some(Part::Open)) => false,
            (Place::AfterEvents(events), Some(Part::Content)) => self.content_events >= events,
            (Place::AfterEvents(_), _) => true,
            (Place::BeforeUsage, part) => matches!(part, Some(Part::Usage) | None),
        };
        self.breaks.take_if(|breaks| due(place(*breaks)))
    }

    fn break_off(&mut self, breaks: Break) {
        match breaks {
            Break::Stall(_, ms) => self.ready.push_back(Step::Stall(ms)),
            Break::Reset(_) => {
                self.ready.push_back(Step::Reset);
                self.over = true;
            }
            Break::ErrorEvent(_) => {
                let event = self.error_event();
                self.push(event.into(), 0, false);
                self.ready.push_back(Step::ErrorEnd);
                self.over = true;
            }
        }
    }

    fn error_event(&self) -> String {
        let eol = self.eol();
        if self.ending == Ending::Typed {
            let error = &ERROR_EVENT[1..];
            return format!("event: error{eol}data: {{\"type\":\"error\",{error}{eol}{eol}");
        }
        format!("data: {ERROR_EVENT}{eol}{eol}")
    }

    fn event(&mut self, event: &Event) {
        if event.part == Part::Content {
            self.pace();
            self.content_events += 1;
        }
        let eol = self.eol();
        let last = self.source.peek().is_none() && self.may_end(event.part);
        let mut bytes = Vec::with_capacity(event.json.len() + 64);
        if let Some(name) = event.name {
            bytes.extend_from_slice(b"event: ");
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(eol.as_bytes());
        }
        bytes.extend_from_slice(b"data: ");
        bytes.extend_from_slice(&event.json);
        bytes.extend_from_slice(eol.as_bytes());
        let blank = if last { self.last_eol() } else { eol };
        bytes.extend_from_slice(blank.as_bytes());
        self.push(bytes.into(), event.tokens, event.part == Part::Usage);
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
            let eol = self.eol();
            self.push(format!(": ping{eol}{eol}").into(), 0, false);
        }
    }

    fn done(&mut self) {
        self.over = true;
        if self.says_done() {
            let end = format!("data: [DONE]{}{}", self.eol(), self.last_eol());
            self.push(end.into(), 0, false);
        }
    }

    /// Whether the last event may lack its blank line. Where `[DONE]` is left out only the usage may: an event that is
    /// the last because no usage was asked for looks the same to those who ask for it and to those who do not.
    fn may_end(&self, part: Part) -> bool {
        match self.ending {
            Ending::Done => self.shape.no_done && part == Part::Usage,
            Ending::Silent | Ending::Typed => true,
        }
    }

    fn says_done(&self) -> bool {
        self.ending == Ending::Done && !self.shape.no_done
    }

    fn eol(&self) -> &'static str {
        if self.shape.crlf { "\r\n" } else { "\n" }
    }

    fn last_eol(&self) -> &'static str {
        if self.shape.no_final_blank {
            ""
        } else {
            self.eol()
        }
    }

    fn push(&mut self, bytes: Bytes, tokens: u64, usage: bool) {
        self.ready.push_back(Step::Data {
            bytes,
            tokens,
            usage,
        });
    }
}

fn place(breaks: Break) -> Place {
    match breaks {
        Break::Reset(place) | Break::Stall(place, _) | Break::ErrorEvent(place) => place,
    }
}

/// A big answer has big events, so that its size on the wire is about the size that was ordered.
pub(crate) fn tokens_per_event(shape: &Shape) -> u64 {
    let least = if shape.big_bytes.is_some() { 1_024 } else { 1 };
    shape.tokens_per_chunk.max(least)
}
