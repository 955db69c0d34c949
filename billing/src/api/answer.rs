//! Answers that are good: their headers, and the one without a body for a client that has it already.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::api::call::Call;
use crate::api::error::ApiError;

/// A whole answer on its way to be sent.
pub(super) struct Answer {
    body: Body,
    headers: Vec<(HeaderName, String)>,
    is_known: bool,
}

impl Answer {
    pub(super) fn new(media: &'static str, body: impl Into<Body>) -> Self {
        Self {
            body: body.into(),
            headers: vec![
                (header::CONTENT_TYPE, media.to_owned()),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ],
            is_known: false,
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer has this tag: `"…"`, weak where the same figures may stand in other bytes.
    pub(super) fn tagged(mut self, call: &Call, tag: Tag) -> Self {
        let Tag { text, is_weak } = tag;
        let quoted = format!("\"{text}\"");
        self.is_known = call.knows(&quoted);
        let shown = if is_weak { "W/" } else { "" };
        self.headers
            .push((header::ETAG, format!("{shown}{quoted}")));
        self.headers
            .push((header::CACHE_CONTROL, "private, no-cache".to_owned()));
        self.with(header::VARY, "authorization")
    }

    /// The answer is of this moment and nobody keeps it.
    pub(super) fn untagged(self) -> Self {
        self.with(header::CACHE_CONTROL, "no-store")
    }

    pub(super) fn response(self) -> Result<Response, ApiError> {
        let mut response = Response::new(self.body);
        if self.is_known {
            *response.body_mut() = Body::empty();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| ApiError::fault(&error))?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

/// What tells one state of an answer from another.
pub(super) struct Tag {
    text: String,
    is_weak: bool,
}

impl Tag {
    /// Of these very bytes.
    pub(super) fn strong(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_weak: false,
        }
    }

    /// Of these figures.
    pub(super) fn weak(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_weak: true,
        }
    }
}
