//! The part of OTLP that we speak: <https://github.com/open-telemetry/opentelemetry-proto>, `trace/v1`, `common/v1`,
//! `resource/v1` and `collector/trace/v1`. Field names and numbers are theirs and never change.

/// A batch, `ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportRequest {
    /// All from one resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// What the collector answers, `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExportResponse {
    /// Present where it did not take all.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// How much it did not take. Its message is not read: it is anybody's text.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// How many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
}

/// Spans of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpans {
    /// This service.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// All of one scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// Who sends.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// `service.name` and the like.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Spans of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpans {
    /// Which code made them.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    /// Our name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Our version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// One operation.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// As it came in.
    #[prost(string, tag = "3")]
    pub trace_state: String,
    /// 8 bytes, or none for the first span of a trace.
    #[prost(bytes = "vec", tag = "4")]
    pub parent_span_id: Vec<u8>,
    /// What was done.
    #[prost(string, tag = "5")]
    pub name: String,
    /// On which side of a call.
    #[prost(enumeration = "SpanKind", tag = "6")]
    pub kind: i32,
    /// Nanoseconds since the Unix epoch.
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch, never before the start.
    #[prost(fixed64, tag = "8")]
    pub end_time_unix_nano: u64,
    /// What is known of it; each key once.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// Whether it failed.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// W3C trace flags, and whether the parent is in another process.
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// On which side of a call a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum SpanKind {
    /// Not said.
    Unspecified = 0,
    /// Within.
    Internal = 1,
    /// Takes a call.
    Server = 2,
    /// Makes a call.
    Client = 3,
}

/// Whether an operation failed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// The answer.
    #[prost(enumeration = "StatusCode", tag = "3")]
    pub code: i32,
}

/// See [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum StatusCode {
    /// Not said: it did not fail.
    Unset = 0,
    /// Said to be good.
    Ok = 1,
    /// Failed.
    Error = 2,
}

/// An attribute.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

impl KeyValue {
    /// An attribute.
    pub fn new(key: &str, value: impl Into<value::Value>) -> Self {
        Self {
            key: key.to_owned(),
            value: Some(AnyValue {
                value: Some(value.into()),
            }),
        }
    }
}

/// A value of any kind.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// Which kind.
    #[prost(oneof = "value::Value", tags = "1, 2, 3, 4, 5")]
    pub value: Option<value::Value>,
}

/// The kinds of values that we send.
pub mod value {
    /// A list.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Array {
        /// Its members.
        #[prost(message, repeated, tag = "1")]
        pub values: Vec<super::AnyValue>,
    }

    /// One value.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        /// A text.
        #[prost(string, tag = "1")]
        Text(String),
        /// Yes or no.
        #[prost(bool, tag = "2")]
        Bool(bool),
        /// A whole number.
        #[prost(int64, tag = "3")]
        Int(i64),
        /// A measured number.
        #[prost(double, tag = "4")]
        Double(f64),
        /// A list.
        #[prost(message, tag = "5")]
        Array(Array),
    }

    impl From<&str> for Value {
        fn from(text: &str) -> Self {
            Self::Text(text.to_owned())
        }
    }

    impl From<String> for Value {
        fn from(text: String) -> Self {
            Self::Text(text)
        }
    }

    impl From<bool> for Value {
        fn from(yes: bool) -> Self {
            Self::Bool(yes)
        }
    }

    impl From<i64> for Value {
        fn from(number: i64) -> Self {
            Self::Int(number)
        }
    }

    impl From<f64> for Value {
        fn from(number: f64) -> Self {
            Self::Double(number)
        }
    }

    impl From<&[&str]> for Value {
        fn from(texts: &[&str]) -> Self {
            let values = texts.iter().map(|text| super::AnyValue {
                value: Some((*text).into()),
            });
            Self::Array(Array {
                values: values.collect(),
            })
        }
    }
}
