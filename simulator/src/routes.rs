//! Which path leads where. `/control`, `/truth`, `/seen` and `/replay` are the simulator's own and never shown to
//! an app; where the provider's paths lead is told in `target`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use crate::api::Dialect;
use crate::body::SimBody;
use crate::call::call;
use crate::calls::Calls;
use crate::connection::ConnectionFlags;
use crate::control::Control;
use crate::errors::Refusal;
use crate::head::{self, answer_head};
use crate::keys::Keys;
use crate::limits::Limits;
use crate::replay::{self, ReplayError, Replays};
use crate::seen::Seen;
use crate::target;
use crate::truth::TruthLog;

/// A change of settings is no larger.
const MAX_CONTROL_BYTES: usize = 1024 * 1024;
/// A recorded answer is no larger, as it is uploaded.
const MAX_REPLAY_BYTES: usize = 96 * 1024 * 1024;

/// So much is read of a body that nobody looks at.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) control: Control,
    pub(crate) truth: TruthLog,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) seen: Seen,
    pub(crate) replays: Replays,
    pub(crate) calls: Calls,
}

/// Answers one request; an error breaks the connection.
pub(crate) async fn route(
    state: Arc<State>,
    flags: Arc<ConnectionFlags>,
    request: Request<Incoming>,
) -> io::Result<Response<SimBody>> {
    let Some(target) = target::find(request.method(), request.uri()) else {
        return Ok(own(&state, request).await);
    };
    state.seen.push(
        state.control.get().seen_requests,
        request.method(),
        request.uri(),
        request.headers(),
    );
    match target {
        Ok(target) => call(&state, &flags, target, request).await,
        Err(astray) => {
            drain(request.into_body()).await;
            Ok(head::refusal(&astray.refusal, astray.dialect, None))
        }
    }
}

/// Reads a body away, for who is still sending when the connection closes does not see the answer.
async fn drain(body: Incoming) {
    let mut body = Limited::new(body, MAX_DRAINED_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
}

/// The simulator's own paths.
async fn own(state: &State, request: Request<Incoming>) -> Response<SimBody> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/control") => change_settings(state, request.into_body()).await,
        (&Method::POST, "/replay") => keep(state, request.into_body()).await,
        (&Method::DELETE, "/replay") => {
            state.replays.forget();
            own_json(&json!({"forgotten": true}))
        }
        (&Method::POST, "/truth/reset") => {
            state.truth.reset();
            own_json(&json!({"reset": true}))
        }
        (&Method::GET, _) => own_get(state, &request),
        _ => not_found(&request),
    }
}

fn own_get(state: &State, request: &Request<Incoming>) -> Response<SimBody> {
    match request.uri().path() {
        "/control" => own_json(&*state.control.get()),
        "/truth" => match since(request.uri().query()) {
            Some(seq) => own_answer(200, "application/x-ndjson", state.truth.ndjson(seq)),
            None => refuse(&Refusal::invalid(
                "since",
                "give /truth?since=SEQ with a whole number",
            )),
        },
        "/truth/summary" => own_json(&state.truth.summary()),
        "/seen" => own_json(&state.seen.all()),
        "/health" | "/readyz" => own_json(&json!({"status": "ok"})),
        _ => not_found(request),
    }
}

fn since(query: Option<&str>) -> Option<u64> {
    match query {
        None | Some("") => Some(0),
        Some(query) => query.strip_prefix("since=")?.parse().ok(),
    }
}

async fn change_settings(state: &State, body: Incoming) -> Response<SimBody> {
    let Ok(body) = Limited::new(body, MAX_CONTROL_BYTES).collect().await else {
        return refuse(&Refusal::too_large());
    };
    match state.control.patch(&body.to_bytes()) {
        Ok(settings) => own_json(&*settings),
        Err(error) => refuse(&Refusal::bad_control(&error.to_string())),
    }
}

/// Keeps a recorded answer.
async fn keep(state: &State, body: Incoming) -> Response<SimBody> {
    let Ok(body) = Limited::new(body, MAX_REPLAY_BYTES).collect().await else {
        return refuse(&Refusal::too_large());
    };
    let kept = move || -> Result<_, ReplayError> {
        let (recorded, whose) = replay::read(&body.to_bytes())?;
        let bytes = recorded.body.len();
        let id = state.replays.keep(recorded)?;
        for whose in whose {
            state.replays.queue(whose, id)?;
        }
        Ok((id, bytes))
    };
    match kept() {
        Ok((id, bytes)) => own_json(&json!({"id": id, "bytes": bytes})),
        Err(error) => refuse(&Refusal::bad_control(&error.to_string())),
    }
}

fn not_found(request: &Request<Incoming>) -> Response<SimBody> {
    refuse(&Refusal::unknown_url(
        request.method().as_str(),
        request.uri().path(),
    ))
}

fn refuse(refusal: &Refusal) -> Response<SimBody> {
    head::refusal(refusal, Dialect::OpenAi, None)
}

fn own_json(value: &impl serde::Serialize) -> Response<SimBody> {
    match serde_json::to_vec(value) {
        Ok(body) => own_answer(200, "application/json", body),
        Err(error) => own_answer(500, "text/plain", error.to_string().into_bytes()),
    }
}

fn own_answer(status: u16, content_type: &'static str, body: Vec<u8>) -> Response<SimBody> {
    let head = answer_head(status, content_type, 0, Duration::ZERO);
    Response::from_parts(head, SimBody::whole(body, None))
}
