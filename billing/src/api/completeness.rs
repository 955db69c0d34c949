//! `/v1/completeness`: whether a period is whole. It counts everybody's records, so it is for readers of everybody.

use std::time::Duration;

use axum::response::Response;

use crate::api::answer::Answer;
use crate::api::call::Call;
use crate::api::error::ApiError;
use crate::api::{reports, work};
use crate::audit::instant;
use crate::completeness::{AsOf, Request, check};
use crate::render;

/// Both verdicts and what they stand on, as the command line prints them.
pub(super) async fn verdicts(call: &Call) -> Result<Response, ApiError> {
    if !call.reader.sees_all() {
        return Err(ApiError::only_all());
    }
    let as_of = call
        .params
        .read_by("as_of", |text| instant(text, call.now))?;
    let request = Request {
        period: call.period()?,
        producer: call.params.get("producer").map(str::to_owned),
        as_of: AsOf::At(as_of.unwrap_or(call.now).0),
    };
    let (format, media) = reports::format(call)?;
    let service = &call.service;
    // It reads every byte of the period, as an export of the trail does.
    let longest = Duration::from_millis(service.settings.export_timeout_ms);
    let text = work::run(call, &service.exports, longest, async move |ledger| {
        let report = check(&ledger.client, &request).await?;
        Ok(render::completeness(&report, format, None)?)
    });
    Answer::new(media, text.await?).untagged().response()
}
