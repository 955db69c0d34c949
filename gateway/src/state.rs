//! Everything about an admitted request, and the closing of its record.
//!
//! What must not live here: what happens when its app goes away (see `exchange`), the reading of its answer
//! (see `body`, `drain`).

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use journal::Ticket;
use schemas::{Attempt, Durability, Micros, Units, UsageEvent};

use tokio::sync::OwnedSemaphorePermit;

use crate::attempts::failed_attempt;
use crate::conclude::{Call, Ending, Facts, conclude};
use crate::endpoint::Endpoint;
use crate::estimate::{Counted, Question};
use crate::gate::Gate;
use crate::ledger::OpenRequest;
use crate::meter::findings::{Findings, TextTally};
use crate::meter::reader::Reader;
use crate::meter::sniff::Expects;
use crate::snapshot::{Route, Snapshot};
use crate::trace::{Target, TraceContext};
use crate::upload;
use crate::upstream::{AnswerBody, CallError, Calling, Line};

/// A larger request is not kept for counting: where the provider reports nothing its input is unknown.
const MAX_KEPT_BODY_BYTES: usize = 1 << 20;

/// Tokens must be counted before the record can be closed.
#[derive(Clone, Copy, Debug)]
pub struct MustCount;

/// How far the call to the provider has come.
pub enum Stage {
    /// Not begun.
    Admitted,
    /// Sent, not answered.
    Calling(Calling),
    /// Being answered.
    Answering(AnswerBody),
    /// It failed, and the next one has not begun.
    Between,
    /// Over, or in other hands.
    Over,
}

/// What a request brings that outlives its admission.
#[derive(Debug)]
pub struct Asking {
    /// Where it was sent.
    pub endpoint: Endpoint,
    /// Its body, where it may have to be counted.
    pub body: Option<Bytes>,
    /// The room that its body takes of all bodies' memory, in KiB.
    #[expect(dead_code, reason = "held until the request is closed, not read")]
    pub room: Option<OwnedSemaphorePermit>,
    /// What is known of a body that passes while it comes.
    pub upload: Option<Arc<upload::Facts>>,
    /// What the request itself counts.
    pub counted: Units,
    /// Its place in a trace, where requests are traced.
    pub trace: Option<Box<TraceContext>>,
}

/// Everything about an admitted request.
pub struct State {
    /// What all requests share.
    pub gate: Arc<Gate>,
    /// The configuration it was admitted under.
    pub snapshot: Arc<Snapshot>,
    /// How it is served.
    pub route: Arc<Route>,
    /// Its admission says that it asked for a stream.
    asked_stream: bool,
    /// The record to be closed.
    open: Option<OpenRequest>,
    /// What it asked. Its body is there for counting where the provider does not, unless it is too large to keep; the
    /// room that it takes is given back when the request is closed.
    pub asking: Asking,
    /// How far the call has come.
    pub stage: Stage,
    /// What was seen of the call.
    pub call: Call,
    /// The connection that it has.
    pub line: Option<Line>,
    /// Calls before it, which failed.
    pub earlier: Vec<Attempt>,
    /// What answer is expected.
    pub expects: Expects,
    /// Reads the answer.
    pub reader: Reader,
    /// What the answer said.
    pub found: Findings,
    /// What it generated.
    pub tally: TextTally,
    /// Whether what was counted here is all that a model was shown.
    counted_whole: bool,
    /// When the app got its first byte.
    pub first_byte: Option<Micros>,
    /// Bytes given to the app.
    pub response_bytes: u64,
    /// HTTP status given to the app.
    pub app_status: Option<u16>,
}

impl State {
    /// A request that was just admitted.
    pub fn new(
        gate: Arc<Gate>,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        open: OpenRequest,
        mut asking: Asking,
    ) -> Self {
        asking.body = asking.body.filter(|body| body.len() <= MAX_KEPT_BODY_BYTES);
        let asked_stream = open.admission().stream;
        Self {
            gate,
            snapshot,
            route,
            asked_stream,
            open: Some(open),
            asking,
            stage: Stage::Admitted,
            call: Call::default(),
            line: None,
            earlier: Vec::new(),
            expects: Expects::default(),
            reader: Reader::default(),
            found: Findings::default(),
            tally: TextTally::default(),
            counted_whole: true,
            first_byte: None,
            response_bytes: 0,
            app_status: None,
        }
    }

