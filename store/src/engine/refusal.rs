//! An answer that is an error: ClickHouse's code and text, and the HTTP status that goes with the code.

use super::ENGINE_VERSION;
use hyper::StatusCode;

/// Why a request was not answered with a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: u32, name: &str, text: &str) -> Self {
        let text =
            format!("Code: {code}. DB::Exception: {text}. ({name}) (version {ENGINE_VERSION})");
        Self { status, code, text }
    }

    pub(super) fn syntax(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 62, "SYNTAX_ERROR", text)
    }

    pub(super) fn bad_arguments(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 36, "BAD_ARGUMENTS", text)
    }

    pub(super) fn read_only(text: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 164, "READONLY", text)
    }

    pub(super) fn not_offered(what: &str) -> Self {
        let text = format!("{what} is not offered by this engine");
        Self::new(StatusCode::NOT_IMPLEMENTED, 48, "NOT_IMPLEMENTED", &text)
    }

    pub(super) fn unknown_setting(name: &str) -> Self {
        let text = format!("Setting {name} is not offered by this engine");
        Self::new(StatusCode::NOT_FOUND, 115, "UNKNOWN_SETTING", &text)
    }

    pub(super) fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            516,
            "AUTHENTICATION_FAILED",
            "Authentication failed: password is incorrect, or there is no user with such name",
        )
    }

    pub(super) fn too_large(cap_bytes: u64) -> Self {
        let text = format!("the request is larger than {cap_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, 307, "TOO_MANY_BYTES", &text)
    }

    pub(super) fn busy() -> Self {
        let text = "Too many simultaneous queries";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "TOO_MANY_SIMULTANEOUS_QUERIES",
            text,
        )
    }

    /// The engine's own text, `Code: N. DB::Exception: …`.
    pub(super) fn from_engine(text: &str) -> Self {
        // 1002 is ClickHouse's own UNKNOWN_EXCEPTION.
        let code = exception_code(text).unwrap_or(1002);
        Self {
            status: status_of(code),
            code,
            text: format!("{text} (version {ENGINE_VERSION})"),
        }
    }
}

/// The number in `Code: N.`
pub(crate) fn exception_code(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("Code: ")?;
    digits.split('.').next()?.parse().ok()
}

/// As ClickHouse's HTTP handler maps codes (`exceptionCodeToHTTPStatus`).
fn status_of(code: u32) -> StatusCode {
    match code {
        // cannot parse …, syntax, types, bad arguments
        6
        | 7
        | 25
        | 26
        | 27
        | 34..=36
        | 38
        | 41
        | 42
        | 43
        | 50
        | 52
        | 53
        | 62
        | 69
        | 70
        | 72
        | 117
        | 131
        | 456
        | 457 => StatusCode::BAD_REQUEST,
        // unknown table, function, identifier, type, storage, database, setting, format, …
        46 | 47 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 336 => StatusCode::NOT_FOUND,
        48 => StatusCode::NOT_IMPLEMENTED,
        159 => StatusCode::REQUEST_TIMEOUT,
        202 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
        497 => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_text_gives_code_and_status() {
        let refusal =
            Refusal::from_engine("Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)");
        assert_eq!((refusal.code, refusal.status), (60, StatusCode::NOT_FOUND));
        let refusal = Refusal::from_engine("nonsense");
        assert_eq!(
            (refusal.code, refusal.status),
            (1002, StatusCode::INTERNAL_SERVER_ERROR)
        );
    }
}
