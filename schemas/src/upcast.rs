//! Records that an older draft of the wire wrote, brought to the form of today before they are read.
//!
//! Pure, and by bytes: a record that is of no older draft is left as it is, so that what is malformed stays malformed. A
//! field that the older draft did not have is `null` or empty, never guessed.

use memchr::memmem;
use serde::de::DeserializeOwned;

/// The first draft has it in no attempt, the second in each.
const SINCE_THE_SECOND: &[u8] = br#""priced_as":"#;

const ADDED_TO_EVENT: &[u8] = br#""priced_as":null,"#;
const ADDED_TO_ADMISSION: &[u8] = br#""priced_as":null,"scopes":[],"leases":"","policies":"","#;
const ADDED_TO_ATTEMPT: &[u8] =
    br#""provider":null,"capacity":null,"priced_as":null,"billable":null,"#;
/// Steps of a life did not count requests: what they do not say is not 0.
const ADDED_TO_LIFE: &[u8] = br#""admitted":null,"settled":null,"open":null,"#;

/// How every record of a draft begins.
const DRAFT: &[u8] = br#"{"wire":"v1-draft","#;
/// How the attempts begin. In a text the quotes would be escaped, and labels hold texts, so it is the field wherever it stands.
const ATTEMPTS: &[u8] = br#""attempts":["#;
/// How one of them begins.
const ATTEMPT: &[u8] = br#"{"deployment":""#;

/// Reads a record as it is, or as `older` makes it if it is of an older draft: one that is of none has a field twice then. The error is that of the record as it is.
pub(crate) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    older: fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<T, serde_json::Error> {
    // UTF-8 is looked for once in all of it, which is quicker than in each of its texts.
    let read = std::str::from_utf8(bytes).map_or_else(
        |_| serde_json::from_slice(bytes),
        |text| serde_json::from_str(text),
    );
    read.or_else(|error| {
        let upcast = older(bytes).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        upcast.ok_or(error)
    })
}

/// A usage event of the first draft.
pub(crate) fn usage(bytes: &[u8]) -> Option<Vec<u8>> {
    let rest = bytes.strip_prefix(DRAFT)?;
    let mut upcast = [DRAFT, ADDED_TO_EVENT].concat();
    let mut done = 0;
    let attempts = memmem::find(rest, ATTEMPTS)?;
    if memmem::find(&rest[attempts..], SINCE_THE_SECOND).is_some() {
        return None;
    }
    for at in memmem::find_iter(&rest[attempts..], ATTEMPT) {
        let at = attempts + at;
        upcast.extend_from_slice(&rest[done..=at]);
        upcast.extend_from_slice(ADDED_TO_ATTEMPT);
        done = at + 1;
    }
    upcast.extend_from_slice(&rest[done..]);
    Some(upcast)
}

/// An admission of the first draft.
pub(crate) fn admission(bytes: &[u8]) -> Option<Vec<u8>> {
    with(ADDED_TO_ADMISSION, bytes)
}

/// A step of a producer's life of the first draft.
pub(crate) fn life(bytes: &[u8]) -> Option<Vec<u8>> {
    with(ADDED_TO_LIFE, bytes)
}

fn with(added: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let rest = bytes.strip_prefix(DRAFT)?;
    Some([DRAFT, added, rest].concat())
}
