//! `POST /v1/chat/completions`: from the received request to the head of its answer.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::answer::{self, Answer, Plan};
use crate::body::{Script, SimBody};
use crate::connection::ConnectionFlags;
use crate::errors::Refusal;
use crate::fate::{self, Fate, Head};
use crate::keys::KeyDigest;
use crate::limits::Throttled;
use crate::models::{self, Model};
use crate::plain::Plain;
use crate::request::{self, ChatRequest};
use crate::routes::{State, add_retry_after, answer_head, html, refusal};
use crate::settings::{Count, Settings, WriteMode};
use crate::stream::Stream;
use crate::tokens::{count_bytes, count_prompt};
use crate::truth::{AnswerGuard, End, Received, now_us};

/// No request body is larger.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Larger prompts are counted off the reactor.
const MAX_INLINE_COUNT_BYTES: usize = 16 * 1024;

/// One chat request, received whole.
struct Call<'a> {
    state: &'a State,
    flags: &'a Arc<ConnectionFlags>,
    settings: Arc<Settings>,
    body: Bytes,
    verdict: Result<(), Refusal>,
    received_us: i64,
    started: Instant,
}

/// Answers a chat request, or breaks the connection with an error.
pub(crate) async fn chat(
    state: &State,
    flags: &Arc<ConnectionFlags>,
    request: Request<Incoming>,
) -> io::Result<Response<SimBody>> {
    let (started, received_us) = (Instant::now(), now_us());
    let settings = state.control.get();
    let (parts, body) = request.into_parts();
    let (key, verdict) = state.keys.check(&parts.headers);
    let nonce = header_nonce(&parts.headers);
    let mut upload = Upload::new(
        state,
        settings.truth_keep,
        Received {
            nonce,
            key,
            model: None,
            stream: false,
            at_us: received_us,
        },
    );
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(refusal(&Refusal::too_large(), Some(upload.done(None))));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let call = Call {
        state,
        flags,
        settings,
        body,
        verdict,
        received_us,
        started,
    };
    match request::parse(&call.body) {
        Err(bad) => Ok(refusal(&bad, Some(upload.done(None)))),
        Ok((request, messages)) => {
            let guard = upload.done(Some(&request));
            call.answer(&request, messages.get(), guard).await
        }
    }
}

