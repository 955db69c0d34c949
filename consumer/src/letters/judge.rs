//! Whether a letter may go back, and with which bytes. A mended record keeps whose it is: event, producer, boot and number.

use schemas::{Decoded, RecordKind, Topic, UsageEvent, decode};

use super::letter::{Letter, LetterState};

/// What a mended record must not change, as far as the letter says it: whose it is, and what the store tells copies of one event
/// by.
fn identity(event: &UsageEvent) -> [(&'static str, String); 6] {
    [
        ("event_id", event.event_id.to_string()),
        ("producer", event.producer.as_str().to_owned()),
        ("boot", event.boot.to_string()),
        ("producer_seq", event.producer_seq.to_string()),
        ("tenant", event.tenant.as_str().to_owned()),
        ("received_us", event.received_us.0.to_string()),
    ]
}

/// Why it may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would become a dead letter again.
    #[error(
        "still can not be read: {0}; write its bytes with `tollgate dlq show ID --to FILE`, mend them, and give them with `--file FILE`"
    )]
    StillUnreadable(String),
    /// It would halt its partition.
    #[error("is of version {0}, which this program does not know: upgrade, then replay it")]
    Newer(String),
    /// It is another record.
    #[error("was mended into another record: its {0} is `{1}` and must stay `{2}`")]
    OtherIdentity(&'static str, String, String),
    /// Its letter has only the first of it.
    #[error(
        "is longer than its letter, which has the first {0} of {1} bytes: take the record from the log or from `audit_log`, mend it, and give it with `--file FILE`"
    )]
    Cut(usize, u64),
    /// It stands in the topic of producers.
    #[error(
        "is no usage: it is what a producer says of itself, and goes back by nobody; where a table refused it, mend the table and let the group of the producers' topic read it again"
    )]
    OfProducer,
    /// Another replay was first.
    #[error(
        "was replayed with other bytes before, and the first replay counts: correct the event by an adjustment, not by a second record of it"
    )]
    OtherBytes,
}

