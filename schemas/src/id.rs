//! Identities: of a request (event), of a producer's start (boot).

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::name::Text;
use crate::time::Micros;

/// The only identity of a request: a `UUIDv7` minted at admission, written in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct EventId(#[schemars(with = "String")] Uuid);

impl EventId {
    /// An id from the instant of admission and ten random bytes.
    #[must_use]
    pub fn mint(at: Micros, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id as the store keeps it.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// Sixteen bytes, most significant first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Not a `UUIDv7` in lower case.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a UUIDv7 in lower case with hyphens")]
pub struct BadEventId(String);

impl FromStr for EventId {
    type Err = BadEventId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadEventId(text.chars().take(64).collect());
        let uuid = Uuid::try_parse(text).map_err(|_| bad())?;
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        let canonical = *uuid.hyphenated().encode_lower(&mut buffer) == *text;
        if !canonical || uuid.get_version_num() != 7 {
            return Err(bad());
        }
        Ok(Self(uuid))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(PhantomData))
    }
}

/// One start of a producer: a counter that is kept on disk and a random nonce, written `7-0123456789abcdef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Boot {
    /// How many times this producer has started, this start included.
    pub counter: u64,
    /// Tells two starts with one counter apart (a copied disk).
    pub nonce: [u8; 8],
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{:016x}",
            self.counter,
            u64::from_be_bytes(self.nonce)
        )
    }
}

/// Not a boot as written by [`Boot`]'s `Display`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a boot (counter, hyphen, sixteen lower-case hex digits)")]
pub struct BadBoot(String);

impl FromStr for Boot {
    type Err = BadBoot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadBoot(text.chars().take(64).collect());
        let (counter, nonce) = text.split_once('-').ok_or_else(bad)?;
        let boot = Self {
            counter: counter.parse().map_err(|_| bad())?,
            nonce: u64::from_str_radix(nonce, 16)
                .map_err(|_| bad())?
                .to_be_bytes(),
        };
        if boot.text().as_str() != text {
            return Err(bad());
        }
        Ok(boot)
    }
}

impl Boot {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> Text {
        Text::of(format_args!("{self}"))
    }
}

impl Serialize for Boot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Boot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(PhantomData))
    }
}

/// Reads a text and parses it.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_sort_by_time_and_round_trip() {
        let early = EventId::mint(Micros(1_700_000_000_000_000), [255; 10]);
        let late = EventId::mint(Micros(1_700_000_000_001_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
    }

    #[test]
    fn other_versions_upper_case_and_noise_are_refused() {
        for bad in [
            "018bcfe5-6800-4fff-bfff-ffffffffffff",
            "018BCFE5-6800-7FFF-BFFF-FFFFFFFFFFFF",
            "018bcfe568007fffbfffffffffffffff",
            "",
        ] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn boots_round_trip_and_have_one_spelling() {
        let boot = Boot {
            counter: 7,
            nonce: [0, 1, 2, 3, 4, 5, 6, 255],
        };
        assert_eq!(boot.to_string(), "7-00010203040506ff");
        assert_eq!(boot.to_string().parse(), Ok(boot));
        assert!("07-00010203040506ff".parse::<Boot>().is_err());
        assert!("7-102".parse::<Boot>().is_err());
    }
}
