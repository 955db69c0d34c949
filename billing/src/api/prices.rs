//! `/v1/prices`: lines of the price book in force.

use axum::http::HeaderName;
use axum::response::Response;
use schemas::price::parse_instant;
use sha2::{Digest, Sha256};

use crate::api::answer::{Answer, Tag};
use crate::api::call::Call;
use crate::api::error::ApiError;
use crate::api::{reports, work};
use crate::prices::{Filter, list};
use crate::render;

const VERSION: HeaderName = HeaderName::from_static("tollgate-price-version");

/// The lines, as the command line prints them.
pub(super) async fn lines(call: &Call) -> Result<Response, ApiError> {
    let text = |name| call.params.get(name).map(str::to_owned);
    let filter = Filter {
        provider: text("provider"),
        model: text("model"),
        at: call.params.read_by("at", parse_instant)?,
    };
    let (format, media) = reports::format(call)?;
    let (service, now) = (&call.service, call.now);
    let longest = service.settings.query_timeout();
    let made = work::run(call, &service.queries, longest, async move |ledger| {
        let lines = list(&ledger.book, &filter, now);
        let text = render::prices(&lines, format, None)?;
        let tag = hex::encode(Sha256::digest(&text));
        Ok((text, tag, ledger.book.version().to_owned()))
    });
    let (text, tag, version) = made.await?;
    let answer = Answer::new(media, text).tagged(call, Tag::strong(tag));
    answer.with(VERSION, version).response()
}
