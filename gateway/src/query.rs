//! The query of a request's address: Azure's `api-version`, and what passes on as it stands.

use crate::refusal::Refusal;
use crate::snapshot::{Query, is_api_version};

const API_VERSION: &str = "api-version";

/// Reads a query. What two parsers could read differently, a version named twice or with escapes, is refused.
pub fn read(query: Option<&str>) -> Result<Query, Refusal> {
    let mut read = Query::default();
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(read);
    };
    let mut others = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == API_VERSION {
            if !is_api_version(value) || read.api_version.is_some() {
                return Err(Refusal::BadQuery);
            }
            read.api_version = Some(value.to_owned());
            continue;
        }
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        if decoded.eq_ignore_ascii_case(API_VERSION) {
            return Err(Refusal::BadQuery);
        }
        others.push(parameter);
    }
    read.others = (!others.is_empty()).then(|| others.join("&"));
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_once_and_everything_else_passes() {
        let query = read(Some("a=1&api-version=2024-10-21&b=%20")).unwrap();
        assert_eq!(query.api_version.as_deref(), Some("2024-10-21"));
        assert_eq!(query.others.as_deref(), Some("a=1&b=%20"));
        assert_eq!(read(None).unwrap(), Query::default());
        assert_eq!(read(Some("")).unwrap(), Query::default());
        for bad in [
            "api-version=1&api-version=2",
            "api-version=",
            "api-version",
            "api-version=2024%2D10-21",
            "api%2Dversion=1",
            "API-VERSION=1",
            "api-version=1/../x",
        ] {
            assert!(matches!(read(Some(bad)), Err(Refusal::BadQuery)), "{bad}");
        }
    }
}
