//! What a path addresses: which API, in which dialect, of which deployment. Nothing of a body is looked at here.
//!
//! Azure's addresses as its REST reference has them: a deployment's own API, `/openai/responses` and
//! `/openai/models` need `api-version`; `/openai/v1/…` does not.

use http::{Method, Uri};

use crate::api::{Api, Dialect};
use crate::errors::Refusal;

/// The addressed API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) api: Api,
    pub(crate) dialect: Dialect,
    /// Named in the path: a deployment, or the one model that is asked about. It decides, whatever the body says.
    pub(crate) named: Option<String>,
}

/// A path of the provider's that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Astray {
    pub(crate) dialect: Dialect,
    pub(crate) refusal: Refusal,
}

/// Finds what is addressed; `None` where the path is not the provider's at all.
pub(crate) fn find(method: &Method, uri: &Uri) -> Option<Result<Target, Astray>> {
    let path = uri.path();
    if let Some(rest) = path.strip_prefix("/v1/") {
        return Some(open(method, path, rest, Dialect::OpenAi));
    }
    if let Some(rest) = path.strip_prefix("/openai/v1/") {
        return Some(open(method, path, rest, Dialect::Azure));
    }
    let rest = path.strip_prefix("/openai/")?;
    Some(versioned(uri.query()).and_then(|()| azure(method, path, rest)))
}

/// Paths where the body names the model.
fn open(method: &Method, path: &str, rest: &str, dialect: Dialect) -> Result<Target, Astray> {
    let target = |api, named| Target {
        api,
        dialect,
        named,
    };
    if *method == Method::GET {
        if rest == "models" {
            return Ok(target(Api::Models, None));
        }
        if let Some(id) = rest.strip_prefix("models/").filter(|id| !id.is_empty()) {
            return Ok(target(Api::Models, Some(id.to_owned())));
        }
    } else if *method == Method::POST
        && let Some(api) = Api::of_path(rest)
    {
        return Ok(target(api, None));
    }
    let refusal = Refusal::unknown_url(method.as_str(), path);
    Err(Astray { dialect, refusal })
}

/// Azure's older paths: a deployment's APIs, and the few that have none.
fn azure(method: &Method, path: &str, rest: &str) -> Result<Target, Astray> {
    let deployed = rest
        .strip_prefix("deployments/")
        .and_then(|rest| rest.split_once('/'));
    let Some((deployment, rest)) = deployed else {
        let without = rest == "responses" || rest == "models" || rest.starts_with("models/");
        return if without {
            open(method, path, rest, Dialect::Azure)
        } else {
            Err(nowhere())
        };
    };
    let api = Api::of_path(rest)
        .filter(|api| *method == Method::POST && !matches!(api, Api::Responses | Api::Moderations));
    match api {
        Some(api) if !deployment.is_empty() => Ok(Target {
            api,
            dialect: Dialect::Azure,
            named: Some(deployment.to_owned()),
        }),
        _ => Err(nowhere()),
    }
}

/// Without a version Azure finds nothing; a version that is no date it does not support.
fn versioned(query: Option<&str>) -> Result<(), Astray> {
    let version = query
        .unwrap_or("")
        .split('&')
        .find_map(|pair| pair.strip_prefix("api-version="));
    match version {
        None | Some("") => Err(nowhere()),
        Some(version) if is_version(version) => Ok(()),
        Some(_) => Err(Astray {
            dialect: Dialect::Azure,
            refusal: Refusal::unsupported_version(),
        }),
    }
}

/// `2024-10-21` or `2025-04-01-preview`; `preview` and `latest` name no date.
fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let shape: String = date
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    shape == "9999-99-99" || matches!(text, "preview" | "latest")
}

fn nowhere() -> Astray {
    Astray {
        dialect: Dialect::Azure,
        refusal: Refusal::no_resource(),
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::find;
    use crate::api::{Api, Dialect};

    fn at(method: &Method, path: &str) -> Result<(Api, Dialect, Option<String>), u16> {
        let uri: Uri = path.parse().expect("a path");
        match find(method, &uri).expect("the provider's path") {
            Ok(target) => Ok((target.api, target.dialect, target.named)),
            Err(astray) => Err(astray.refusal.status),
        }
    }

    #[test]
    fn paths_of_both_dialects_are_told_apart() {
        use Dialect::{Azure, OpenAi};
        let post = |path| at(&Method::POST, path);
        assert_eq!(post("/v1/audio/speech"), Ok((Api::Speech, OpenAi, None)));
        assert_eq!(
            post("/openai/v1/responses"),
            Ok((Api::Responses, Azure, None))
        );
        assert_eq!(
            post("/openai/responses?api-version=2025-04-01-preview"),
            Ok((Api::Responses, Azure, None))
        );
        assert_eq!(
            post("/openai/deployments/mine/images/edits?x=1&api-version=2024-10-21"),
            Ok((Api::ImageEdits, Azure, Some("mine".to_owned())))
        );
        assert_eq!(
            at(&Method::GET, "/v1/models/gpt-4o"),
            Ok((Api::Models, OpenAi, Some("gpt-4o".to_owned())))
        );
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for (path, status) in [
            ("/openai/deployments/mine/chat/completions", 404),
            (
                "/openai/deployments/mine/chat/completions?api-version=",
                404,
            ),
            (
                "/openai/deployments/mine/chat/completions?api-version=new",
                400,
            ),
            (
                "/openai/deployments/mine/moderations?api-version=2024-10-21",
                404,
            ),
            (
                "/openai/deployments//embeddings?api-version=2024-10-21",
                404,
            ),
            ("/openai/chat/completions?api-version=2024-10-21", 404),
            ("/v1/files", 404),
            ("/v1/models", 404),
        ] {
            assert_eq!(at(&Method::POST, path), Err(status), "{path}");
        }
        assert_eq!(at(&Method::GET, "/v1/chat/completions"), Err(404));
        let own = "/control".parse().expect("a path");
        assert_eq!(find(&Method::GET, &own), None);
    }
}
