//! Target `query`: the query of an address. What is accepted has at most one `api-version`, however it is decoded, and
//! everything else as it stood.

use gateway::query::read;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(query) = read(Some(text)) else { return };
    let named: Vec<(String, &str)> = text.split('&').map(parameter).collect();
    let versions = named
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("api-version"));
    let versions: Vec<&str> = versions.map(|(_, value)| *value).collect();
    assert_eq!(
        versions,
        query.api_version.as_deref().into_iter().collect::<Vec<_>>(),
        "versions"
    );
    let is_other =
        |parameter: &&str| !parameter.is_empty() && !parameter.starts_with("api-version=");
    let others: Vec<&str> = text.split('&').filter(is_other).collect();
    assert_eq!(
        query.others.unwrap_or_default(),
        others.join("&"),
        "the others"
    );
}

fn parameter(text: &str) -> (String, &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), value)
}

/// Percent signs and plus signs read away.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex
            .filter(|_| *first == b'%')
            .filter(|hex| !hex.starts_with('+'));
        if let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
