//! A service for a test, asked through its router, without a socket. No test lives here.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use billing::api::{Book, Service, Settings, Start, router};
use schemas::{Clock, Micros};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Client;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::common::{HOUR, NOON};

/// A day after the events.
pub(super) const NOW: Micros = Micros(NOON + 24 * HOUR);
pub(super) const PRICES: &str =
    "m,input_text,default,,1000000,2.5,USD, m,output_text,default,,1000000,10,USD,";

pub(super) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Micros {
        NOW
    }
}

pub(super) struct Door {
    router: Router,
    folder: TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Door {
    /// With readers `all`, `acme`, `both` (acme and globex), whose names are their tokens, and further settings.
    pub(super) fn open(client: Client, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let book = folder.path().join("prices.csv");
        std::fs::write(&book, price_file()).expect("a file");
        let everything = "[\"reports\", \"audit\", \"exports\"]";
        let readers = [
            reader("all", "\"all\"", everything),
            reader("acme", "[\"acme\"]", everything),
            reader("both", "[\"acme\", \"globex\"]", everything),
            reader("reports", "\"all\"", "[\"reports\"]"),
            reader("audit", "\"all\"", "[\"audit\"]"),
            reader("exports", "\"all\"", "[\"exports\"]"),
        ];
        let settings: Settings =
            toml::from_str(&(settings.to_owned() + &readers.concat())).expect("settings");
        let service = Service::new(Start {
            settings,
            client,
            book: Book::open(Some(&book)).expect("a price book"),
            spool_dir: folder.path().join("spool"),
            clock: Arc::new(Stopped),
        });
        let service = service.expect("a service");
        Self {
            router: router(service),
            folder,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) async fn get(&self, token: &str, url: &str) -> Answer {
        self.ask(Method::GET, token, url, &[]).await
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        token: &str,
        url: &str,
        headers: &[(header::HeaderName, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await;
        let (parts, body) = response.expect("it always answers").into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: bytes.to_vec(),
        }
    }
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("a text")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a text"))
    }

    /// Status, code and parameter of an error, whose shape is checked.
    pub(super) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let error = json["error"]
            .as_object()
            .unwrap_or_else(|| panic!("{}: {json}", self.status));
        let mut names: Vec<_> = error.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["code", "message", "param"]);
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        assert!(
            text("message").len() > 10,
            "a message with the way out: {json}"
        );
        (self.status, text("code"), text("param"))
    }

    pub(super) fn good(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }
}

fn reader(name: &str, tenants: &str, may: &str) -> String {
    let digest = hex::encode(Sha256::digest(name));
    format!(
        "\n[[readers]]\nname = \"{name}\"\nsecret_sha256 = \"{digest}\"\ntenants = {tenants}\nmay = {may}\n"
    )
}

pub(super) fn price_file() -> String {
    let header = "provider,source,read_on,model,unit,service_tier,context_over,per,rate,currency,valid_from\n";
    let lines = PRICES.split_whitespace();
    let lines: Vec<_> = lines
        .map(|line| format!("openai,a page,2026-11-24,{line}\n"))
        .collect();
    header.to_owned() + &lines.concat()
}
