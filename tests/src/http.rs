//! An app: sends chat calls that carry a nonce where the provider and the gateway both keep it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use simulator::load::{LoadRequest, Outcome as Seen};

use crate::books::Sent;
use crate::setup::{KEYS, Key, MODELS};

/// No call takes so long: a gateway gives up on a provider before.
const LONGEST: Duration = Duration::from_mins(10);

/// What an app asks. The nonce must be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Ties the client's log, the provider's truth and the record together.
    pub nonce: String,
    /// Who asks.
    pub key: Key,
    /// For which model.
    pub model: &'static str,
    /// Whether as a stream.
    pub stream: bool,
    /// Whether the stream shall report its usage.
    pub include_usage: bool,
    /// The text of the one message.
    pub prompt: String,
    /// Length of the answer.
    pub max_tokens: u64,
    /// `metadata.sim`: how the provider shall behave.
    pub order: Option<String>,
}

impl Ask {
    /// A short plain call of the first key for the first model.
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            key: KEYS[0],
            model: MODELS[0],
            stream: false,
            include_usage: false,
            prompt: "Say something short about tolls and bridges.".to_owned(),
            max_tokens: 8,
            order: None,
        }
    }

    /// The same as a stream.
    #[must_use]
    pub fn streamed(self) -> Self {
        Self {
            stream: true,
            ..self
        }
    }

    /// The same with an order to the provider.
    #[must_use]
    pub fn ordering(self, order: impl Into<String>) -> Self {
        Self {
            order: Some(order.into()),
            ..self
        }
    }

    /// The same with so long an answer.
    #[must_use]
    pub fn tokens(self, max_tokens: u64) -> Self {
        Self { max_tokens, ..self }
    }

    /// The same for another model.
    #[must_use]
    pub fn model(self, model: &'static str) -> Self {
        Self { model, ..self }
    }

    /// The same by another key.
    #[must_use]
    pub fn key(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// The body as it is sent.
    pub fn body(&self) -> Vec<u8> {
        let mut metadata = json!({"nonce": self.nonce});
        if let Some(order) = &self.order {
            metadata["sim"] = json!(order);
        }
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": self.max_tokens,
            "metadata": metadata,
        });
        if self.stream {
            body["stream"] = json!(true);
        }
        if self.stream && self.include_usage {
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string().into_bytes()
    }

    /// The same for the load generator, which sends the nonce as `x-client-request-id` by itself.
    pub fn load_request(&self) -> LoadRequest {
        LoadRequest {
            nonce: self.nonce.clone(),
            api_key: Some(self.key.secret.to_owned()),
            body: self.body(),
            hang_up: None,
        }
    }
}

/// An answer that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// HTTP status.
    pub status: u16,
    /// All of the body.
    pub body: Bytes,
}

impl Whole {
    /// The machine code of an error answer.
    pub fn error_code(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["error"]["code"].as_str()?.to_owned())
    }
}

impl Whole {
    /// What a client makes of it.
    pub fn seen(&self, asked_stream: bool) -> Seen {
        if self.status != 200 {
            return Seen::HttpError;
        }
        let is_document = serde_json::from_slice::<serde_json::Value>(&self.body)
            .is_ok_and(|body| body["choices"].is_array());
        if is_document {
            return Seen::Complete;
        }
        let text = String::from_utf8_lossy(&self.body);
        if !asked_stream || !text.starts_with("data: ") {
            return Seen::BadAnswer;
        }
        if text.contains("data: {\"error\"") {
            return Seen::ErrorEvent;
        }
        let is_done = text.trim_end().ends_with("data: [DONE]");
        if is_done { Seen::Complete } else { Seen::Cut }
    }
}

/// Sends chat calls, never twice.
#[derive(Debug, Clone)]
pub struct App {
    http: reqwest::Client,
    url: String,
}

impl App {
    pub(crate) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url }
    }

    /// An app that calls some other gateway.
    ///
    /// # Panics
    /// Never in a sane system.
    pub fn of(url: impl Into<String>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .retry(reqwest::retry::never())
            .build();
        Self::new(http.expect("an HTTP client"), url.into())
    }

    /// Where it calls.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a call and gives the head of its answer.
    pub async fn begin(&self, ask: &Ask) -> Result<reqwest::Response, reqwest::Error> {
        self.http
            .post(&self.url)
            .bearer_auth(ask.key.secret)
            .header("x-client-request-id", &ask.nonce)
            .header("content-type", "application/json")
            .body(ask.body())
            .send()
            .await
    }

    /// Sends a call and reads its answer to the end.
    pub async fn call(&self, ask: &Ask) -> Result<Whole, reqwest::Error> {
        let response = self.begin(ask).await?;
        Ok(Whole {
            status: response.status().as_u16(),
            body: response.bytes().await?,
        })
    }

    /// Sends a call, goes away after a time if one is given, and says what came of it.
    ///
    /// # Panics
    /// If nothing comes of it for minutes: who waits for ever tells nobody for what.
    pub async fn see(&self, ask: Ask, patience: Option<Duration>) -> Sent {
        let mut status = 0;
        let seeing = self.see_all(&ask, &mut status);
        let seen = match patience {
            None => tokio::time::timeout(LONGEST, seeing)
                .await
                .unwrap_or_else(|_| panic!("neither answer nor error for call {}", ask.nonce)),
            Some(patience) => tokio::time::timeout(patience, seeing)
                .await
                .unwrap_or(Seen::HungUp),
        };
        Sent { ask, seen, status }
    }

    async fn see_all(&self, ask: &Ask, status: &mut u16) -> Seen {
        let response = match self.begin(ask).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Seen::NotConnected,
            Err(_) => return Seen::NoAnswer,
        };
        *status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => Whole {
                status: *status,
                body,
            }
            .seen(ask.stream),
            Err(_) => Seen::Cut,
        }
    }
}
