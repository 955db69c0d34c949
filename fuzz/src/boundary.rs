//! Target `boundary`: a `Content-Type`. What is accepted names one boundary, the same for any other parser.

use gateway::door::boundary;

use crate::parts::{parameters, values};

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(found) = boundary(text) else { return };
    let parameters = parameters(text).expect("quotes must close");
    assert_eq!(
        values(&parameters, "boundary"),
        [found],
        "the boundaries that other parsers find"
    );
}
