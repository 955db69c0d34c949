//! `/v1/audit`: the trail, page by page.

use std::fmt::Write as _;

use axum::http::header;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::answer::Answer;
use crate::api::call::Call;
use crate::api::error::ApiError;
use crate::api::{reports, work};
use crate::audit::{BadFilter, Filter, LabelFilter, instant, query};
use crate::render;

/// A page, as the command line prints it.
pub(super) async fn page(call: &Call) -> Result<Response, ApiError> {
    let filter = filter(call)?;
    let (format, media) = reports::format(call)?;
    let service = &call.service;
    let longest = service.settings.query_timeout();
    let made = work::run(call, &service.queries, longest, async move |ledger| {
        let page = query(&ledger.client, &filter).await?;
        Ok((render::page(&page, format, None)?, page.next))
    });
    let (text, next) = made.await.map_err(|error| error.not_period("since"))?;
    let mut answer = Answer::new(media, text).untagged();
    if let Some(next) = next {
        answer = answer.with(header::LINK, link(call, &next));
    }
    answer.response()
}

fn filter(call: &Call) -> Result<Filter, ApiError> {
    let params = &call.params;
    let text = |name| params.get(name).map(str::to_owned);
    let time = |name| params.read_by(name, |text| instant(text, call.now));
    let labels = params.all("label").map(|text| {
        let label = text.parse::<LabelFilter>();
        label.map_err(|error| ApiError::bad("label", error.to_string()))
    });
    let filter = Filter {
        tenant: call.tenant()?,
        project: text("project"),
        key: text("key"),
        since: time("since")?,
        until: time("until")?,
        outcome: params.parse("outcome")?,
        request_id: text("request_id"),
        labels: labels.collect::<Result<_, _>>()?,
        limit: params.parse("limit")?.unwrap_or(Filter::default().limit),
        after: params.parse("cursor")?,
    };
    filter.check().map_err(|error| {
        let param = match error {
            BadFilter::Label(_) => "label",
            BadFilter::Limit => "limit",
            BadFilter::Empty => "since",
        };
        ApiError::bad(param, error.to_string())
    })?;
    Ok(filter)
}

/// The address of the next page: the same question with another cursor.
fn link(call: &Call, next: &str) -> String {
    let given = call.params.given().filter(|(name, _)| *name != "cursor");
    let mut address = format!("<{}?", call.path);
    for (name, value) in given.chain([("cursor", next)]) {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        // Writing to a string never fails.
        let _ = write!(address, "{name}={value}&");
    }
    format!("{}>; rel=\"next\"", address.trim_end_matches('&'))
}
