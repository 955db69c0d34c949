//! Providers that answer oddly, and the gateway that calls them.

use sha2::{Digest as _, Sha256};

use super::Carried;
use crate::raw::OddProvider;
use crate::rig::Plan;

/// Providers that answer oddly, each the backend of a model of its name.
#[derive(Debug)]
pub struct OddProviders {
    providers: Vec<(&'static str, OddProvider)>,
    /// Where the redirecting one points to; nobody may come here.
    pub trap: OddProvider,
}

impl OddProviders {
    /// Starts all of them. What they say holds `text`.
    pub async fn start(text: &str) -> Self {
        let trap =
            OddProvider::answering("HTTP/1.1 500 Trapped\r\ncontent-length: 0\r\n\r\n").await;
        let answer =
            |head: &str, body: &str| format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}");
        let redirect = answer(
            &format!(
                "307 Temporary Redirect\r\nlocation: {}/chat/completions?{text}\r\nset-cookie: {text}\r\ncontent-length: 0",
                trap.base_url()
            ),
            "",
        );
        let json = "200 OK\r\ncontent-type: application/json";
        let broken = format!("{{\"id\":\"{text}\",");
        let answers = [
            ("redirecting", redirect),
            ("empty", answer("503 Down\r\ncontent-length: 0", "")),
            ("no-content", answer("204 No Content", "")),
            ("garbage", format!("{text}\r\n\r\n")),
            ("closing", String::new()),
            (
                "broken-json",
                answer(
                    &format!("{json}\r\ncontent-length: {}", broken.len()),
                    &broken,
                ),
            ),
            (
                "too-short",
                answer(&format!("{json}\r\ncontent-length: 4000"), &broken),
            ),
            (
                "huge-head",
                answer(
                    &format!(
                        "200 OK\r\nx-filling: {}",
                        text.repeat(1_000_000 / text.len().max(1))
                    ),
                    "",
                ),
            ),
            (
                "error-text",
                answer(
                    "503 Down\r\ncontent-type: text/plain",
                    &format!("{text} is down"),
                ),
            ),
        ];
        let mut providers = Vec::new();
        for (name, answer) in answers {
            providers.push((name, OddProvider::answering(answer).await));
        }
        Self { providers, trap }
    }

    fn toml(&self) -> String {
        let mut text = String::new();
        let unreachable = crate::ports::free_address();
        let all = self
            .providers
            .iter()
            .map(|(name, provider)| (*name, provider.base_url()));
        for (name, url) in all.chain([("unreachable", format!("http://{unreachable}/v1"))]) {
            text += &format!(
                "[[deployments]]\nid = \"{name}\"\nprovider = \"openai\"\nbase_url = \"{url}\"\nauth = \"none\"\n\
                 [[routes]]\nmodel = \"{name}\"\ndeployment = \"{name}\"\n"
            );
        }
        text
    }
}

/// A gateway for the cases: small bounds, every refusal a record of its own. `credential` is the deployment's line for it.
pub fn plan(carried: &Carried, odd: &OddProviders, credential: &str) -> Plan {
    let digest = |secret: &str| hex::encode(Sha256::digest(secret));
    let mut rest = format!(
        "[[deployments]]\nid = \"simulator\"\nprovider = \"openai\"\nbase_url = \"{{provider}}\"\n{credential}\n{}",
        odd.toml()
    );
    for model in ["gpt-4o-mini", "gpt-4o"] {
        rest += &format!("[[routes]]\nmodel = \"{model}\"\ndeployment = \"simulator\"\n");
    }
    rest += &format!(
        "[[tenants]]\nid = \"acme\"\n[[tenants.projects]]\nid = \"search\"\nkeys = [\n\
         {{ id = \"acme-1\", sha256 = \"{}\" }},\n{{ id = \"limited\", sha256 = \"{}\", models = [\"gpt-4o\"] }},\n\
         {{ id = \"disabled\", sha256 = \"{}\", disabled = true }},\n]\n",
        digest(&carried.secret),
        digest(&carried.limited),
        digest(&carried.disabled)
    );
    Plan {
        gateway: "max_body_bytes = 65536\nstranger_records_per_second = 1000000\nbody_timeout_ms = 3000\nhead_timeout_ms = 1000".to_owned(),
        rest,
        ..Plan::default()
    }
}
