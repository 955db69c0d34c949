//! Providers that answer oddly, and the gateway that calls them.

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

    fn add_to(&self, plan: Plan) -> Plan {
        let unreachable = (
            "unreachable",
            format!("http://{}/v1", crate::ports::free_address()),
        );
        let all = self
            .providers
            .iter()
            .map(|(name, provider)| (*name, provider.base_url()));
        all.chain([unreachable]).fold(plan, |plan, (name, url)| {
            plan.backend(name, &url, "auth = \"none\"", &[name])
        })
    }
}

/// A gateway for the cases: small bounds, every refusal a record of its own. `credential` is the deployment's line for it.
pub fn plan(carried: &Carried, odd: &OddProviders, credential: &str) -> Plan {
    let plan = Plan {
        gateway: "max_body_bytes = 65536\nstranger_records_per_second = 1000000\n\
                  body_timeout_ms = 3000\nhead_timeout_ms = 1000"
            .to_owned(),
        ..Plan::default()
    };
    let plan = plan.backend(
        "simulator",
        "{provider}",
        credential,
        &["gpt-4o-mini", "gpt-4o"],
    );
    odd.add_to(plan).tenant(
        "acme",
        "",
        &[
            ("acme-1", &carried.secret, ""),
            ("limited", &carried.limited, ", models = [\"gpt-4o\"]"),
            ("disabled", &carried.disabled, ", disabled = true"),
        ],
    )
}
