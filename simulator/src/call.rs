//! The way of one call: received, understood, fated, and answered with a head. What the APIs say to each other is
//! told in `apis`, how a body is sent in `body`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::apis::{self, Plan, Request};
use crate::body::SimBody;
use crate::carrier;
use crate::connection::ConnectionFlags;
use crate::errors::Refusal;
use crate::fate::{self, Fate, Filter, Framing, Head};
use crate::head::{self, add_retry_after, answer_head, html};
use crate::limits::Throttled;
use crate::models::{self, Model};
use crate::prompt::{Counted, Prompt};
use crate::routes::State;
use crate::settings::{Count, Settings, WriteMode};
use crate::target::Target;
use crate::tokens::count_bytes;
use crate::truth::{AnswerGuard, End, Received, now_us};
use crate::upload::Upload;

/// No request body is larger.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Larger prompts are counted off the reactor.
const MAX_INLINE_COUNT_BYTES: usize = 16 * 1024;

/// One call, received whole.
struct Call<'a> {
    state: &'a State,
    flags: &'a Arc<ConnectionFlags>,
    settings: Arc<Settings>,
    target: Target,
    body: Bytes,
    verdict: Result<(), Refusal>,
    received_us: i64,
    started: Instant,
}

/// Answers a call, or breaks the connection with an error.
pub(crate) async fn call(
    state: &State,
    flags: &Arc<ConnectionFlags>,
    target: Target,
    request: HttpRequest<Incoming>,
) -> io::Result<Response<SimBody>> {
    let (started, received_us) = (Instant::now(), now_us());
    let settings = state.control.get();
    let (parts, body) = request.into_parts();
    let (key, verdict) = state.keys.check(&parts.headers);
    let received = Received {
        nonce: carrier::header_nonce(&parts.headers),
        api: target.api,
        dialect: target.dialect,
        key,
        model: None,
        stream: false,
        at_us: received_us,
    };
    let upload = Upload::new(&state.truth, settings.truth_keep, received);
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let guard = upload.done(None);
            return Ok(head::refusal(
                &Refusal::too_large(),
                target.dialect,
                Some(guard),
            ));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let call = Call {
        state,
        flags,
        settings,
        target,
        body,
        verdict,
        received_us,
        started,
    };
    match apis::read(&call.target, &parts.headers, &call.body) {
        Err(bad) => Ok(call.refuse(&bad, upload.done(None))),
        Ok(request) => call.answer(&request, upload.done(Some(&request))).await,
    }
}

