//! A record as it lies in a segment: its place, its kind, its envelope where the log has one, its bytes exactly as in the log.
//!
//! Little-endian: offset `i64`, kind `u8`, flags `u8`; then, as the flags say, time `i64`, key (`u32` length, bytes), headers
//! (`u16` count; each a name by `u16` and a value by `u32`, where the largest length means no value); then the bytes by `u32`.

use std::io::{self, Read, Write};

use bytes::Bytes;

/// The first bytes of every segment, before compression.
pub(crate) const MAGIC: &[u8; 8] = b"TGARCH1\n";
/// No part of a record is larger: a length beyond is damage, and must not be believed.
const MAX_PART_BYTES: u32 = 64 << 20;
const NO_VALUE: u32 = u32::MAX;

const HAS_TIME: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_ENVELOPE: u8 = 4;

/// What Kafka keeps beside a record's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The key.
    pub key: Option<Bytes>,
    /// The headers, in their order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub offset: i64,
    /// The kind byte of the journal.
    pub kind: u8,
    /// When it was appended, in microseconds since the epoch; in a journal what the record itself says. Absent if unknown.
    pub time_us: Option<i64>,
    /// Key and headers; a journal has none.
    pub envelope: Option<Envelope>,
    /// As it was written.
    pub bytes: Bytes,
}

impl Entry {
    /// Writes it; gives the number of bytes.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<u64> {
        let mut head = Vec::with_capacity(256);
        let envelope = self.envelope.as_ref();
        let key = envelope.and_then(|envelope| envelope.key.as_ref());
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        head.extend_from_slice(&self.offset.to_le_bytes());
        head.push(self.kind);
        head.push(
            flag(self.time_us.is_some(), HAS_TIME)
                | flag(key.is_some(), HAS_KEY)
                | flag(envelope.is_some(), HAS_ENVELOPE),
        );
        if let Some(time_us) = self.time_us {
            head.extend_from_slice(&time_us.to_le_bytes());
        }
        if let Some(key) = key {
            put(&mut head, key)?;
        }
        if let Some(envelope) = envelope {
            put_headers(&mut head, &envelope.headers)?;
        }
        head.extend_from_slice(&length(self.bytes.len())?.to_le_bytes());
        out.write_all(&head)?;
        out.write_all(&self.bytes)?;
        Ok((head.len() + self.bytes.len()) as u64)
    }

    /// Reads the next; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(offset) = first_of(from)? else {
            return Ok(None);
        };
        let [kind, flags] = take(from)?;
        let has = |flag: u8| flags & flag != 0;
        let time_us = if has(HAS_TIME) {
            Some(i64::from_le_bytes(take(from)?))
        } else {
            None
        };
        let key = if has(HAS_KEY) {
            Some(part(from)?.ok_or_else(|| bad("a key without bytes"))?)
        } else {
            None
        };
        let envelope = if has(HAS_ENVELOPE) {
            Some(Envelope {
                key,
                headers: headers(from)?,
            })
        } else {
            None
        };
        Ok(Some(Self {
            offset,
            kind,
            time_us,
            envelope,
            bytes: part(from)?.ok_or_else(|| bad("a record without bytes"))?,
        }))
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn length(length: usize) -> io::Result<u32> {
    let length = u32::try_from(length).ok();
    length
        .filter(|length| *length <= MAX_PART_BYTES)
        .ok_or_else(|| bad("a part of a record is too large"))
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    out.extend_from_slice(&length(bytes.len())?.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_headers(out: &mut Vec<u8>, headers: &[(String, Option<Bytes>)]) -> io::Result<()> {
    let count = u16::try_from(headers.len()).map_err(|_| bad("too many headers"))?;
    out.extend_from_slice(&count.to_le_bytes());
    for (name, value) in headers {
        let length = u16::try_from(name.len()).map_err(|_| bad("a header's name is too long"))?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) => put(out, value)?,
            None => out.extend_from_slice(&NO_VALUE.to_le_bytes()),
        }
    }
    Ok(())
}

/// The offset that begins a record, or the end of the segment between two.
fn first_of(from: &mut impl Read) -> io::Result<Option<i64>> {
    let mut offset = [0; 8];
    let mut filled = 0;
    while filled < offset.len() {
        match from.read(&mut offset[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(Some(i64::from_le_bytes(offset)))
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn part(from: &mut impl Read) -> io::Result<Option<Bytes>> {
    let length = u32::from_le_bytes(take(from)?);
    if length == NO_VALUE {
        return Ok(None);
    }
    if length > MAX_PART_BYTES {
        return Err(bad("a length is beyond every bound"));
    }
    Ok(Some(exactly(from, u64::from(length))?.into()))
}

/// Grows with what is there, not with what is claimed.
fn exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn headers(from: &mut impl Read) -> io::Result<Vec<(String, Option<Bytes>)>> {
    let count = u16::from_le_bytes(take(from)?);
    let mut headers = Vec::new();
    for _ in 0..count {
        let length = u16::from_le_bytes(take(from)?);
        let name = exactly(from, u64::from(length))?;
        let name = String::from_utf8(name).map_err(|_| bad("a header's name is no text"))?;
        headers.push((name, part(from)?));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Entry> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from);
        let headers = prop::collection::vec((".{0,12}", prop::option::of(bytes())), 0..4);
        let envelope = (prop::option::of(bytes()), headers)
            .prop_map(|(key, headers)| Envelope { key, headers });
        let times = prop::option::of(any::<i64>());
        (
            any::<i64>(),
            any::<u8>(),
            times,
            prop::option::of(envelope),
            bytes(),
        )
            .prop_map(|(offset, kind, time_us, envelope, bytes)| Entry {
                offset,
                kind,
                time_us,
                envelope,
                bytes,
            })
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were_and_a_cut_off_one_is_seen(
            records in prop::collection::vec(entries(), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut written = Vec::new();
            let mut ends = vec![0];
            for record in &records {
                let length = record.write(&mut written).unwrap();
                ends.push(ends[ends.len() - 1] + usize::try_from(length).unwrap());
            }
            let mut from = written.as_slice();
            for record in &records {
                prop_assert_eq!(Entry::read(&mut from).unwrap(), Some(record.clone()));
            }
            prop_assert_eq!(Entry::read(&mut from).unwrap(), None);
            let at = cut.index(written.len());
            let mut from = &written[..at];
            let read = std::iter::from_fn(|| Entry::read(&mut from).transpose());
            let is_whole = read.collect::<Vec<_>>().iter().all(Result::is_ok);
            prop_assert_eq!(is_whole, ends.contains(&at));
        }
    }
}