/// What goes back to the log: `mended`, what an earlier replay began with, or the letter as it is.
pub fn to_replay(letter: &Letter, mended: Option<&[u8]>) -> Result<Vec<u8>, Refused> {
    let name = letter.place.topic.rsplit_once(':');
    if name.is_some_and(|(name, _)| name.ends_with(Topic::Producers.suffix())) {
        return Err(Refused::OfProducer);
    }
    // An editor ends a file with a line; a record has none.
    let mended = mended.map(<[u8]>::trim_ascii_end);
    let begun = match &letter.state {
        LetterState::Waiting => None,
        LetterState::Begun(bytes) | LetterState::Replayed { bytes, .. } => Some(bytes.as_slice()),
    };
    let bytes = match (begun, mended) {
        (Some(begun), Some(mended)) if begun != mended => return Err(Refused::OtherBytes),
        (Some(begun), _) => begun,
        (None, Some(mended)) => mended,
        (None, None) => match letter.cut_of {
            Some(whole) => return Err(Refused::Cut(letter.bytes.len(), whole)),
            None => &letter.bytes,
        },
    };
    let event = match decode(RecordKind::Usage, bytes) {
        Decoded::Event(event) => event,
        Decoded::Newer(version) => return Err(Refused::Newer(version)),
        Decoded::DeadLetter(reason) => return Err(Refused::StillUnreadable(reason.to_string())),
        Decoded::Cut => return Err(Refused::StillUnreadable("a cut is no event".to_owned())),
    };
    // By what it says, not by its text: a mended file may have any blanks.
    for (field, is) in identity(&event) {
        if let Some(was) = letter.said(field)
            && was != is
        {
            return Err(Refused::OtherIdentity(field, is, was.to_owned()));
        }
    }
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::LetterPlace;
    use crate::sample::{encode, event};

    fn letter(bytes: &[u8]) -> Letter {
        Letter {
            place: LetterPlace {
                topic: "t:1".into(),
                partition: 0,
                offset: 1,
            },
            found_us: None,
            reason: "r".into(),
            bytes: bytes.to_vec(),
            cut_of: None,
            state: LetterState::Waiting,
        }
    }

    fn spoiled(bytes: &[u8]) -> Vec<u8> {
        let mut spoiled = bytes.to_vec();
        spoiled.pop();
        spoiled
    }

    #[test]
    fn what_still_can_not_be_read_is_refused_until_it_is_mended() {
        let good = encode(&event(1));
        let letter = letter(&spoiled(&good));
        let refused = to_replay(&letter, None).unwrap_err();
        assert!(matches!(refused, Refused::StillUnreadable(_)), "{refused}");
        let mut file = good.clone();
        file.extend_from_slice(b"\n");
        assert_eq!(to_replay(&letter, Some(&file)), Ok(good));
        let newer = to_replay(&letter, Some(br#"{"wire":"v2","x":1}"#));
        assert_eq!(newer, Err(Refused::Newer("v2".into())));
    }

    #[test]
    fn what_a_producer_says_of_itself_is_put_into_no_usage_topic() {
        let mut letter = letter(&encode(&event(1)));
        letter.place.topic = "tollgate.producers.v1:0a1b".into();
        assert_eq!(to_replay(&letter, None), Err(Refused::OfProducer));
    }

    #[test]
    fn what_was_cut_goes_back_only_when_it_is_given_whole() {
        let good = encode(&event(1));
        let mut letter = letter(&good);
        letter.cut_of = Some(4_000_000);
        let refused = to_replay(&letter, None).unwrap_err();
        assert_eq!(refused, Refused::Cut(good.len(), 4_000_000));
        assert_eq!(to_replay(&letter, Some(&good)), Ok(good));
    }

    #[test]
    fn what_only_its_envelope_spoiled_goes_back_as_it_is() {
        let good = encode(&event(1));
        assert_eq!(to_replay(&letter(&good), None), Ok(good));
    }

    #[test]
    fn a_mended_record_keeps_whose_it_is() {
        let mut spoiled = encode(&event(1));
        spoiled[0] = b'[';
        let letter = letter(&spoiled);
        let refused = to_replay(&letter, Some(&encode(&event(2)))).unwrap_err();
        let Refused::OtherIdentity("event_id", ..) = refused else {
            panic!("{refused}");
        };
        let mut other = event(1);
        other.producer_seq += 1;
        let refused = to_replay(&letter, Some(&encode(&other))).unwrap_err();
        assert!(refused.to_string().contains("producer_seq"), "{refused}");
        let spread = |event: &UsageEvent| {
            let text = String::from_utf8(encode(event)).unwrap();
            text.replace("\":", "\": ").replacen(": ", ":", 1)
        };
        let spread_other = spread(&event(2));
        let refused = to_replay(&letter, Some(spread_other.as_bytes())).unwrap_err();
        assert!(
            matches!(refused, Refused::OtherIdentity(..)),
            "{refused}: blanks hide nothing"
        );
        let mut other = event(1);
        other.tenant = event(2).tenant;
        let refused = to_replay(&letter, Some(&encode(&other))).unwrap_err();
        assert!(refused.to_string().contains("tenant"), "{refused}");
        let same = spread(&event(1)).into_bytes();
        assert_eq!(to_replay(&letter, Some(&same)), Ok(same));
    }

    #[test]
    fn the_first_replay_says_which_bytes() {
        let good = encode(&event(1));
        let mut letter = letter(&spoiled(&good));
        letter.state = LetterState::Begun(good.clone());
        assert_eq!(to_replay(&letter, None), Ok(good.clone()));
        assert_eq!(to_replay(&letter, Some(&good)), Ok(good));
        let mut other = event(1);
        other.status = other.status.map(|status| status + 1).or(Some(201));
        let other = to_replay(&letter, Some(&encode(&other)));
        assert_eq!(other, Err(Refused::OtherBytes));
    }
}
