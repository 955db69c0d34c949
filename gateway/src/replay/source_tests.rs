//! Calls that read one form at different speeds, against the bytes of the form.

use std::convert::Infallible;
use std::future::poll_fn;

use axum::body::Body;
use futures_util::stream;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::*;
use crate::door::FormScan;
use crate::upload::Bounds;

/// A form with a file of so many bytes, in pieces of at most 10,000.
fn pieces(file_bytes: usize) -> Vec<Bytes> {
    let letters = ('a'..='w').cycle();
    let file: String = letters.take(file_bytes).collect();
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n{file}\r\n--b--\r\n"
    );
    let pieces = form.as_bytes().chunks(10_000);
    pieces.map(Bytes::copy_from_slice).collect()
}

fn replay(file_bytes: usize, mib: usize) -> (Arc<Replay>, Vec<u8>, tempfile::TempDir) {
    let pieces = pieces(file_bytes);
    let whole = pieces.concat();
    let coming = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
    let bounds = Bounds {
        limit: 100 << 20,
        time_ms: 60_000,
        until: Instant::now() + std::time::Duration::from_mins(1),
        n: None,
    };
    let body = Body::from_stream(coming);
    let upload = Upload::new(
        Vec::new(),
        0,
        Some(body),
        FormScan::new("b"),
        bounds,
        TaskTracker::new(),
    );
    let dir = tempfile::tempdir().unwrap();
    let room = Room::new(dir.path().to_owned(), mib, Counter::default());
    (Replay::new(upload, room), whole, dir)
}

async fn next(pass: &mut Pass) -> Option<Result<Bytes, NotSent>> {
    poll_fn(|cx| pass.poll_next(cx)).await
}

async fn read(pass: &mut Pass) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(piece) = next(pass).await {
        read.extend_from_slice(&piece.unwrap());
    }
    read
}

#[tokio::test]
async fn each_call_sends_the_same_bytes_however_far_the_one_before_came() {
    for file_bytes in [10, 50_000, 1_000_000] {
        for pieces_before in [0, 1, 2, 3, 1_000] {
            let (replay, whole, _dir) = replay(file_bytes, 64);
            let mut first = replay.pass();
            let mut came = 0;
            for _ in 0..pieces_before {
                came += next(&mut first)
                    .await
                    .map_or(0, |piece| piece.unwrap().len());
            }
            assert!(replay.is_kept());
            let mut second = replay.pass();
            assert!(!replay.facts.is_whole(), "it is sent anew");
            let unsent = next(&mut first).await.unwrap();
            assert!(unsent.is_err(), "the first gets nothing more");
            assert!(!replay.facts.is_whole());
            assert_eq!(read(&mut second).await, whole, "{file_bytes}, after {came}");
            assert!(replay.facts.is_whole());
            assert_eq!(read(&mut replay.pass()).await, whole, "and a third time");
        }
    }
}

#[tokio::test]
async fn what_has_no_room_passes_once() {
    let (replay, whole, _dir) = replay(3 << 20, 1);
    let mut first = replay.pass();
    assert!(replay.is_kept());
    assert_eq!(read(&mut first).await, whole);
    assert!(!replay.is_kept(), "and is no failure");
    let mut second = replay.pass();
    assert!(next(&mut second).await.unwrap().is_err());
}

/// What a failed call would take until the next one begins could be the byte that has no more room.
#[tokio::test]
async fn a_call_that_failed_takes_nothing_more_before_the_next_one() {
    let (replay, whole, _dir) = replay(3 << 20, 1);
    let mut first = replay.pass();
    let begun = next(&mut first).await.unwrap().unwrap();
    assert_eq!(begun[..], whole[..begun.len()]);
    let held = replay.hold().unwrap();
    for _ in 0..1_000 {
        assert!(futures_util::poll!(std::pin::pin!(next(&mut first))).is_pending());
    }
    assert!(replay.is_kept());
    let mut second = replay.pass();
    drop(held);
    assert!(next(&mut first).await.unwrap().is_err());
    assert_eq!(read(&mut second).await, whole, "it is held no more");
    assert!(replay.hold().is_none(), "by now it had no room");
    assert!(next(&mut second).await.is_none(), "and it was not held");
}

/// As when the app leaves in the pause before the next call: nobody else would wake it.
#[tokio::test]
async fn a_held_call_after_which_none_follows_is_woken_and_told() {
    let (replay, ..) = replay(3 << 20, 1);
    let mut first = replay.pass();
    next(&mut first).await.unwrap().unwrap();
    let held = replay.hold().unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move { next(&mut first).await });
    while replay.source.lock().waiting.is_none() {
        tokio::task::yield_now().await;
    }
    drop(held);
    let told = waiting.join_next().await.unwrap().unwrap();
    assert!(told.unwrap().is_err(), "it is told that nothing follows");
    drop(waiting);
    assert_eq!(Arc::strong_count(&replay), 1, "and keeps nothing");
}

#[tokio::test]
async fn a_call_that_was_given_up_is_woken_and_told() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let coming = stream::unfold(receiver, async |mut receiver| {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(bytes), receiver))
    });
    let (replay, _, dir) = replay(10, 1);
    let upload = Upload::new(
        Vec::new(),
        0,
        Some(Body::from_stream(coming)),
        FormScan::new("b"),
        Bounds {
            limit: 1 << 20,
            time_ms: 60_000,
            until: Instant::now() + std::time::Duration::from_mins(1),
            n: None,
        },
        TaskTracker::new(),
    );
    drop(replay);
    let replay = Replay::new(
        upload,
        Room::new(dir.path().to_owned(), 1, Counter::default()),
    );
    let mut first = replay.pass();
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move { next(&mut first).await });
    // It waits for the app, which sends nothing.
    while replay.source.lock().waiting.is_none() {
        tokio::task::yield_now().await;
    }
    let mut second = replay.pass();
    let waited = waiting.join_next().await.unwrap();
    assert!(waited.unwrap().unwrap().is_err());
    sender.send(Bytes::from_static(b"--b\r\n")).await.unwrap();
    assert_eq!(&next(&mut second).await.unwrap().unwrap()[..], b"--b\r\n");
}
