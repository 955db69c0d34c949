//! What an envelope states of a record: its key and the headers that are compared with what the record says. Copied out of the log's
//! message once, judged when the record has been read. Which record it is, and what else its envelope holds, must not live here.

use schemas::topics::{
    CE_BOOT, CE_ID, CE_SOURCE, CE_SPEC_VERSION, CE_SUBJECT, CE_TIME, CE_TYPE, CONTENT_TYPE,
    envelope_of,
};
use schemas::{RecordKind, UsageEvent};

/// The name under which the key is kept: no header that is compared is called so.
const KEY: &str = "key";
/// What is kept, each once: what stands first of a name counts.
const NAMES: [&str; 9] = [
    KEY,
    CE_SPEC_VERSION,
    CE_ID,
    CE_SOURCE,
    CE_TYPE,
    CE_TIME,
    CE_SUBJECT,
    CE_BOOT,
    CONTENT_TYPE,
];
/// Headers without which a record is no event.
const MUST_BE_THERE: [&str; 4] = [CE_SPEC_VERSION, CE_ID, CE_SOURCE, CE_TYPE];
/// About so long are all of them.
const USUAL_BYTES: usize = 320;

/// An envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    bytes: Vec<u8>,
    /// Where each of [`NAMES`] begins and ends.
    places: [Option<(usize, usize)>; NAMES.len()],
    /// Headers that were seen and have no value count as absent, whatever follows.
    seen: [bool; NAMES.len()],
}

impl Stated {
    /// A record's key and headers, in their order.
    pub(crate) fn of<'a>(
        key: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Self {
        let mut stated = Self {
            bytes: Vec::with_capacity(USUAL_BYTES),
            ..Self::default()
        };
        stated.put(0, key);
        for (name, value) in headers {
            let compared = NAMES[1..].iter().position(|known| *known == name);
            if let Some(at) = compared {
                stated.put(at + 1, value);
            }
        }
        stated
    }

    fn put(&mut self, at: usize, value: Option<&[u8]>) {
        if std::mem::replace(&mut self.seen[at], true) {
            return;
        }
        self.places[at] = value.map(|value| {
            let begin = self.bytes.len();
            self.bytes.extend_from_slice(value);
            (begin, self.bytes.len())
        });
    }

    /// How many bytes of memory it holds.
    pub(crate) fn held(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    fn said(&self, name: &str) -> Option<&[u8]> {
        let at = NAMES.iter().position(|known| *known == name)?;
        let (begin, end) = self.places[at]?;
        self.bytes.get(begin..end)
    }

    /// Which part of it is not what the record says, which is this event.
    pub(crate) fn contradiction(&self, event: &UsageEvent) -> Option<&'static str> {
        if self.said(CE_TYPE) != Some(RecordKind::Usage.type_name().as_bytes()) {
            return Some(CE_TYPE);
        }
        let wanted = envelope_of(event);
        if self.said(KEY) != Some(wanted.key.as_bytes()) {
            return Some(KEY);
        }
        let headers = wanted.headers();
        let differs = headers.iter().find(|(name, value)| match self.said(name) {
            Some(said) => said != value.as_bytes(),
            None => MUST_BE_THERE.contains(name),
        });
        differs.map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use schemas::Boot;
    use schemas::topics::{Written, envelope};

    use super::*;

    fn judged(change: impl Fn(&mut Vec<(&'static str, Option<String>)>)) -> Option<&'static str> {
        let event = crate::sample::event(3);
        let bytes = crate::sample::encode(&event);
        let nobody = Written {
            producer: "gw-9",
            boot: Boot {
                counter: 0,
                nonce: [0; 8],
            },
            position: 9,
        };
        let envelope = envelope(RecordKind::Usage, &bytes, nobody);
        let headers = envelope.headers().into_iter();
        let mut all = vec![(KEY, Some(envelope.key.to_string()))];
        all.extend(headers.map(|(name, value)| (name, Some(value.to_owned()))));
        change(&mut all);
        let pairs = || {
            let pairs = all.iter();
            pairs.map(|(name, value)| (*name, value.as_deref().map(str::as_bytes)))
        };
        let key = pairs().find(|(name, _)| *name == KEY);
        let headers = pairs().filter(|(name, _)| *name != KEY);
        Stated::of(key.and_then(|(_, value)| value), headers).contradiction(&event)
    }

    #[test]
    fn headers_that_say_what_the_record_says_fit_and_any_other_is_named() {
        assert_eq!(judged(|_| {}), None);
        for at in NAMES {
            let changed = judged(|headers| {
                for (known, value) in headers.iter_mut() {
                    if *known == at {
                        value.get_or_insert_default().push('x');
                    }
                }
            });
            assert_eq!(changed, Some(at));
            let without = judged(|headers| headers.retain(|header| header.0 != at));
            let needed = at == KEY || MUST_BE_THERE.contains(&at);
            assert_eq!(without, needed.then_some(at));
        }
    }

    #[test]
    fn of_a_name_that_stands_twice_the_first_counts_even_where_it_has_no_value() {
        let twice = |first: Option<&str>| {
            let first = first.map(str::to_owned);
            judged(move |headers| headers.insert(1, (CE_ID, first.clone())))
        };
        assert_eq!(twice(Some("another")), Some(CE_ID));
        assert_eq!(twice(None), Some(CE_ID));
        let after = judged(|headers| headers.push((CE_ID, Some("another".to_owned()))));
        assert_eq!(after, None);
    }

    #[test]
    fn what_was_read_has_the_envelope_of_its_bytes() {
        let mut nobodys = crate::sample::refusal(4);
        nobodys.tenant = schemas::Text::default();
        nobodys.completed_us.0 = i64::MAX;
        for event in [crate::sample::event(3), crate::sample::refusal(3), nobodys] {
            let nobody = Written {
                producer: "gw-9",
                boot: Boot {
                    counter: 0,
                    nonce: [0; 8],
                },
                position: 9,
            };
            let bytes = crate::sample::encode(&event);
            let of_bytes = envelope(RecordKind::Usage, &bytes, nobody);
            assert_eq!(of_bytes, envelope_of(&event));
        }
    }

    #[test]
    fn every_header_that_is_written_is_compared() {
        let event = crate::sample::event(3);
        let envelope = envelope_of(&event);
        let written: Vec<_> = envelope.headers().iter().map(|(name, _)| *name).collect();
        assert_eq!(written[..], NAMES[1..]);
    }
}
