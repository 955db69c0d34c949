//! `GET /`: one page that asks the API with a token typed in. It loads nothing from anywhere, and its policy lets the
//! browser run this very script, apply this very style, and speak to this service alone.

use std::sync::LazyLock;

use axum::http::{HeaderName, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::api::answer::Answer;
use crate::api::endpoint::HTML;
use crate::api::error::ApiError;

const PAGE: &str = include_str!("console.html");
const REFERRER: HeaderName = HeaderName::from_static("referrer-policy");

/// The policy names the digests of what stands between the tags, so a changed page has a changed policy.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(between("<script>", "</script>")),
        digest(between("<style>", "</style>")),
    )
});

/// The page.
pub(super) fn page() -> Result<Response, ApiError> {
    Answer::new(HTML, PAGE)
        .with(header::CONTENT_SECURITY_POLICY, POLICY.as_str())
        .with(REFERRER, "no-referrer")
        .untagged()
        .response()
}

fn between(open: &str, close: &str) -> &'static str {
    let after = PAGE.split_once(open).map_or("", |(_, after)| after);
    after.split_once(close).map_or("", |(within, _)| within)
}

fn digest(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_script_and_one_style_and_names_nothing_outside() {
        for tag in ["<script", "<style"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}");
        }
        for outside in [
            "//",
            "src=",
            "@import",
            "url(",
            "innerHTML",
            " style=",
            " onclick=",
            "eval(",
        ] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        assert!(POLICY.contains("sha256-") && between("<script>", "</script>").len() > 100);
    }
}
