//! A request while it is sent: one that breaks off is in the truth too.

use std::sync::Arc;

use crate::apis::Request;
use crate::truth::{AnswerGuard, Received, TruthLog};

/// Owns the request's line until it is known what was asked.
pub(crate) struct Upload<'a> {
    truth: &'a TruthLog,
    keep: usize,
    received: Option<Received>,
}

impl<'a> Upload<'a> {
    pub(crate) fn new(truth: &'a TruthLog, keep: usize, received: Received) -> Self {
        Self {
            truth,
            keep,
            received: Some(received),
        }
    }

    /// The request has come whole: writes its line.
    pub(crate) fn done(mut self, request: Option<&Request>) -> AnswerGuard {
        let received = self.received.take();
        let mut received = received.expect("taken only here and in the drop");
        if let Some(request) = request {
            received.nonce = request
                .orders
                .nonce
                .as_deref()
                .map(Arc::from)
                .or(received.nonce);
            received.model = request.model.as_deref().map(Arc::from);
            received.stream = request.stream;
        }
        AnswerGuard::receive(self.truth, self.keep, received)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(received) = self.received.take() {
            drop(AnswerGuard::receive(self.truth, self.keep, received));
        }
    }
}
