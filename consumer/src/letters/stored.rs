//! Dead letters as the store has them: for a log that has no topic of dead letters. When one was found is not stored there; the time
//! of the record stands for it, where it says one.

use store::{Client, StoreError};

use super::letter::{Letter, LetterPlace, LetterState, said};

/// Copies of a row collapse; a row of an event names the letter that it was put back for.
const SQL: &str = "SELECT topic, partition, offset, any(reason), hex(any(bytes)) FROM audit_log \
     WHERE fate = 'dead_letter' GROUP BY topic, partition, offset ORDER BY topic, partition, offset LIMIT 100000";

/// Every letter that the store has.
pub async fn stored(client: &Client) -> Result<Vec<Letter>, StoreError> {
    let rows = client.query(SQL).fetch_all().await?;
    let rows: Vec<(String, i32, i64, String, String)> = rows;
    let letter = |(topic, partition, offset, reason, digits): (_, _, _, _, String)| {
        let bytes = hex::decode(digits).unwrap_or_default();
        let received_us = said(&bytes, "received_us").and_then(|text| text.parse().ok());
        Letter {
            place: LetterPlace {
                topic,
                partition,
                offset,
            },
            found_us: received_us.unwrap_or(0),
            reason,
            state: LetterState::Waiting,
            bytes,
        }
    };
    Ok(rows.into_iter().map(letter).collect())
}