impl Call<'_> {
    async fn answer(
        &self,
        request: &ChatRequest,
        messages: &str,
        mut guard: AnswerGuard,
    ) -> io::Result<Response<SimBody>> {
        if let Err(bad) = &self.verdict {
            return Ok(refusal(bad, Some(guard)));
        }
        let Some(model) = models::find(&self.settings, &request.model) else {
            return Ok(refusal(
                &Refusal::unknown_model(&request.model),
                Some(guard),
            ));
        };
        let fate = self.fate(request, &guard);
        self.flags.bound_writes(fate.shape.write_bytes);
        let prompt_tokens = match self.prompt_tokens(&model, messages).await {
            Ok(tokens) => tokens,
            Err(bad) => return Ok(refusal(&bad, Some(guard))),
        };
        wait(fate.head_delay_ms).await;
        guard.set_stalled(fate.head_stall_ms > 0);
        wait(fate.head_stall_ms).await;
        guard.set_stalled(false);
        let plan = Plan {
            settings: &self.settings,
            request,
            fate: &fate,
            model: &model,
            prompt_tokens,
            request_seq: guard.request_seq(),
            received_us: self.received_us,
        };
        match fate.head {
            Head::Serve => Ok(self.serve(&plan, guard)),
            Head::Status(status) => Ok(provider_error(&fate, status, request, guard)),
            Head::Html502 => Ok(html(502, crate::errors::HTML_502, guard)),
            Head::Html200 => Ok(html(200, crate::errors::HTML_200, guard)),
            Head::Reset => {
                guard.finish(End::Reset);
                self.flags.order_reset();
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    /// A request without a nonce is told apart by its place in the truth.
    fn fate(&self, request: &ChatRequest, guard: &AnswerGuard) -> Fate {
        let mut fate = match guard.nonce() {
            Some(nonce) => fate::decide(&self.settings, nonce),
            None => fate::decide(&self.settings, &format!("seq:{}", guard.request_seq())),
        };
        request.directive.apply(&mut fate);
        fate
    }

    async fn prompt_tokens(&self, model: &Model, messages: &str) -> Result<u64, Refusal> {
        if self.settings.count == Count::Bytes {
            return Ok(count_bytes(self.body.len()));
        }
        let (encoding, rule) = (model.encoding, model.prompt_count);
        if messages.len() <= MAX_INLINE_COUNT_BYTES {
            return Ok(count_prompt(
                encoding,
                rule,
                &request::parse_messages(messages)?,
            ));
        }
        let messages = messages.to_owned();
        let counting = move || {
            Ok(count_prompt(
                encoding,
                rule,
                &request::parse_messages(&messages)?,
            ))
        };
        tokio::task::spawn_blocking(counting)
            .await
            .unwrap_or_else(|_| Err(Refusal::provider(500, "")))
    }

    fn serve(&self, plan: &Plan<'_>, mut guard: AnswerGuard) -> Response<SimBody> {
        let asked_tokens = plan.prompt_tokens + answer::length(plan).0 * plan.request.choices;
        let standing = match self
            .state
            .limits
            .admit(&self.settings, guard.key(), asked_tokens)
        {
            Ok(standing) => standing,
            Err(throttled) => return throttle(&plan.request.model, throttled, guard),
        };
        let answer = Answer::plan(plan);
        guard.set_status(200);
        guard.set_usage(answer.usage);
        let shape = &plan.fate.shape;
        let streams = plan.request.stream && !shape.json_for_stream;
        let content_type = if streams {
            "text/event-stream; charset=utf-8"
        } else {
            "application/json"
        };
        let script = if streams {
            Script::Stream(Box::new(Stream::new(answer, plan.fate)))
        } else {
            Script::Plain(Plain::new(&answer, plan.fate))
        };
        let mut head = answer_head(200, content_type, plan.request_seq, self.started.elapsed());
        standing.write(&mut head.headers);
        let coalesce = shape.write == WriteMode::Coalesced;
        let body = SimBody::scripted(script, guard, Arc::clone(self.flags), coalesce);
        Response::from_parts(head, body)
    }
}

/// A request while it is sent: one that breaks off is in the truth too.
struct Upload<'a> {
    state: &'a State,
    keep: usize,
    received: Option<Received>,
}

impl<'a> Upload<'a> {
    fn new(state: &'a State, keep: usize, received: Received) -> Self {
        Self {
            state,
            keep,
            received: Some(received),
        }
    }

    /// The request has come whole: writes its line.
    fn done(&mut self, request: Option<&ChatRequest>) -> AnswerGuard {
        let mut received = self
            .received
            .take()
            .unwrap_or_else(|| Received::nothing(now_us()));
        if let Some(request) = request {
            received.nonce = request.nonce.as_deref().map(Arc::from).or(received.nonce);
            received.model = Some(Arc::from(request.model.as_str()));
            received.stream = request.stream;
        }
        AnswerGuard::receive(&self.state.truth, self.keep, received)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(received) = self.received.take() {
            drop(AnswerGuard::receive(&self.state.truth, self.keep, received));
        }
    }
}

fn header_nonce(headers: &HeaderMap) -> Option<Arc<str>> {
    headers
        .get("x-client-request-id")
        .and_then(|value| value.to_str().ok())
        .map(Arc::from)
}

fn provider_error(
    fate: &Fate,
    status: u16,
    request: &ChatRequest,
    guard: AnswerGuard,
) -> Response<SimBody> {
    let mut response = refusal(&Refusal::provider(status, &request.model), Some(guard));
    if matches!(status, 429 | 503) {
        add_retry_after(response.headers_mut(), fate.retry_after_ms);
    }
    response
}

fn throttle(model: &str, throttled: Throttled, guard: AnswerGuard) -> Response<SimBody> {
    let mut response = refusal(&Refusal::throttled(model, throttled), Some(guard));
    add_retry_after(response.headers_mut(), throttled.wait_ms);
    response
}

async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Received {
    fn nothing(received_us: i64) -> Self {
        Self {
            nonce: None,
            key: None::<KeyDigest>,
            model: None,
            stream: false,
            at_us: received_us,
        }
    }
}
