//! The queue of spans and the thread that sends them. Whoever offers a span never waits: a full queue drops it, and a
//! collector that is away or slow costs spans, counted, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::counts::{Counts, Fate};
use super::message::Span;
use super::post::{Answer, Post};
use super::settings::Target;

/// Calls for one batch before it is given up.
const TRIES: u32 = 4;
/// The pause before the second call; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Takes spans. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Span>,
    counts: Arc<Counts>,
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No TLS.
    #[error("cannot set up TLS for the collector: {0}; does this system have root certificates?")]
    Tls(String),
    /// No thread.
    #[error("cannot start the thread that sends spans: {0}")]
    Thread(#[from] std::io::Error),
}

/// The sending thread. Dropped without a stop it ends at once, with what waits.
#[derive(Debug)]
pub struct Worker {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
    stop_timeout: Duration,
}

impl Exporter {
    /// Starts the thread. `scope` is the name and version of the code that makes the spans.
    pub fn start(target: Target, scope: (&str, &str)) -> Result<(Self, Worker), StartError> {
        let (sender, queue) = mpsc::channel(target.queue_spans);
        let counts = Arc::new(Counts::default());
        let (stop, (end, ended)) = (CancellationToken::new(), oneshot::channel());
        let worker = Worker {
            stop: stop.clone(),
            ended,
            stop_timeout: target.stop_timeout,
        };
        let sending = Sending {
            queue,
            batch_spans: target.batch_spans,
            interval: target.interval,
            counts: counts.clone(),
            stop,
            failing: false,
            post: Post::new(target, scope).map_err(StartError::Tls)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("tg-otlp".to_owned())
            .spawn(move || {
                runtime.block_on(sending.run());
                // Nobody may be waiting any more.
                let _sent = end.send(());
            })?;
        let exporter = Self {
            queue: sender,
            counts,
        };
        Ok((exporter, worker))
    }

    /// Takes a span, or drops and counts it.
    pub fn offer(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.add(Fate::QueueFull, 1);
        }
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

impl Worker {
    /// Sends what waits, within the bound.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(self.stop_timeout, &mut self.ended)
            .await
            .is_err()
        {
            tracing::warn!("the collector did not take the last spans in time: they are lost");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The thread's side.
struct Sending {
    queue: mpsc::Receiver<Span>,
    batch_spans: usize,
    interval: Duration,
    counts: Arc<Counts>,
    stop: CancellationToken,
    /// Whether the last batch was lost: each change is logged once.
    failing: bool,
    post: Post,
}

impl Sending {
    async fn run(mut self) {
        loop {
            let batch = self.next_batch().await;
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    /// As many as there are within the interval from the first one on, at most a batch. Empty at the end.
    async fn next_batch(&mut self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut timer = std::pin::pin!(sleep(self.interval));
        while batch.len() < self.batch_spans {
            tokio::select! {
                biased;
                span = self.queue.recv() => {
                    let Some(span) = span else { break };
                    if batch.is_empty() {
                        timer.as_mut().reset(tokio::time::Instant::now() + self.interval);
                    }
                    batch.push(span);
                }
                () = self.stop.cancelled() => break,
                () = &mut timer, if !batch.is_empty() => break,
            }
        }
        batch
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let spans = batch.len();
        let bytes = self.post.encode(batch);
        let answer = self.try_to_send(bytes).await;
        let lost = match answer {
            Answer::Taken { rejected } => rejected.min(spans),
            Answer::Refused | Answer::Later => spans,
        };
        let fate = if answer == Answer::Later {
            Fate::Unreachable
        } else {
            Fate::Rejected
        };
        self.counts.add(fate, lost);
        self.counts.add(Fate::Exported, spans - lost);
        self.tell(lost, fate);
    }

    fn tell(&mut self, lost: usize, fate: Fate) {
        let fails = lost > 0;
        if fails && !self.failing {
            tracing::warn!(
                spans = lost,
                why = fate.as_str(),
                "spans are lost: see tollgate_trace_spans_total"
            );
        }
        if !fails && self.failing {
            tracing::info!("the collector takes spans again");
        }
        self.failing = fails;
    }

    /// Calls until the answer is final, a few times at most; once only where a stop was asked.
    async fn try_to_send(&self, batch: Bytes) -> Answer {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            let answer = self.post.send(batch.clone()).await;
            if answer != Answer::Later || self.stop.is_cancelled() {
                return answer;
            }
            self.stop.run_until_cancelled(sleep(pause)).await;
            pause *= 2;
        }
        self.post.send(batch).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Settings;

    #[tokio::test]
    async fn every_span_has_one_fate_when_the_collector_is_away() {
        let settings = Settings {
            // Nobody listens on the port of discard.
            otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
            queue_spans: 2,
            ..Settings::default()
        };
        let target = settings.target(&[]).unwrap().unwrap();
        let (exporter, worker) = Exporter::start(target, ("test", "1")).unwrap();
        let counts = exporter.counts();
        for _ in 0..100 {
            exporter.offer(Span::default());
        }
        worker.stop().await;
        exporter.offer(Span::default());
        assert_eq!(counts.get(Fate::Exported), 0);
        assert!(counts.get(Fate::QueueFull) > 0, "{counts:?}");
        let fates: u64 = Fate::ALL.iter().map(|fate| counts.get(*fate)).sum();
        assert_eq!(fates, 101);
    }
}
