//! The start of a segment file and the names of files in a journal directory. Pure.
//!
//! ```text
//! magic 8 bytes | format version u32 | salt u32 | base position u64 | crc u32      little endian
//! ```
//! Magic, version and the CRC over the first 24 bytes stay in this place in every version,
//! so that an older program can tell a newer file from a damaged one.

use std::path::{Path, PathBuf};

pub(crate) const SEGMENT_HEADER_BYTES: u64 = HEADER as u64;
pub(crate) const FORMAT_VERSION: u32 = 1;
pub(crate) const LOCK_FILE: &str = "journal.lock";
pub(crate) const BOOT_FILE: &str = "boot";
pub(crate) const SUSPECT_FILE: &str = "suspect";
pub(crate) const QUARANTINE_DIR: &str = "quarantine";

pub(crate) const HEADER: usize = 28;
const MAGIC: &[u8; 8] = b"TGJRNL\r\n";
const CRC_AT: usize = 24;

/// What the first bytes of a segment file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderRead {
    Good { salt: u32, base: u64 },
    NewerVersion { found: u32 },
    Damaged,
}

pub(crate) fn encode(salt: u32, base: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&salt.to_le_bytes());
    header[16..24].copy_from_slice(&base.to_le_bytes());
    let crc = crc32c::crc32c(&header[..CRC_AT]);
    header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(crate) fn decode(bytes: &[u8]) -> HeaderRead {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return HeaderRead::Damaged;
    };
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if &header[0..8] != MAGIC || crc32c::crc32c(&header[..CRC_AT]) != word(CRC_AT) {
        return HeaderRead::Damaged;
    }
    match word(8) {
        FORMAT_VERSION => HeaderRead::Good {
            salt: word(12),
            base: u64::from(word(16)) | (u64::from(word(20)) << 32),
        },
        found => HeaderRead::NewerVersion { found },
    }
}

/// Where the segment that starts at `base` lives.
pub(crate) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.seg"))
}

/// Where a spare segment waits until its base is known. As long as a segment's name, so
/// that renaming it needs no more room in the directory.
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.new"))
}

/// The base position in a segment's name.
pub(crate) fn base_of_name(name: &str) -> Option<u64> {
    number_before(name, ".seg")
}

/// The number in a spare's name.
pub(crate) fn number_of_spare(name: &str) -> Option<u64> {
    number_before(name, ".new")
}

fn number_before(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_bytes_that_it_always_had() {
        assert_eq!(
            hex::encode(encode(9, 1 << 40)),
            "54474a524e4c0d0a01000000090000000000000000010000ec61ddcd"
        );
    }

    #[test]
    fn a_header_reads_back_and_any_flip_is_damage() {
        let header = encode(9, 1 << 40);
        let good = HeaderRead::Good {
            salt: 9,
            base: 1 << 40,
        };
        assert_eq!(decode(&header), good);
        for at in 0..HEADER {
            let mut bad = header;
            bad[at] ^= 0x10;
            assert_eq!(decode(&bad), HeaderRead::Damaged, "byte {at}");
        }
        assert_eq!(decode(&header[..HEADER - 1]), HeaderRead::Damaged);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut newer = encode(9, 5);
        newer[8] = 2;
        let crc = crc32c::crc32c(&newer[..CRC_AT]).to_le_bytes();
        newer[CRC_AT..].copy_from_slice(&crc);
        assert_eq!(decode(&newer), HeaderRead::NewerVersion { found: 2 });
    }

    #[test]
    fn names_read_back() {
        let path = segment_path(Path::new("j"), 42);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(base_of_name(name), Some(42));
        assert_eq!(number_of_spare(name), None);
        assert_eq!(base_of_name("42.seg"), None);
    }
}
