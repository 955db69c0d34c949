//! Taking a request's body in, never more than its cap: into memory for SQL, into an anonymous file for rows.
//! Rows never stand behind the SQL: the engine's parser cut binary data at a blank line there and kept quiet.

use super::refusal::Refusal;
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// Rows in an anonymous file in memory.
pub(super) struct RowsFile(File);

impl RowsFile {
    pub(super) fn new() -> Result<Self, Refusal> {
        let descriptor =
            memfd_create("rows", MemfdFlags::CLOEXEC).map_err(|errno| no_memory(&errno))?;
        Ok(Self(File::from(descriptor)))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.0.write_all(bytes).map_err(|error| no_memory(&error))
    }

    /// The path by which this process, and no other, reads the rows.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.metadata().is_ok_and(|metadata| metadata.len() == 0)
    }
}

fn no_memory(error: &dyn std::fmt::Display) -> Refusal {
    let text = format!("no room for the request's rows: {error}");
    Refusal::new(
        hyper::StatusCode::SERVICE_UNAVAILABLE,
        173,
        "CANNOT_ALLOCATE_MEMORY",
        &text,
    )
}

/// How long a client may take to send a whole body.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// What is read of a body beyond its cap, and dropped: a client that is still writing when its connection is closed may never
/// see why it was refused.
const DROPPED_BYTES: u64 = 8 << 20;

async fn in_time<T>(reading: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let late = |_| Refusal::bad_arguments("the request's body did not come in time");
    tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .map_err(late)?
}

/// The next piece of a body that has `left` bytes of its cap left.
async fn next_piece(
    body: &mut Incoming,
    left: &mut u64,
    cap: u64,
) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad_arguments("the request's body ended early"))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let length = piece.remaining() as u64;
        let Some(rest) = left.checked_sub(length) else {
            return Err(refuse(body, length - *left, cap).await);
        };
        *left = rest;
        return Ok(Some(piece));
    }
    Ok(None)
}

/// Too large by `over` bytes so far: reads the rest, if it is little, and says so.
async fn refuse(body: &mut Incoming, mut over: u64, cap: u64) -> Refusal {
    while over <= DROPPED_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => over += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) | None => break,
        }
    }
    Refusal::too_large(cap)
}

/// A body that says it is much too large is refused unread.
fn check_announced(body: &Incoming, cap: u64) -> Result<(), Refusal> {
    if body.size_hint().lower() > cap + DROPPED_BYTES {
        Err(Refusal::too_large(cap))
    } else {
        Ok(())
    }
}

/// The whole body in memory.
pub(super) async fn read_text(mut body: Incoming, cap: u64) -> Result<Vec<u8>, Refusal> {
    check_announced(&body, cap)?;
    in_time(async {
        let (mut left, mut text) = (cap, Vec::new());
        while let Some(piece) = next_piece(&mut body, &mut left, cap).await? {
            text.extend_from_slice(&piece);
        }
        Ok(text)
    })
    .await
}

/// The whole body behind what the file already holds.
pub(super) async fn read_rows(
    mut body: Incoming,
    cap: u64,
    rows: &mut RowsFile,
) -> Result<(), Refusal> {
    check_announced(&body, cap)?;
    in_time(async {
        let mut left = cap;
        while let Some(piece) = next_piece(&mut body, &mut left, cap).await? {
            rows.write(&piece)?;
        }
        Ok(())
    })
    .await
}
