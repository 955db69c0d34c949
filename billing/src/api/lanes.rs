//! Taking turns: so many at once, so many waiting, and a share of that for each reader. Everybody else is told to come
//! back; nothing grows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::ApiError;
use crate::api::metrics::Metrics;
use crate::api::readers::Reader;
use crate::api::settings::Settings;

/// Work of one kind.
#[derive(Debug)]
pub(super) struct Lane {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    patience: Duration,
}

/// A turn; dropping it ends it.
#[derive(Debug)]
pub(super) struct Turn {
    _running: OwnedSemaphorePermit,
    _of_reader: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.metrics.running.dec();
    }
}

impl Lane {
    pub(super) fn new(at_once: usize, settings: &Settings) -> Self {
        Self {
            running: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: Arc::new(Semaphore::new(settings.waiting)),
            patience: Duration::from_millis(settings.wait_ms),
        }
    }

    /// Waits for a turn, within the bounds.
    pub(super) async fn enter(&self, reader: &Reader, metrics: &Metrics) -> Result<Turn, ApiError> {
        let of_reader = reader.places.clone().try_acquire_owned().map_err(|_| {
            ApiError::busy("this reader has as many requests running or waiting as it may: wait for one of them")
        })?;
        let running = match self.running.clone().try_acquire_owned() {
            Ok(running) => running,
            Err(_) => self.wait(metrics).await?,
        };
        metrics.running.inc();
        Ok(Turn {
            _running: running,
            _of_reader: of_reader,
            metrics: metrics.clone(),
        })
    }

    async fn wait(&self, metrics: &Metrics) -> Result<OwnedSemaphorePermit, ApiError> {
        let seat = self.waiting.clone().try_acquire_owned();
        let _seat = seat.map_err(|_| ApiError::busy("too many requests wait already"))?;
        let _counted = Counted::new(metrics);
        let turn = tokio::time::timeout(self.patience, self.running.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| ApiError::busy("others took too long"))?;
        turn.map_err(|_| ApiError::stopping())
    }
}

/// Shown as waiting for as long as it is there, however the waiting ends.
struct Counted(Metrics);

impl Counted {
    fn new(metrics: &Metrics) -> Self {
        metrics.waiting.inc();
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.waiting.dec();
    }
}
