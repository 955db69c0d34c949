//! One call to the collector: what is sent, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;

use super::message::{
    ExportRequest, ExportResponse, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span,
};
use super::settings::Target;

/// The most that is read of an answer.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, but for so many.
    Taken {
        /// Spans that the collector did not want.
        rejected: usize,
    },
    /// It will never be taken.
    Refused,
    /// It may be taken later.
    Later,
}

/// Calls the collector.
pub struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: Target,
    resource: Resource,
    scope: Scope,
}

impl Post {
    /// A client. Fails where TLS cannot be set up. `scope` is the name and version of the code that makes the spans.
    pub fn new(target: Target, scope: (&str, &str)) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(target.timeout));
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| error.to_string())?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(55))
            .build(connector);
        let attributes = target.resource.iter();
        let resource = Resource {
            attributes: attributes
                .map(|(key, value)| KeyValue::new(key, value.as_str()))
                .collect(),
        };
        let scope = Scope {
            name: scope.0.to_owned(),
            version: scope.1.to_owned(),
        };
        Ok(Self {
            client,
            target,
            resource,
            scope,
        })
    }

    /// The bytes of a batch.
    pub fn encode(&self, spans: Vec<Span>) -> Bytes {
        let scope_spans = ScopeSpans {
            scope: Some(self.scope.clone()),
            spans,
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
        };
        let request = ExportRequest {
            resource_spans: vec![resource_spans],
        };
        request.encode_to_vec().into()
    }

    /// Sends a batch once.
    pub async fn send(&self, batch: Bytes) -> Answer {
        let mut request = Request::new(Full::new(batch));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.url.clone();
        *request.headers_mut() = self.target.headers.clone();
        let kind = HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let call = async {
            let answer = self.client.request(request).await.ok()?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
            Some((status, body.await.map(http_body_util::Collected::to_bytes)))
        };
        match tokio::time::timeout(self.target.timeout, call).await {
            Ok(Some((status, body))) => meaning(status, &body.unwrap_or_default()),
            Ok(None) | Err(_) => Answer::Later,
        }
    }
}

/// By OTLP's specification: what may be tried again is listed, everything else is final. A good answer that cannot be
/// read is good: the spans were taken.
fn meaning(status: StatusCode, body: &[u8]) -> Answer {
    match status.as_u16() {
        200..=299 => {
            let partial = ExportResponse::decode(body)
                .ok()
                .and_then(|answer| answer.partial_success);
            let rejected = partial.map_or(0, |partial| partial.rejected_spans);
            Answer::Taken {
                rejected: usize::try_from(rejected).unwrap_or(0),
            }
        }
        429 | 502..=504 => Answer::Later,
        _ => Answer::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::message::PartialSuccess;

    #[test]
    fn only_what_the_specification_lists_is_tried_again() {
        let taken = Answer::Taken { rejected: 0 };
        for (status, answer) in [
            (200, taken),
            (202, taken),
            (301, Answer::Refused),
            (400, Answer::Refused),
            (401, Answer::Refused),
            (429, Answer::Later),
            (500, Answer::Refused),
            (503, Answer::Later),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(meaning(status, b""), answer, "{status}");
        }
    }

    #[test]
    fn a_partial_success_says_how_many_were_not_taken() {
        let answer = ExportResponse {
            partial_success: Some(PartialSuccess { rejected_spans: 3 }),
        };
        assert_eq!(
            meaning(StatusCode::OK, &answer.encode_to_vec()),
            Answer::Taken { rejected: 3 }
        );
        let unreadable = meaning(StatusCode::OK, b"<html>");
        assert_eq!(unreadable, Answer::Taken { rejected: 0 });
    }
}
