//! `[telemetry]`: where spans go and how many. A secret never stands in the file: a header's value is named by an
//! environment variable or by a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::Deserialize;

/// Where OTLP over HTTP takes spans, below the endpoint.
const TRACES_PATH: &str = "/v1/traces";

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The collector's base URL; without one nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// Headers of the calls to it, such as its credential.
    pub otlp_headers: Vec<Header>,
    /// The share of requests that are traced where their app does not decide, 0 to 1.
    pub sample_ratio: f64,
    /// `service.name` of the resource.
    pub service_name: String,
    /// More attributes of the resource.
    pub resource: BTreeMap<String, String>,
    /// Spans that wait to be sent; more are dropped and counted.
    pub queue_spans: usize,
    /// Spans sent at once.
    pub batch_spans: usize,
    /// How long a span waits for others to be sent with, in milliseconds.
    pub interval_ms: u64,
    /// Time for one call to the collector, in milliseconds.
    pub timeout_ms: u64,
    /// How long a stop waits for the last spans to be sent, in milliseconds.
    pub stop_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers: Vec::new(),
            sample_ratio: 1.0,
            service_name: "tollgate".to_owned(),
            resource: BTreeMap::new(),
            queue_spans: 4_096,
            batch_spans: 512,
            interval_ms: 1_000,
            timeout_ms: 10_000,
            stop_timeout_ms: 3_000,
        }
    }
}

/// A header of the calls to the collector. Its value is a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Environment variable that holds its value.
    pub env: Option<String>,
    /// File that holds its value.
    pub file: Option<PathBuf>,
}

/// Why `[telemetry]` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// A text of the file near which the fault stands.
    pub needle: String,
    /// What is wrong, and the way out.
    pub message: String,
}

fn bad(needle: &str, message: String) -> SettingsError {
    SettingsError {
        needle: needle.to_owned(),
        message,
    }
}

/// Settings that were checked, with the secrets that they name.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) queue_spans: usize,
    pub(crate) batch_spans: usize,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) stop_timeout: Duration,
    /// The share of requests that are traced where their app does not decide.
    pub sample_ratio: f64,
}

impl Settings {
    /// Checks everything and reads the secrets, or says that nothing is traced. `resource` names the process.
    pub fn target(&self, resource: &[(&str, &str)]) -> Result<Option<Target>, SettingsError> {
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(None);
        };
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let message = "telemetry.sample_ratio is a share: give a number from 0 to 1";
            return Err(bad("sample_ratio", message.to_owned()));
        }
        for (name, value) in [
            ("queue_spans", self.queue_spans as u64),
            ("batch_spans", self.batch_spans as u64),
            ("timeout_ms", self.timeout_ms),
        ] {
            if !(1..=1 << 20).contains(&value) {
                return Err(bad(
                    name,
                    format!("telemetry.{name} is {value}; give 1 to 1048576"),
                ));
            }
        }
        let given = [("service.name", self.service_name.as_str())];
        let own = given.iter().chain(resource);
        let mut all: BTreeMap<String, String> = own
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        all.extend(self.resource.clone());
        Ok(Some(Target {
            url: traces_url(endpoint)?,
            headers: headers(&self.otlp_headers)?,
            resource: all.into_iter().collect(),
            queue_spans: self.queue_spans,
            batch_spans: self.batch_spans,
            interval: Duration::from_millis(self.interval_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            stop_timeout: Duration::from_millis(self.stop_timeout_ms),
            sample_ratio: self.sample_ratio,
        }))
    }

    /// Relative paths become relative to `base`.
    pub fn resolve(&mut self, base: &Path) {
        for header in &mut self.otlp_headers {
            header.file = header.file.as_ref().map(|file| base.join(file));
        }
    }
}

/// The URL that takes spans. A URL with a user or a query is refused: it would be a secret in the file.
fn traces_url(endpoint: &str) -> Result<Uri, SettingsError> {
    let fault = |why: &str| {
        bad(
            "otlp_endpoint",
            format!(
                "telemetry.otlp_endpoint {why}; give the base URL of a collector that takes OTLP over HTTP, such as http://localhost:4318"
            ),
        )
    };
    if endpoint.contains(['?', '@', '#']) {
        return Err(fault("has a user, a query or a fragment"));
    }
    let base = endpoint.trim_end_matches('/');
    let whole = if base.ends_with(TRACES_PATH) {
        base.to_owned()
    } else {
        format!("{base}{TRACES_PATH}")
    };
    let url: Uri = whole.parse().map_err(|_| fault("is no URL"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err(fault("is not http or https with a host")),
    }
}

fn headers(given: &[Header]) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for header in given {
        let name: HeaderName = header.name.parse().map_err(|_| {
            bad(
                "otlp_headers",
                "a name in telemetry.otlp_headers is no header's name".into(),
            )
        })?;
        let secret = secret(header)?;
        let mut value = HeaderValue::from_str(secret.trim()).map_err(|_| {
            bad(
                &header.name,
                format!(
                    "the value for the header {name} holds what a header must not; one line of plain text is needed"
                ),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn secret(header: &Header) -> Result<String, SettingsError> {
    let name = &header.name;
    match (&header.env, &header.file) {
        (Some(variable), None) => std::env::var(variable).map_err(|_| {
            bad(
                variable,
                format!("the environment variable {variable} for the header {name} is not set"),
            )
        }),
        (None, Some(file)) => std::fs::read_to_string(file).map_err(|error| {
            bad(
                name,
                format!("the file {} for the header {name}: {error}", file.display()),
            )
        }),
        _ => Err(bad(
            name,
            format!("the header {name} in telemetry.otlp_headers needs one of `env` and `file`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Option<Target>, SettingsError> {
        let settings: Settings = toml::from_str(text).unwrap();
        settings.target(&[("service.version", "1")])
    }

    #[test]
    fn no_endpoint_is_no_tracing_and_a_bare_one_gets_the_path() {
        assert!(settings("").unwrap().is_none());
        for endpoint in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
            let target = settings(&format!("otlp_endpoint = \"{endpoint}\""));
            let url = target.unwrap().unwrap().url;
            assert_eq!(url.to_string(), "http://c:4318/v1/traces");
        }
    }

    #[test]
    fn a_secret_comes_from_a_file_and_shows_nowhere() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Bearer canary\n").unwrap();
        let target = settings(&format!(
            "otlp_endpoint = \"https://c\"\notlp_headers = [{{ name = \"authorization\", file = {:?} }}]",
            file.path()
        ));
        let target = target.unwrap().unwrap();
        assert_eq!(target.headers["authorization"], "Bearer canary");
        assert!(!format!("{target:?}").contains("canary"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_way_out() {
        for (text, says) in [
            ("otlp_endpoint = \"ftp://c\"", "http or https"),
            ("otlp_endpoint = \"c:4318\"", "no URL"),
            ("otlp_endpoint = \"http://u:p@c\"", "has a user"),
            ("otlp_endpoint = \"http://c?key=1\"", "a query"),
            ("otlp_endpoint = \"http://c\"\nsample_ratio = 1.5", "0 to 1"),
            (
                "otlp_endpoint = \"http://c\"\nqueue_spans = 0",
                "queue_spans",
            ),
            (
                "otlp_endpoint = \"http://c\"\notlp_headers = [{ name = \"k\" }]",
                "one of `env` and `file`",
            ),
            (
                "otlp_endpoint = \"http://c\"\notlp_headers = [{ name = \"k\", env = \"TOLLGATE_NOT_SET\" }]",
                "TOLLGATE_NOT_SET",
            ),
        ] {
            let message = settings(text).unwrap_err().message;
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
