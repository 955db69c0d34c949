//! Replaces a small file so that after any crash it holds the old bytes or the new ones.
//! The bytes carry a checksum; what they mean is the caller's.

use std::io;
use std::path::Path;

use crate::layer::{FileLayer, OpenMode, read_full, write_full};

const MAGIC: &[u8; 4] = b"TGC1";
const HEADER: usize = 12;

/// Largest content of a small durable file, in bytes.
pub(crate) const MAX_CONTENT_BYTES: usize = 4096;

/// What a small durable file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Small {
    Missing,
    Damaged,
    Good(Vec<u8>),
}

/// Writes `content` to `path`: temporary file, fsync, rename, fsync of the directory.
pub(crate) fn store(layer: &dyn FileLayer, path: &Path, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len())
        .ok()
        .filter(|_| content.len() <= MAX_CONTENT_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "content above 4 KiB"))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("tmp");
    let mut bytes = Vec::with_capacity(HEADER + content.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(content).to_le_bytes());
    bytes.extend_from_slice(content);
    let file = layer.open(&temporary, OpenMode::Create)?;
    write_full(&*file, &bytes, 0)?;
    file.sync_data()?;
    layer.rename(&temporary, path)?;
    layer.sync_dir(dir)
}

/// Reads what `store` wrote.
pub(crate) fn load(layer: &dyn FileLayer, path: &Path) -> io::Result<Small> {
    let file = match layer.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Small::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; HEADER + MAX_CONTENT_BYTES + 1];
    let filled = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(filled);
    Ok(checked(&bytes).map_or(Small::Damaged, |content| Small::Good(content.to_vec())))
}

fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, content) = rest.split_first_chunk::<4>()?;
    let good = magic == MAGIC
        && u32::from_le_bytes(*length) as usize == content.len()
        && u32::from_le_bytes(*crc) == crc32c::crc32c(content);
    good.then_some(content)
}
