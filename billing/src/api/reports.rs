//! `/v1/chargeback` and `/v1/coverage`: the report, whole, or how well it was measured.

use axum::response::Response;
use serde::Serialize;

use crate::api::answer::{Answer, Tag};
use crate::api::call::Call;
use crate::api::endpoint::{CSV, JSON};
use crate::api::error::ApiError;
use crate::api::work;
use crate::chargeback::{Coverage, Figures, PeriodSpan, Report, Synthetic, report};
use crate::render::{self, Format, RenderError};

/// The report, as the command line prints it.
pub(super) async fn chargeback(call: &Call) -> Result<Response, ApiError> {
    let (format, media) = format(call)?;
    let made = made(call, move |report| render::report(report, format, None)).await?;
    let answer = Answer::new(media, made.text).tagged(call, Tag::weak(made.tag));
    answer.response()
}

/// How well the requests of the report were measured.
pub(super) async fn coverage(call: &Call) -> Result<Response, ApiError> {
    let made = made(call, |report| render::json(&Measured::of(report))).await?;
    let answer = Answer::new(JSON, made.text).tagged(call, Tag::weak(made.tag));
    answer.response()
}

/// Format and media type of a table.
pub(super) fn format(call: &Call) -> Result<(Format, &'static str), ApiError> {
    let format = call.params.parse("format")?.unwrap_or(Format::Json);
    let media = if format == Format::Csv { CSV } else { JSON };
    Ok((format, media))
}

struct Made {
    text: String,
    tag: String,
}

async fn made(
    call: &Call,
    write: impl FnOnce(&Report) -> Result<String, RenderError> + Send + 'static,
) -> Result<Made, ApiError> {
    let request = call.report()?;
    let service = &call.service;
    let (max_rows, sees_all) = (service.settings.max_rows, call.reader.sees_all());
    let longest = service.settings.query_timeout();
    work::run(call, &service.queries, longest, async move |ledger| {
        let mut report = report(&ledger.client, &ledger.book, &request).await?;
        if report.rows.len() > max_rows {
            let message = format!(
                "the report has more than {max_rows} rows: take a shorter period, one tenant, or fewer columns"
            );
            return Err(ApiError::too_large("by", message));
        }
        if !sees_all {
            // It counts the records of every tenant.
            report.position.clear();
        }
        Ok(Made {
            text: write(&report)?,
            tag: tag(&report),
        })
    })
    .await
}

/// The report's hash; records that can no longer be read are not in it, and a client must learn of them.
fn tag(report: &Report) -> String {
    match report.unreadable_records {
        0 => report.report_hash.clone(),
        count => format!("{}+{count}-unreadable", report.report_hash),
    }
}

/// What of a report says how well it was measured.
#[derive(Serialize)]
struct Measured<'a> {
    period: &'a PeriodSpan,
    by: &'a [String],
    synthetic: Synthetic,
    tenant: Option<&'a str>,
    rows: Vec<MeasuredRow<'a>>,
    totals: MeasuredFigures<'a>,
    unreadable_records: i128,
    report_hash: &'a str,
}

#[derive(Serialize)]
struct MeasuredRow<'a> {
    columns: &'a [String],
    #[serde(flatten)]
    figures: MeasuredFigures<'a>,
}

#[derive(Serialize)]
struct MeasuredFigures<'a> {
    requests: i128,
    coverage: &'a Coverage,
    complete: bool,
}

impl<'a> Measured<'a> {
    fn of(report: &'a Report) -> Self {
        let rows = report.rows.iter().map(|row| MeasuredRow {
            columns: &row.columns,
            figures: (&row.figures).into(),
        });
        Self {
            period: &report.period,
            by: &report.by,
            synthetic: report.synthetic,
            tenant: report.tenant.as_deref(),
            rows: rows.collect(),
            totals: (&report.totals).into(),
            unreadable_records: report.unreadable_records,
            report_hash: &report.report_hash,
        }
    }
}

impl<'a> From<&'a Figures> for MeasuredFigures<'a> {
    fn from(figures: &'a Figures) -> Self {
        Self {
            requests: figures.requests,
            coverage: &figures.coverage,
            complete: figures.complete,
        }
    }
}
