//! Dead letters as the store has them: for a log that has no topic of dead letters. When one was found is not stored there; the time
//! of the record stands for it, where it says one.

use store::{Client, StoreError};

use super::letter::{Letter, LetterPlace, LetterState, said};

/// Copies of a row collapse; a row of an event names the letter that it was put back for.
const SQL: &str = "SELECT topic, partition, offset, any(reason), hex(any(bytes)) FROM audit_log \
     WHERE fate = 'dead_letter' GROUP BY topic, partition, offset ORDER BY topic, partition, offset LIMIT 100000";

/// Why letters could not be read from the store.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's answer does not have the bytes of a letter.
    #[error("dead letter {place}: the store's answer has no bytes of it ({error}); ask again")]
    NoBytes {
        /// Which.
        place: LetterPlace,
        /// What is wrong with their digits.
        error: hex::FromHexError,
    },
}

type Row = (String, i32, i64, String, String);

/// Every letter that the store has.
pub async fn stored(client: &Client) -> Result<Vec<Letter>, StoredError> {
    let rows: Vec<Row> = client.query(SQL).fetch_all().await?;
    rows.into_iter().map(letter_of).collect()
}

fn letter_of((topic, partition, offset, reason, digits): Row) -> Result<Letter, StoredError> {
    let place = LetterPlace {
        topic,
        partition,
        offset,
    };
    let bytes = match hex::decode(digits) {
        Ok(bytes) => bytes,
        Err(error) => return Err(StoredError::NoBytes { place, error }),
    };
    Ok(Letter {
        place,
        found_us: said(&bytes, "received_us").and_then(|text| text.parse().ok()),
        reason,
        cut_of: None,
        state: LetterState::Waiting,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(digits: &str) -> Row {
        ("t:1".into(), 0, 7, "r".into(), digits.into())
    }

    #[test]
    fn a_time_that_nobody_said_is_unknown_and_bytes_that_did_not_come_are_none() {
        let said = hex::encode(br#"{"received_us":12,"#);
        assert_eq!(letter_of(row(&said)).unwrap().found_us, Some(12));
        let silent = letter_of(row("00ff")).unwrap();
        assert_eq!((silent.found_us, silent.bytes), (None, vec![0, 0xff]));
        let error = letter_of(row("0")).unwrap_err().to_string();
        assert!(error.contains("t:1/0/7"), "{error}");
    }
}
