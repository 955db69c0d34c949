//! Why a request is not forwarded, as the app's SDK reads it and as the record keeps it.
//!
//! The shape is OpenAI's: `{"error":{"message","type","param","code"}}`. A text never repeats a credential
//! or a piece of the body.

use std::error::Error;
use std::io::ErrorKind;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use schemas::Outcome;

use crate::door::DoorError;

/// Why a request was turned away before any provider was called.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No credential.
    #[error("no API key was given; send `Authorization: Bearer <key>` or `api-key: <key>`")]
    NoKey,
    /// Two credentials.
    #[error("`Authorization` and `api-key` were both given; send one of them")]
    TwoKeys,
    /// A credential that nobody has, or that was switched off.
    #[error("the API key is not valid; ask the gateway's operator for a key")]
    BadKey,
    /// A head that is too large.
    #[error("the request's head is larger than {bytes} bytes or has more than {headers} headers")]
    HeadTooLarge {
        /// The most bytes.
        bytes: usize,
        /// The most headers.
        headers: usize,
    },
    /// A head with two lengths.
    #[error("`Transfer-Encoding` and `Content-Length` were both given; send one of them")]
    TwoLengths,
    /// A chunked body that was not followed from its first byte.
    #[error(
        "where this request's chunked body ends could not be followed; send `Transfer-Encoding: chunked` alone, on a connection whose earlier bodies were plain chunks too"
    )]
    FramingLost,
    /// A path whose objects live at the provider.
    #[error(
        "{method} {path} is about objects at the provider, which are not bound to a tenant here yet; send the whole input with each request"
    )]
    ProviderState {
        /// The method.
        method: String,
        /// The path, cut.
        path: String,
    },
    /// A path that is no text.
    #[error("the path is not UTF-8 text")]
    BadPath,
    /// A query that cannot be passed on.
    #[error("`api-version` must be named once, as a date such as 2024-10-21")]
    BadQuery,
    /// A path without a meter.
    #[error(
        "{method} {path} is not metered here, so it is not served; `GET /v1/models` and `POST /v1/chat/completions` are"
    )]
    Unmetered {
        /// The method.
        method: String,
        /// The path, cut.
        path: String,
    },
    /// A metered path, by another method.
    #[error("this path takes {0} only")]
    WrongMethod(&'static str),
    /// A compressed body.
    #[error("a compressed request body is not taken; send it without `Content-Encoding`")]
    Compressed,
    /// Too many bytes.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not come in time.
    #[error("the request body did not arrive within {0} ms")]
    BodyTimeout(u64),
    /// The app went away before its request was whole.
    #[error("the request ended before its body was whole")]
    BodyAborted,
    /// The framing of the body is broken.
    #[error("the request body is not framed as HTTP/1.1 says")]
    BodyMalformed,
    /// The body itself.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// A model that is not served.
    #[error("the model `{0}` does not exist here; `GET /v1/models` lists those that do")]
    NoSuchModel(String),
    /// A model that this credential may not use.
    #[error("this API key may not use the model `{0}`")]
    ModelForbidden(String),
    /// No memory for another body.
    #[error("the gateway holds as many request bodies as it may; try again in a few seconds")]
    Busy,
    /// Nothing can be recorded.
    #[error(
        "the gateway cannot record usage right now, so it takes no new requests; try again later"
    )]
    MeteringUnavailable,
}

impl Refusal {
    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::BadKey => StatusCode::UNAUTHORIZED,
            Self::TwoKeys
            | Self::Compressed
            | Self::BodyAborted
            | Self::BodyMalformed
            | Self::BadQuery
            | Self::BadPath
            | Self::TwoLengths
            | Self::FramingLost
            | Self::ProviderState { .. }
            | Self::Door(_) => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unmetered { .. } | Self::NoSuchModel(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::ModelForbidden(_) => StatusCode::FORBIDDEN,
            Self::MeteringUnavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Machine code, also kept beside the outcome.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "missing_api_key",
            Self::TwoKeys => "two_credentials",
            Self::BadKey => "invalid_api_key",
            Self::HeadTooLarge { .. } => "request_header_fields_too_large",
            Self::Unmetered { .. } | Self::ProviderState { .. } => "unsupported_unmetered",
            Self::BadQuery => "invalid_api_version",
            Self::BadPath => "invalid_path",
            Self::TwoLengths => "two_body_lengths",
            Self::FramingLost => "body_framing_not_followed",
            Self::BodyMalformed => "malformed_body",
            Self::WrongMethod(_) => "method_not_allowed",
            Self::Compressed => "compressed_body",
            Self::TooLarge(_) => "request_too_large",
            Self::BodyTimeout(_) => "request_timeout",
            Self::BodyAborted => "request_upload_aborted",
            Self::Door(error) => error.code(),
            Self::NoSuchModel(_) => "model_not_found",
            Self::ModelForbidden(_) => "model_not_allowed",
            Self::Busy => "server_busy",
            Self::MeteringUnavailable => "metering_unavailable",
        }
    }

    /// The outcome it is recorded as.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoKey | Self::TwoKeys | Self::BadKey => Outcome::RefusedAuth,
            Self::ModelForbidden(_) => Outcome::RefusedPolicy,
            Self::MeteringUnavailable | Self::Busy => Outcome::RefusedLimit,
            Self::BodyAborted => Outcome::ClientAborted,
            _ => Outcome::RefusedInvalid,
        }
    }

    /// Why a body did not come: its app has gone, or frames it wrongly.
    #[must_use]
    pub fn of_body(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let kind = error
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind);
            if matches!(kind, Some(ErrorKind::InvalidInput | ErrorKind::InvalidData)) {
                return Self::BodyMalformed;
            }
            cause = error.source();
        }
        Self::BodyAborted
    }

    /// The answer to the app.
    #[must_use]
    pub fn response(&self) -> Response<Body> {
        let param = match self {
            Self::Door(error) => error.param().map(str::to_owned),
            Self::NoSuchModel(_) | Self::ModelForbidden(_) => Some("model".to_owned()),
            _ => None,
        };
        error_response(
            self.status(),
            self.code(),
            &self.to_string(),
            param.as_deref(),
        )
    }
}

/// An error in OpenAI's shape.
#[must_use]
pub fn error_response(
    status: StatusCode,
    code: &str,
    message: &str,
    param: Option<&str>,
) -> Response<Body> {
    let body = serde_json::json!({
        "error": { "message": message, "type": error_type(status), "param": param, "code": code }
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn error_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
