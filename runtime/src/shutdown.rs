//! Stopping in order: a first SIGTERM or SIGINT asks, a second one forces.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a stop that was forced by a second signal.
pub const FORCED_EXIT_CODE: i32 = 130;

/// Says when to stop. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    asked: CancellationToken,
}

impl Shutdown {
    /// A state that only [`Shutdown::ask`] changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Returns once it was asked for.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// The token, for those who wait on several things.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.asked.clone()
    }

    /// Waits for SIGTERM or SIGINT and asks; at a second one the process exits at once.
    ///
    /// # Errors
    /// Where the signals cannot be caught.
    pub async fn on_signals(self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                tracing::warn!("second signal: stopping at once");
                std::process::exit(FORCED_EXIT_CODE);
            }
            tracing::info!("stopping: finishing what runs; a second signal stops at once");
            self.ask();
        }
        Ok(())
    }
}
