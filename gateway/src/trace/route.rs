//! The path of a call as a template: what it is, without what an app wrote into it. Only paths of a closed list are
//! kept; whatever else an app may call is nobody's business.

use axum::http::Method;

use crate::endpoint::Endpoint;

const PREFIXES: [&str; 3] = ["/v1/", "/openai/v1/", "/openai/"];
/// The one path that no provider is called for.
const MODELS: &str = "models";
const DEPLOYMENTS: &str = "/openai/deployments/";

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// `POST`, `GET`, or what OpenTelemetry writes for all others.
    pub method: &'static str,
    prefix: &'static str,
    tail: &'static str,
}

impl Called {
    /// Reads method and path; `None` for a path that is not on the list.
    pub fn new(method: &Method, path: &str) -> Option<Self> {
        let find = |rest: &str| {
            let mut tails = Endpoint::all().map(Endpoint::path).chain([MODELS]);
            tails.find(|tail| *tail == rest)
        };
        let method = match method.as_str() {
            "POST" => "POST",
            "GET" => "GET",
            _ => "_OTHER",
        };
        if let Some(below) = path.strip_prefix(DEPLOYMENTS) {
            let (_, rest) = below.split_once('/')?;
            return Some(Self {
                method,
                prefix: "/openai/deployments/{deployment}/",
                tail: find(rest)?,
            });
        }
        PREFIXES.into_iter().find_map(|prefix| {
            let tail = find(path.strip_prefix(prefix)?)?;
            Some(Self {
                method,
                prefix,
                tail,
            })
        })
    }

    /// The template of its path.
    pub fn route(&self) -> String {
        [self.prefix, self.tail].concat()
    }

    /// Whether the template is the path.
    pub fn is_literal(&self) -> bool {
        !self.prefix.contains('{')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_path_is_its_template_and_another_is_nothing() {
        let route = |path: &str| Called::new(&Method::POST, path).map(|called| called.route());
        for (path, template) in [
            ("/v1/chat/completions", "/v1/chat/completions"),
            ("/openai/v1/responses", "/openai/v1/responses"),
            ("/openai/responses", "/openai/responses"),
            (
                "/openai/deployments/canary/audio/speech",
                "/openai/deployments/{deployment}/audio/speech",
            ),
        ] {
            assert_eq!(route(path).as_deref(), Some(template));
        }
        for unknown in [
            "/v1/files/canary",
            "/v1/chat/completions/canary",
            "/openai/deployments/x",
            "/openai/deployments/x/canary",
            "/canary",
            "",
        ] {
            assert_eq!(route(unknown), None, "{unknown}");
        }
    }
}
