//! A call of a reader: what was asked, by whom, when, and what of it is common to several endpoints.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use schemas::Micros;

use crate::Period;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::api::readers::Reader;
use crate::api::service::Service;
use crate::chargeback::{Dimension, Request, Synthetic};
use crate::period::{month_of, zone};

/// A call whose reader and parameters are known.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) reader: Arc<Reader>,
    pub(super) params: Params,
    pub(super) path: &'static str,
    pub(super) now: Micros,
    /// The tags that the client has already, as it sent them.
    known: Vec<String>,
}

impl Call {
    pub(super) fn new(
        service: Arc<Service>,
        reader: Arc<Reader>,
        params: Params,
        path: &'static str,
        headers: &HeaderMap,
    ) -> Self {
        let tags = headers.get_all(header::IF_NONE_MATCH).iter();
        let tags = tags.filter_map(|value| value.to_str().ok());
        let tags = tags.flat_map(|list| list.split(','));
        let known = tags.map(|tag| tag.trim().trim_start_matches("W/").to_owned());
        Self {
            now: service.clock.now(),
            service,
            reader,
            params,
            path,
            known: known.collect(),
        }
    }

    /// Whether the client has the answer with this tag, `"…"` without its `W/`.
    pub(super) fn knows(&self, tag: &str) -> bool {
        self.known.iter().any(|known| known == tag || known == "*")
    }

    /// The tenant that the answer is about; the only place from which queries of this API have one.
    pub(super) fn tenant(&self) -> Result<Option<String>, ApiError> {
        self.reader.tenant(self.params.get("tenant"))
    }

    /// The period that is asked for.
    pub(super) fn period(&self) -> Result<Period, ApiError> {
        let zone = self.params.read_by("tz", zone)?;
        let zone = zone.unwrap_or(chrono_tz::Tz::UTC);
        let period = self.params.get("period").map(str::to_owned);
        let period = period.unwrap_or_else(|| month_of(self.now, zone));
        let period = Period::parse(&period, zone);
        period.map_err(|error| ApiError::bad("period", error.to_string()))
    }

    /// The report that is asked for.
    pub(super) fn report(&self) -> Result<Request, ApiError> {
        let by = self.params.read_by("by", Dimension::parse_list)?;
        Ok(Request {
            period: self.period()?,
            by: by.unwrap_or_default(),
            synthetic: self
                .params
                .parse::<Synthetic>("synthetic")?
                .unwrap_or_default(),
            tenant: self.tenant()?,
        })
    }
}