    fn facts(&self, ending: Ending) -> Facts<'_> {
        Facts {
            ending,
            call: &self.call,
            earlier: &self.earlier,
            found: &self.found,
            dialect: self.route.backend.dialect,
            api: self.asking.endpoint.api(),
            is_stream: self.asked_stream || self.reader.is_stream(),
            counted: &self.asking.counted,
            upstream_model: &self.route.upstream_model,
            priced_as: &self.route.priced_as,
            first_byte: self.first_byte,
            now: self.gate.clock.now(),
            response_bytes: self.response_bytes,
            app_status: self.app_status,
            has_text: self.tally.bytes() > 0,
            counted_whole: self.counted_whole,
            read: OnceCell::new(),
        }
    }

    /// The call got no answer: notes whether anything of the request can have reached the provider. Gives how it ended.
    pub fn note_failure(&mut self, error: CallError) -> Ending {
        self.call.reached = error.may_have_reached();
        tracing::warn!(deployment = %self.route.backend.id, %error, "call to the provider failed");
        match error {
            CallError::Unreachable | CallError::Broken => Ending::Broken(error.code()),
            CallError::ConnectTimeout | CallError::Silent => Ending::TimedOut(error.code()),
        }
    }

    /// The call failed and another one follows: puts it beside the record's own, and forgets what its answer said.
    pub fn end_call(&mut self, ending: Ending) {
        self.note_upload();
        let Some(open) = &self.open else { return };
        let failed = failed_attempt(&open.open_event(), &self.facts(ending));
        self.earlier.extend(failed);
        // A call that nobody waits for any more is closed.
        self.stage = Stage::Between;
        self.call = Call::default();
        self.line = None;
        self.reader = Reader::default();
        self.found = Findings::default();
        self.tally = TextTally::default();
    }

    /// What a whole answer would have and this one, which has ended, has not. An error's body ends as it likes: its status
    /// has said everything.
    pub fn lacks(&self) -> Option<&'static str> {
        let is_answer = self
            .call
            .status
            .is_some_and(|status| (200..300).contains(&status));
        if !is_answer {
            None
        } else if self.reader.is_cut_off() {
            Some("answer_ended_early")
        } else if self.reader.is_stream() && !self.found.is_finished() {
            Some("stream_ended_early")
        } else {
            None
        }
    }

    /// Closes the record with what is known now. Does nothing the second time.
    pub fn settle(&mut self, ending: Ending, estimate: &Units) -> Option<Ticket> {
        self.settle_if(ending, estimate, |_| true).ok()?
    }

    /// Closes the record unless tokens must be counted before.
    pub fn settle_at_once(&mut self, ending: Ending) -> Result<Option<Ticket>, MustCount> {
        self.settle_if(ending, &Units::default(), |facts| !facts.wanted().any())
    }

    fn settle_if(
        &mut self,
        ending: Ending,
        estimate: &Units,
        may: impl FnOnce(&Facts<'_>) -> bool,
    ) -> Result<Option<Ticket>, MustCount> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        self.note_upload();
        let facts = self.facts(ending);
        if !may(&facts) {
            self.open = Some(open);
            return Err(MustCount);
        }
        let mut event = open.open_event();
        if let Some(upload) = &self.asking.upload {
            event.stream = upload.streams();
            event.request_bytes = i64::try_from(upload.bytes()).unwrap_or(i64::MAX);
        }
        let event = conclude(event, &facts, estimate);
        self.tell(&event);
        // A failure is logged and counted by the ledger; the next start closes the request.
        Ok(open.close(event).ok())
    }

    fn tell(&self, event: &UsageEvent) {
        let target = Target {
            deployment: self.route.backend.id.as_str(),
            provider: self.route.backend.provider.as_str(),
            model: &self.route.upstream_model,
            url: &self.route.backend.door,
        };
        self.gate
            .tell(event, self.asking.trace.as_deref(), &[target]);
    }

    /// A provider that never had the whole request, and did not answer it, did nothing for it: its last byte was not given on,
    /// or was given to a connection that took nothing any more, or there was no connection yet.
    fn note_upload(&mut self) {
        if self.call.status.is_some() {
            return;
        }
        let upload = self.asking.upload.as_ref();
        let is_given = upload.is_none_or(|upload| upload.is_whole());
        let is_lost = |line: &Line| line.never_was() || line.is_deaf();
        if !is_given || self.line.as_ref().is_some_and(is_lost) {
            self.call.reached = false;
        }
    }

    /// Closes the record: counts what must be counted, and waits as long as the tenant's durability asks.
    pub async fn close(mut self: Box<Self>, ending: Ending) {
        let estimate = match self.question(ending) {
            Some(question) => self.gate.estimator.clone().count(question).await,
            None => Counted::default(),
        };
        self.counted_whole = estimate.is_whole;
        let (gate, durability) = (self.gate.clone(), self.durability());
        let ticket = self.settle(ending, &estimate.units);
        if let Some(ticket) = ticket {
            gate.wait_durable(durability, &ticket).await;
        }
    }

    /// What the tenant was promised.
    pub fn durability(&self) -> Durability {
        self.open
            .as_ref()
            .map_or(Durability::Written, |open| open.admission().durability)
    }

    /// What has to be counted, if anything has.
    fn question(&self, ending: Ending) -> Option<Question> {
        let wanted = self.facts(ending).wanted();
        wanted.any().then(|| Question {
            model: self.route.priced_as.clone(),
            api: self.asking.endpoint.api(),
            request: self.asking.body.clone().filter(|_| wanted.input),
            output: wanted.output.then(|| self.tally.text()),
        })
    }
}
