//! Making an answer that takes a while: on a thread of its own, for rating and compressing would hold up the others;
//! with a deadline; and no longer than somebody waits for it.

use std::sync::Arc;
use std::time::Duration;

use schemas::PriceBook;
use store::Client;
use tokio::runtime::Handle;

use crate::api::call::Call;
use crate::api::error::ApiError;
use crate::api::lanes::Lane;

/// What an answer is made from.
pub(super) struct Ledger {
    pub(super) client: Client,
    pub(super) book: Arc<PriceBook>,
}

/// Waits for a turn in a lane and works. `longest` is for the work, and no single query has more than its own bound.
pub(super) async fn run<T, W, F>(
    call: &Call,
    lane: &Lane,
    longest: Duration,
    work: W,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    W: FnOnce(Ledger) -> F + Send + 'static,
    F: Future<Output = Result<T, ApiError>>,
{
    let service = &call.service;
    let turn = lane.enter(&call.reader, &service.metrics).await?;
    let stop = service.hurry.child_token();
    // A client that goes away drops this future, and with it the work.
    let _while_waited_for = stop.clone().drop_guard();
    let ledger = Ledger {
        client: service.client.bounded(service.settings.query_timeout()),
        book: service.book.current(),
    };
    let handle = Handle::current();
    let working = service.tasks.spawn_blocking(move || {
        let _turn = turn;
        handle.block_on(async {
            tokio::select! {
                done = tokio::time::timeout(longest, work(ledger)) => {
                    done.unwrap_or_else(|_| Err(ApiError::too_slow("period")))
                }
                () = stop.cancelled() => Err(ApiError::stopping()),
            }
        })
    });
    working.await.map_err(|error| ApiError::fault(&error))?
}
