//! Reads a request's body within its bounds: whole, or a form as far as its model is named.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::arrival::Arrival;
use crate::config::Limits;
use crate::door::{self, DoorError, FormScan};
use crate::pieces::on_its_own;
use crate::refusal::Refusal;
use crate::upload::{Bounds, Upload};

/// Refuses what its head shows to be too much. Gives the bytes that it may have.
fn refuse_early(
    arrival: &Arrival,
    headers: &HeaderMap,
    body: Option<&Body>,
) -> Result<usize, Refusal> {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(header::HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::Compressed);
    }
    let limit = arrival.snapshot.settings.max_body_bytes;
    let announced = body.map_or(0, |body| http_body::Body::size_hint(body).lower());
    if announced > limit as u64 {
        return Err(Refusal::TooLarge(limit));
    }
    Ok(limit)
}

/// A form that has been read as far as its model is named, or to its end.
#[derive(Debug)]
pub struct Form {
    came: Vec<Bytes>,
    /// What was read of it.
    pub scan: FormScan,
    bounds: Bounds,
}

/// Begins to read a form: as far as its model is named, or to its end.
pub async fn open_form(
    arrival: &mut Arrival,
    bodies: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: &mut Option<Body>,
) -> Result<Form, Refusal> {
    let limit = refuse_early(arrival, headers, body.as_ref())?;
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .ok_or(DoorError::NotAForm)?;
    let time_ms = arrival.snapshot.settings.body_timeout_ms;
    let until = arrival.started + Duration::from_millis(time_ms);
    let mut form = Form {
        came: Vec::new(),
        scan: FormScan::new(&door::boundary(content_type)?),
        bounds: Bounds {
            limit,
            time_ms,
            until,
            n: None,
        },
    };
    let reading = form.read_to_model(arrival, bodies, body);
    tokio::time::timeout_at(until, reading)
        .await
        .map_err(|_| Refusal::BodyTimeout(time_ms))??;
    Ok(form)
}

impl Form {
    async fn read_to_model(
        &mut self,
        arrival: &mut Arrival,
        bodies: &Arc<Semaphore>,
        rest: &mut Option<Body>,
    ) -> Result<(), Refusal> {
        while self.scan.model().is_none() {
            let Some(body) = rest else { break };
            let Some(frame) = body.frame().await else {
                *rest = None;
                self.scan.finish()?;
                break;
            };
            let Ok(chunk) = frame.map_err(|error| Refusal::of_body(&error))?.into_data() else {
                continue;
            };
            arrival.body_bytes += chunk.len();
            if arrival.body_bytes > self.bounds.limit {
                return Err(Refusal::TooLarge(self.bounds.limit));
            }
            take_room(arrival, bodies)?;
            self.scan.feed(&chunk)?;
            self.came.push(chunk);
        }
        // A body that has come whole is known to be a form before anybody is called.
        if rest.as_ref().is_some_and(http_body::Body::is_end_stream) {
            *rest = None;
            self.scan.finish()?;
        }
        Ok(())
    }

    /// Holds what is still to come to a route's bounds.
    pub fn hold_to(&mut self, limits: &Limits) {
        let most = limits.body_bytes.unwrap_or(usize::MAX);
        self.bounds.limit = self.bounds.limit.min(most);
        self.bounds.n = limits.n;
    }

    /// The body for the provider, of which `rest` is still to come; with `model`, where it must name one, in the place of the name it has or as a part
    /// of its own.
    pub fn into_upload(
        self,
        model: Option<&str>,
        rest: Option<Body>,
        tasks: TaskTracker,
    ) -> Upload {
        let came: u64 = self.came.iter().map(|bytes| bytes.len() as u64).sum();
        let mut first = Vec::with_capacity(self.came.len() + 2);
        match (model, self.scan.model()) {
            (Some(model), Some((named, place))) if named != model => {
                replace(self.came, place, model, &mut first);
            }
            (Some(model), None) => {
                first.push(self.scan.part("model", model));
                first.extend(self.came);
            }
            _ => first.extend(self.came),
        }
        Upload::new(first, came, rest, self.scan, self.bounds, tasks)
    }
}

/// Puts `text` in the place of some bytes that stand in `pieces`.
fn replace(pieces: Vec<Bytes>, place: std::ops::Range<u64>, text: &str, into: &mut Vec<Bytes>) {
    let mut at = 0_u64;
    let mut is_put = false;
    for piece in pieces {
        let end = at + piece.len() as u64;
        let within = |place: u64| usize::try_from(place.clamp(at, end) - at).unwrap_or(0);
        let (from, to) = (within(place.start), within(place.end));
        into.push(piece.slice(..from));
        if !is_put && place.start < end {
            into.push(Bytes::copy_from_slice(text.as_bytes()));
            is_put = true;
        }
        into.push(piece.slice(to..));
        at = end;
    }
    into.retain(|bytes| !bytes.is_empty());
}

/// Reads a JSON body whole.
pub async fn read_whole(
    arrival: &mut Arrival,
    bodies: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: &mut Option<Body>,
) -> Result<Bytes, Refusal> {
    let limit = refuse_early(arrival, headers, body.as_ref())?;
    let time_ms = arrival.snapshot.settings.body_timeout_ms;
    let until = arrival.started + Duration::from_millis(time_ms);
    let Some(coming) = body else {
        return Ok(Bytes::new());
    };
    let reading = collect(arrival, bodies, coming, limit);
    let read = tokio::time::timeout_at(until, reading).await;
    read.map_err(|_| Refusal::BodyTimeout(time_ms))?
}

/// Takes so much of all bodies' memory as the body has by now; gives it back with the request.
fn take_room(arrival: &mut Arrival, bodies: &Arc<Semaphore>) -> Result<(), Refusal> {
    let has = arrival
        .room
        .as_ref()
        .map_or(0, OwnedSemaphorePermit::num_permits);
    let needs = arrival.body_bytes.div_ceil(1 << 10).saturating_sub(has);
    if needs == 0 {
        return Ok(());
    }
    let needs = u32::try_from(needs).map_err(|_| Refusal::Busy)?;
    let more = bodies
        .clone()
        .try_acquire_many_owned(needs)
        .map_err(|_| Refusal::Busy)?;
    match &mut arrival.room {
        Some(room) => room.merge(more),
        None => arrival.room = Some(more),
    }
    Ok(())
}

async fn collect(
    arrival: &mut Arrival,
    bodies: &Arc<Semaphore>,
    body: &mut Body,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| Refusal::of_body(&error))?.into_data() else {
            continue;
        };
        arrival.body_bytes += chunk.len();
        if arrival.body_bytes > limit {
            return Err(Refusal::TooLarge(limit));
        }
        take_room(arrival, bodies)?;
        if whole.is_empty() && http_body::Body::is_end_stream(body) {
            return Ok(on_its_own(chunk));
        }
        // Copied at once: the connection reads on into the same buffer, and needs no other.
        if whole.is_empty() {
            let rest = http_body::Body::size_hint(body).lower();
            whole.reserve(chunk.len() + usize::try_from(rest).unwrap_or(0));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_wherever_it_was_cut() {
        let body = b"--x..whisper..rest";
        for cut in 0..body.len() {
            for again in cut..body.len() {
                let pieces = [&body[..cut], &body[cut..again], &body[again..]];
                let pieces = pieces.map(Bytes::copy_from_slice).to_vec();
                let mut put = Vec::new();
                replace(pieces, 5..12, "w-1", &mut put);
                assert_eq!(put.concat(), b"--x..w-1..rest", "{cut} {again}");
            }
        }
    }
}
