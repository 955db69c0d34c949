//! What a client is told when it gets no answer: a status, a code for programs, a text with the way out, and which
//! parameter it is about. What an operator must know is logged instead, once.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use store::{Class, StoreError};

use crate::BillingError;
use crate::api::settings::May;
use crate::export::ExportError;
use crate::render::RenderError;

/// Seconds after which a busy service may be asked again.
const AFTER_BUSY: u32 = 2;
/// Seconds after which a store that is away may be asked again.
const AFTER_AWAY: u32 = 5;
/// ClickHouse's numbers for a table or a database that is not there.
const NOT_THERE: [u32; 2] = [60, 81];
/// ClickHouse's numbers for a result that is larger than it may be.
const TOO_MUCH: [u32; 3] = [158, 307, 396];

/// An answer that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
        }
    }

    fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A parameter cannot be used; the text says what to write instead.
    pub(super) fn bad(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message).about(param)
    }

    pub(super) fn unknown(param: &str, known: &str) -> Self {
        let message = format!("`{param}` is no parameter here: the parameters are {known}");
        Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", message).about(param)
    }

    pub(super) fn missing(param: &str, what: &str) -> Self {
        let message = format!("`{param}` is missing: {what}");
        Self::new(StatusCode::BAD_REQUEST, "missing_parameter", message).about(param)
    }

    pub(super) fn query(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", message)
    }

    pub(super) fn too_large(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "too_large", message).about(param)
    }

    pub(super) fn no_token() -> Self {
        let message = "no reader's token: send `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, "no_token", message)
    }

    pub(super) fn wrong_token() -> Self {
        let message = "no reader has this token: ask whoever runs the service for one";
        Self::new(StatusCode::UNAUTHORIZED, "wrong_token", message)
    }

    pub(super) fn not_allowed(what: May) -> Self {
        let message = format!(
            "this reader may not ask for {}: its `may` in the configuration says so",
            what.as_str()
        );
        Self::new(StatusCode::FORBIDDEN, "not_allowed", message)
    }

    pub(super) fn other_tenant(own: &[String]) -> Self {
        let message = format!("this reader sees only {}", own.join(", "));
        Self::new(StatusCode::FORBIDDEN, "other_tenant", message).about("tenant")
    }

    pub(super) fn several_tenants(own: &[String]) -> Self {
        Self::missing("tenant", &format!("name one of {}", own.join(", ")))
    }

    pub(super) fn only_all() -> Self {
        let message =
            "this counts the records of every tenant: only a reader of all of them may ask";
        Self::new(StatusCode::FORBIDDEN, "not_allowed", message)
    }

    pub(super) fn no_such_path() -> Self {
        let message = "there is nothing here: GET /openapi.json lists what is";
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn wrong_method() -> Self {
        let message = "this service only answers: use GET";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }

    pub(super) fn busy(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        error.after(AFTER_BUSY)
    }

    pub(super) fn stopping() -> Self {
        let message = "the service stops: ask again when it is back";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message);
        error.after(AFTER_AWAY)
    }

    pub(super) fn too_slow(param: &str) -> Self {
        let message = "it took longer than it may: take a shorter period, or one tenant";
        let error = Self::new(StatusCode::GATEWAY_TIMEOUT, "query_timeout", message);
        error.about(param)
    }

    /// Ours. The client learns that, the log learns why.
    pub(super) fn fault(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %why, "an answer could not be made");
        let message = "the answer could not be made: the service's log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    fn away(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).after(AFTER_AWAY)
    }

    /// The same about another parameter, where it is about the period.
    pub(super) fn not_period(self, param: &str) -> Self {
        match self.param.as_deref() {
            Some("period") => self.about(param),
            _ => self,
        }
    }

    /// The code for programs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_timeout() {
            return Self::too_slow("period");
        }
        if error.code().is_some_and(|code| NOT_THERE.contains(&code)) {
            tracing::warn!(%error, "the store has no tables");
            return Self::away(
                "store_not_ready",
                "the ledger has no tables yet: the consumer makes them, or `tollgate migrate`",
            );
        }
        if error.code().is_some_and(|code| TOO_MUCH.contains(&code)) {
            let message = "the store gives no answer of this size: take a shorter period, one tenant, or fewer columns";
            return Self::too_large("period", message);
        }
        match error.class() {
            Class::Rejected => Self::fault(&error),
            Class::Unavailable | Class::Ambiguous => {
                tracing::warn!(%error, "the store is away");
                Self::away("store_unavailable", "the store is away: ask again")
            }
        }
    }
}

impl From<BillingError> for ApiError {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Store(error) => error.into(),
            BillingError::Answer(_) => Self::fault(&error),
            BillingError::Filter(error) => Self::bad("since", error.to_string()),
            BillingError::TooLarge(_)
            | BillingError::TooManyGroups(_)
            | BillingError::TooManyDays(_)
            | BillingError::TooManyIntervals(_) => Self::too_large("period", error.to_string()),
        }
    }
}

impl From<RenderError> for ApiError {
    fn from(error: RenderError) -> Self {
        Self::fault(&error)
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Billing(error) => error.into(),
            ExportError::TooWide { .. } => Self::bad("format", error.to_string()),
            ExportError::Moving(_) => {
                let message = "records came into the period again and again while it was exported: take a period that has ended, or ask again";
                Self::away("period_moving", message).about("period")
            }
            other => Self::fault(&other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body =
            json!({"error": {"code": self.code, "message": self.message, "param": self.param}});
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"tollgate billing\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}
