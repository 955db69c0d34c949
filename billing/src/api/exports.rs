//! `/v1/exports`: a file that was made whole and proved to add up to its report, and only then is sent.

use std::fs::File;

use axum::body::Body;
use axum::http::{HeaderName, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use crate::api::answer::{Answer, Tag};
use crate::api::call::Call;
use crate::api::download::Download;
use crate::api::endpoint::{CSV, NDJSON, PARQUET};
use crate::api::error::ApiError;
use crate::api::spool::Room;
use crate::api::work::{self, Ledger};
use crate::chargeback::Request;
use crate::export::{Export, ExportFormat, Kind, Manifest, Target, export};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const REPORT_HASH: HeaderName = HeaderName::from_static("tollgate-report-hash");
const RECORDS: HeaderName = HeaderName::from_static("tollgate-records");
const COMPLETE: HeaderName = HeaderName::from_static("tollgate-complete");
const UNREADABLE: HeaderName = HeaderName::from_static("tollgate-unreadable-records");
const MANIFEST: HeaderName = HeaderName::from_static("tollgate-manifest");
/// A manifest that is larger does not go into a header.
const MAX_MANIFEST_BYTES: usize = 12 << 10;

/// What is to be made, and where.
struct Order {
    kind: Kind,
    format: ExportFormat,
    request: Request,
    name: String,
    room: Room,
    max_records: u64,
}

/// The file, with all that proves it.
pub(super) async fn file(call: &Call) -> Result<Response, ApiError> {
    let service = &call.service;
    let order = order(call)?;
    let (format, name) = (order.format, order.name.clone());
    // First, so that nothing is made that could not be sent.
    let place = service.downloads.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::busy("too many exports are being sent already"))?;
    let longest = std::time::Duration::from_millis(service.settings.export_timeout_ms);
    let made = work::run(call, &service.exports, longest, |ledger| {
        make(order, ledger)
    })
    .await;
    let (mut manifest, file) = made?;
    if !call.reader.sees_all() {
        // It counts the records of every tenant.
        manifest.position.clear();
    }
    let longest = std::time::Duration::from_millis(service.settings.download_timeout_ms);
    let (length, metrics) = (manifest.bytes, service.metrics.clone());
    let body = if call.knows(&format!("\"{}\"", manifest.sha256)) {
        Body::empty()
    } else {
        Body::new(Download::new(file, length, longest, place, metrics))
    };
    let media = match format {
        ExportFormat::Csv => CSV,
        ExportFormat::Json => NDJSON,
        ExportFormat::Parquet => PARQUET,
    };
    let digest = hex::decode(&manifest.sha256).map_err(|error| ApiError::fault(&error))?;
    let mut answer = Answer::new(media, body)
        .tagged(call, Tag::strong(&manifest.sha256))
        .with(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        )
        .with(
            REPR_DIGEST,
            format!("sha-256=:{}:", STANDARD.encode(digest)),
        )
        .with(REPORT_HASH, &manifest.report_hash)
        .with(RECORDS, manifest.records.to_string())
        .with(COMPLETE, (manifest.complete == Some(true)).to_string())
        .with(UNREADABLE, manifest.unreadable_records.to_string());
    let text = manifest.to_json()?;
    if text.len() <= MAX_MANIFEST_BYTES {
        answer = answer.with(MANIFEST, STANDARD.encode(text));
    }
    answer.response()
}

fn order(call: &Call) -> Result<Order, ApiError> {
    let request = call.report()?;
    let kind = match call.params.get("kind") {
        Some("trail") => Kind::Trail,
        _ => Kind::Summary,
    };
    let format = call.params.parse("format")?.unwrap_or(ExportFormat::Csv);
    let service = &call.service;
    Ok(Order {
        kind,
        format,
        name: name(kind, format, &request),
        request,
        room: service
            .spool
            .room()
            .map_err(|error| ApiError::fault(&error))?,
        max_records: service.settings.max_export_records,
    })
}

/// `trail-2026-11-acme.csv`, with nothing in it that a shell or a header would read otherwise.
fn name(kind: Kind, format: ExportFormat, request: &Request) -> String {
    let kind = match kind {
        Kind::Summary => "summary",
        Kind::Trail => "trail",
    };
    let ending = match format {
        ExportFormat::Csv => "csv",
        ExportFormat::Json => "json",
        ExportFormat::Parquet => "parquet",
    };
    let tenant = request.tenant.as_deref().map(|name| format!("-{name}"));
    let text = format!(
        "{kind}-{}{}",
        request.period.name(),
        tenant.unwrap_or_default()
    );
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = text.chars().map(|c| if is_plain(&c) { c } else { '_' });
    let plain: String = plain.take(120).collect();
    format!("{plain}.{ending}")
}

/// Makes the file and opens it; from then on it has no name.
async fn make(order: Order, ledger: Ledger) -> Result<(Manifest, File), ApiError> {
    let path = order.room.path(&order.name);
    let target = Target::File(path.clone());
    let wanted = Export {
        kind: order.kind,
        format: order.format,
        target: &target,
        request: &order.request,
    };
    let too_many = CancellationToken::new();
    let mut told = |records| {
        if records > order.max_records {
            too_many.cancel();
        }
    };
    let manifest = tokio::select! {
        made = export(&ledger.client, &ledger.book, &wanted, &mut told) => made?,
        () = too_many.cancelled() => return Err(too_large(order.max_records)),
    };
    if manifest.records > order.max_records {
        return Err(too_large(order.max_records));
    }
    let file = File::open(&path).map_err(|error| ApiError::fault(&error))?;
    Ok((manifest, file))
}

fn too_large(max_records: u64) -> ApiError {
    let message = format!(
        "the export has more than {max_records} records: take a shorter period or one tenant"
    );
    ApiError::too_large("period", message)
}