impl Call<'_> {
    async fn answer(
        &self,
        request: &Request,
        mut guard: AnswerGuard,
    ) -> io::Result<Response<SimBody>> {
        if let Err(bad) = &self.verdict {
            return Ok(self.refuse(bad, guard));
        }
        let fate = self.fate(request, &guard);
        self.flags.bound_writes(fate.shape.write_bytes);
        let counted = match self.understand(request, &fate).await {
            Ok(counted) => counted,
            Err(bad) => return Ok(self.refuse(&bad, guard)),
        };
        wait(fate.head_delay_ms).await;
        guard.set_stalled(fate.head_stall_ms > 0);
        wait(fate.head_stall_ms).await;
        guard.set_stalled(false);
        let name = request.model.as_deref().unwrap_or("");
        match fate.head {
            Head::Serve if fate.content.filter == Some(Filter::Prompt) => {
                Ok(self.refuse(&Refusal::filtered(), guard))
            }
            Head::Serve => Ok(match counted {
                Some((model, counted)) => self.serve(request, &fate, &model, counted, guard),
                None => self.replay(&fate, guard),
            }),
            Head::Status(status) => Ok(self.provider_error(&fate, status, name, guard)),
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
    fn fate(&self, request: &Request, guard: &AnswerGuard) -> Fate {
        let mut fate = match guard.nonce() {
            Some(nonce) => fate::decide(&self.settings, nonce),
            None => fate::decide(&self.settings, &format!("seq:{}", guard.request_seq())),
        };
        let directive = &request.orders.directive;
        directive.apply(&mut fate);
        if directive.orders_first_calls() {
            let made = self.state.calls.count(guard.nonce().unwrap_or(""));
            directive.apply_to_call(made, &mut fate);
        }
        if fate.replay.is_none() {
            let key = guard.key().map(AsRef::as_ref);
            fate.replay = self.state.replays.next_for(guard.nonce(), key);
        }
        fate
    }

    /// The model, and the count of the prompt; neither where a recorded answer is played.
    async fn understand(
        &self,
        request: &Request,
        fate: &Fate,
    ) -> Result<Option<(Model, Counted)>, Refusal> {
        if fate.replay.is_some() {
            return Ok(None);
        }
        let name = request.model.as_deref();
        let model = match name {
            Some(name) => {
                models::find(&self.settings, name).ok_or_else(|| Refusal::unknown_model(name))?
            }
            None => Model::none(),
        };
        let counted = self.count(&model, &request.prompt).await?;
        Ok(Some((model, counted)))
    }

    async fn count(&self, model: &Model, prompt: &Prompt) -> Result<Counted, Refusal> {
        if self.settings.count == Count::Bytes {
            return prompt.count_cheaply(count_bytes(self.body.len()));
        }
        let (encoding, rule) = (model.encoding, model.prompt_count);
        if prompt.len_bytes() <= MAX_INLINE_COUNT_BYTES {
            return prompt.count(encoding, rule);
        }
        let prompt = prompt.clone();
        tokio::task::spawn_blocking(move || prompt.count(encoding, rule))
            .await
            .unwrap_or_else(|_| Err(Refusal::provider(500, "")))
    }

    fn serve(
        &self,
        request: &Request,
        fate: &Fate,
        model: &Model,
        counted: Counted,
        mut guard: AnswerGuard,
    ) -> Response<SimBody> {
        let plan = Plan {
            settings: &self.settings,
            fate,
            model,
            dialect: self.target.dialect,
            counted,
            streams: request.stream && !fate.shape.json_for_stream,
            request_seq: guard.request_seq(),
            received_us: self.received_us,
        };
        let made = apis::make(&plan, &request.ask);
        let tokens = made.usage.prompt + made.usage.completion;
        let standing = match self.state.limits.admit(&self.settings, guard.key(), tokens) {
            Ok(standing) => standing,
            Err(throttled) => {
                return self.throttle(request.model.as_deref().unwrap_or(""), throttled, guard);
            }
        };
        guard.set_status(200);
        guard.set_usage(made.usage, made.lines);
        let took = self.started.elapsed();
        let mut head = answer_head(200, made.content_type, plan.request_seq, took);
        head::add_dialect(&mut head.headers, self.target.dialect, plan.request_seq);
        standing.write(&mut head.headers);
        let coalesce = fate.shape.write == WriteMode::Coalesced;
        let body = SimBody::scripted(made.script, guard, Arc::clone(self.flags), coalesce);
        framed(Response::from_parts(head, body), fate.shape.framing)
    }

    fn replay(&self, fate: &Fate, mut guard: AnswerGuard) -> Response<SimBody> {
        let id = fate.replay.unwrap_or(0);
        let Some(recorded) = self.state.replays.find(id) else {
            return self.refuse(&Refusal::no_replay(id), guard);
        };
        guard.set_status(recorded.status);
        guard.set_replay(id);
        let framing = fate.shape.framing.unwrap_or(recorded.framing);
        let head = head::of_record(&recorded);
        let body = SimBody::replay(recorded, fate.cut, guard, Arc::clone(self.flags));
        framed(Response::from_parts(head, body), Some(framing))
    }

    fn refuse(&self, bad: &Refusal, guard: AnswerGuard) -> Response<SimBody> {
        head::refusal(bad, self.target.dialect, Some(guard))
    }

    fn provider_error(
        &self,
        fate: &Fate,
        status: u16,
        model: &str,
        guard: AnswerGuard,
    ) -> Response<SimBody> {
        let mut response = self.refuse(&Refusal::provider(status, model), guard);
        if matches!(status, 429 | 503) {
            add_retry_after(response.headers_mut(), fate.retry_after_ms);
        }
        response
    }

    fn throttle(&self, model: &str, throttled: Throttled, guard: AnswerGuard) -> Response<SimBody> {
        let mut response = self.refuse(&Refusal::throttled(model, throttled), guard);
        add_retry_after(response.headers_mut(), throttled.wait_ms);
        response
    }
}

/// Tells the end of the body as ordered: without a length it is in chunks, and in HTTP/1.0 there are none.
fn framed(response: Response<SimBody>, framing: Option<Framing>) -> Response<SimBody> {
    let (mut head, mut body) = response.into_parts();
    if matches!(framing, Some(Framing::Chunked | Framing::Close)) {
        body = body.without_length();
    }
    if framing == Some(Framing::Close) {
        head.version = http::Version::HTTP_10;
    }
    Response::from_parts(head, body)
}

async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
