//! Sending a file that is whole: a piece at a time, so that a slow client holds a file and not memory. It comes to its
//! end, or the connection breaks off before the length that was announced: a part never looks like the whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::api::metrics::Metrics;

/// What is in memory of a download.
const PIECE_BYTES: u64 = 128 << 10;

/// The body of an answer.
pub(super) struct Download {
    file: Arc<File>,
    at: u64,
    length: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    deadline: Pin<Box<Sleep>>,
    metrics: Metrics,
    _place: OwnedSemaphorePermit,
}

impl Download {
    pub(super) fn new(
        file: File,
        length: u64,
        longest: Duration,
        place: OwnedSemaphorePermit,
        metrics: Metrics,
    ) -> Self {
        metrics.downloads.inc();
        Self {
            file: Arc::new(file),
            at: 0,
            length,
            reading: None,
            deadline: Box::pin(tokio::time::sleep(longest)),
            metrics,
            _place: place,
        }
    }

    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (self.file.clone(), self.at);
        let wanted = PIECE_BYTES.min(self.length - self.at);
        tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
            // Fails where the file is shorter than it was.
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.into())
        })
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.is_end_stream() {
            return Poll::Ready(None);
        }
        if this.deadline.as_mut().poll(context).is_ready() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the download took too long");
            return Poll::Ready(Some(Err(error)));
        }
        if this.reading.is_none() {
            this.reading = Some(this.read());
        }
        let Some(reading) = this.reading.as_mut() else {
            return Poll::Pending;
        };
        let piece = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let piece = piece.map_err(io::Error::other).and_then(|piece| piece);
        Poll::Ready(Some(piece.map(|piece| {
            this.at += piece.len() as u64;
            this.metrics.downloaded_bytes.inc_by(piece.len() as u64);
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.at)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.metrics.downloads.dec();
        if self.at != self.length {
            self.metrics.broken_downloads.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use tokio::sync::Semaphore;

    const LONG: Duration = Duration::from_mins(10);

    /// What comes of a file of so many bytes that was announced to have `length`, and whether its place is free again.
    async fn sent(
        bytes: usize,
        length: u64,
        longest: Duration,
    ) -> (Result<usize, String>, Metrics) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; bytes]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (places, metrics) = (Arc::new(Semaphore::new(1)), Metrics::default());
        let place = places.clone().try_acquire_owned().unwrap();
        let mut download = Download::new(file, length, longest, place, metrics.clone());
        assert_eq!(metrics.downloads.get(), 1);
        if longest.is_zero() {
            // A timer ends with a tick of its own, which a short file can outrun.
            download.deadline.as_mut().await;
        }
        let body = to_bytes(axum::body::Body::new(download), usize::MAX).await;
        assert_eq!(
            (places.available_permits(), metrics.downloads.get()),
            (1, 0)
        );
        let body = body.map_err(|error| format!("{error:?}"));
        (body.map(|body| body.len()), metrics)
    }

    #[tokio::test]
    async fn a_file_without_a_name_comes_whole() {
        for bytes in [0, 1, 128 << 10, (128 << 10) + 1, 1 << 20] {
            let (body, metrics) = sent(bytes, bytes as u64, LONG).await;
            assert_eq!(body, Ok(bytes));
            assert_eq!(metrics.downloaded_bytes.get(), bytes as u64);
            assert_eq!(metrics.broken_downloads.get(), 0);
        }
    }

    #[tokio::test]
    async fn a_part_never_looks_like_the_whole() {
        let shorter = sent(1 << 20, (1 << 20) + 1, LONG).await;
        let too_late = sent(1 << 20, 1 << 20, Duration::ZERO).await;
        for (body, metrics) in [shorter, too_late] {
            body.unwrap_err();
            assert_eq!(metrics.broken_downloads.get(), 1);
        }
    }
}
