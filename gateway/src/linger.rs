//! Takes what an app still sends after it was refused: closing its connection at once would lose the answer on the way,
//! and the app would see a broken connection, not the reason.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio_util::task::TaskTracker;

/// More than this is not taken.
const MAX_BYTES: usize = 32 << 20;
/// Longer than this is not waited, in all and for the next piece.
const MAX_TIME: Duration = Duration::from_secs(30);
const MAX_GAP: Duration = Duration::from_secs(5);

/// Reads a body away, within bounds, beside the answer.
pub fn read_away(tasks: &TaskTracker, body: Option<Body>) {
    let Some(body) = body.filter(|body| !http_body::Body::is_end_stream(body)) else {
        return;
    };
    tasks.spawn(async move {
        // Whatever ends it, nobody waits for the outcome.
        drop(tokio::time::timeout(MAX_TIME, discard(body)).await);
    });
}

async fn discard(mut body: Body) {
    let mut left = MAX_BYTES;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(MAX_GAP, body.frame()).await {
        let bytes = frame.into_data().map_or(0, |data| data.len());
        let Some(less) = left.checked_sub(bytes) else {
            return;
        };
        left = less;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn a_body_is_read_away_within_bounds() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
            let bytes = receiver.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), receiver))
        });
        read_away(&TaskTracker::new(), Some(Body::from_stream(stream)));
        let piece = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..32 {
            sender.send(piece.clone()).await.unwrap();
        }
        // Two wait in the channel and in hand; then the reader has gone.
        while sender.send(piece.clone()).await.is_ok() {}
    }
}
