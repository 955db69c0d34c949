//! A collector of spans for a test: takes OTLP over HTTP and reads it by OpenTelemetry's own definition.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use tests::eventually;
use tokio::net::TcpListener;

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub request: ExportTraceServiceRequest,
}

type All = Arc<Mutex<Vec<Received>>>;

/// The collector.
pub struct Collector {
    pub address: SocketAddr,
    all: All,
    _serving: tokio::task::JoinSet<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let all = All::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(all.clone());
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            all,
            _serving: serving,
        }
    }

    pub fn received(&self) -> Vec<Received> {
        self.all.lock().clone()
    }

    /// All spans so far, in the order of their coming.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self
            .received()
            .into_iter()
            .flat_map(|received| received.request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The spans of a trace, the request's first, once there are so many.
    pub async fn trace(&self, trace_id: &str, count: usize) -> Vec<Span> {
        eventually("the spans of a trace", async || {
            let mut spans = self.spans();
            spans.retain(|span| hex::encode(&span.trace_id) == trace_id);
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

async fn take(State(all): State<All>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(bytes.clone()) else {
        return StatusCode::BAD_REQUEST;
    };
    all.lock().push(Received {
        headers,
        bytes,
        request,
    });
    StatusCode::OK
}

/// Attributes as texts.
pub fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::BoolValue(yes) => yes.to_string(),
        other => format!("{other:?}"),
    };
    let read = |attribute: &KeyValue| {
        let value = attribute.value.as_ref()?.value.as_ref()?;
        Some((attribute.key.clone(), text(value)))
    };
    of.iter().filter_map(read).collect()
}
