//! Which headers go to the provider and which come back: by list, so that nothing leaks by being forgotten.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use schemas::name::Text;
use smallvec::SmallVec;

/// Headers of the app that a provider may see.
fn may_see(name: &str) -> bool {
    match name {
        "accept" | "content-type" | "user-agent" | "openai-beta" | CLIENT_REQUEST_ID
        | "traceparent" | "tracestate" => true,
        _ => name.starts_with(SDK_PREFIX),
    }
}

/// By this one a provider's support finds a call again; ours where the app names none.
const CLIENT_REQUEST_ID: &str = "x-client-request-id";

/// The SDKs' own description of themselves.
const SDK_PREFIX: &str = "x-stainless-";

/// Headers of the provider that an app may see.
fn comes_back(name: &str) -> bool {
    match name {
        "content-type"
        | "content-length"
        | "content-encoding"
        | "content-language"
        | "cache-control"
        | "retry-after"
        | "retry-after-ms"
        | "x-should-retry"
        | "openai-processing-ms"
        | "openai-version" => true,
        _ => name.starts_with(LIMIT_PREFIX),
    }
}

/// The provider's limits, as it states them.
const LIMIT_PREFIX: &str = "x-ratelimit-";

/// The headers of the call to the provider: the app's by list, the provider's credential, no compression.
#[must_use]
pub fn to_provider(
    from: &HeaderMap,
    request_id: &Text,
    credential: Option<&(HeaderName, HeaderValue)>,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in from {
        if may_see(name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    if !headers.contains_key(CLIENT_REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(request_id.as_str())
    {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
    if let Some((name, value)) = credential {
        headers.insert(name, value.clone());
    }
    headers
}

/// The headers of the answer to the app: the provider's, without those that stay here.
#[must_use]
pub fn to_app(mut headers: HeaderMap) -> HeaderMap {
    let staying = headers.keys().filter(|name| !comes_back(name.as_str()));
    let staying: SmallVec<[HeaderName; 8]> = staying.cloned().collect();
    for name in staying {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_of_the_app_passes_and_none_of_the_provider_comes_back() {
        let mut app = HeaderMap::new();
        for name in [
            "authorization",
            "api-key",
            "cookie",
            "x-tollgate-tenant",
            "x-forwarded-for",
            "openai-organization",
            "accept-encoding",
            "proxy-authorization",
        ] {
            app.insert(name, HeaderValue::from_static("canary"));
        }
        app.insert("x-stainless-lang", HeaderValue::from_static("python"));
        app.insert("x-client-request-id", HeaderValue::from_static("mine"));
        let credential = (
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer upstream"),
        );
        let sent = to_provider(&app, &Text::cut("req_1"), Some(&credential));
        assert!(sent.values().all(|value| value != "canary"));
        assert_eq!(sent[header::AUTHORIZATION], "Bearer upstream");
        assert_eq!(sent["x-client-request-id"], "mine");
        assert_eq!(sent["x-stainless-lang"], "python");
        let sent = to_provider(&HeaderMap::new(), &Text::cut("req_1"), None);
        assert_eq!(sent["x-client-request-id"], "req_1");

        let mut provider = HeaderMap::new();
        for name in [
            "set-cookie",
            "server",
            "openai-organization",
            "x-request-id",
            "transfer-encoding",
            "connection",
            "x-ms-region",
        ] {
            provider.insert(name, HeaderValue::from_static("canary"));
        }
        provider.insert(
            "x-ratelimit-remaining-tokens",
            HeaderValue::from_static("7"),
        );
        provider.append("retry-after", HeaderValue::from_static("1"));
        provider.append("set-cookie", HeaderValue::from_static("canary"));
        provider.append("retry-after", HeaderValue::from_static("2"));
        let given = to_app(provider);
        assert_eq!(given.len(), 3);
        assert_eq!(given["x-ratelimit-remaining-tokens"], "7");
        let values: Vec<_> = given.get_all("retry-after").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }
}
