//! Where a page of the trail ends and the next one begins.

use std::fmt;
use std::str::FromStr;

use schemas::{EventId, Micros};

/// The last event of a page: the trail is in the order of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it was received.
    pub received: Micros,
    /// Which it was.
    pub event_id: EventId,
}

/// Not a cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cursor: give the `next` of the page before")]
pub struct BadCursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.received.0, self.event_id)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let bad = || BadCursor(text.chars().take(64).collect());
        let (received, event_id) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self {
            received: Micros(received.parse().map_err(|_| bad())?),
            event_id: event_id.parse().map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes() {
        let cursor = Cursor {
            received: Micros(1_795_521_600_000_000),
            event_id: EventId::mint(Micros(1_795_521_600_000_000), [7; 10]),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "1", "x:y", "1:0193"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
