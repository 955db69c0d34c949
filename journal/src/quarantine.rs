//! Copies bytes that are no frame aside before anything is cut. Never deletes.

use std::io;
use std::path::{Path, PathBuf};

use crate::header::QUARANTINE_DIR;
use crate::layer::{FileLayer, LayerFile, OpenMode, read_full, write_full};

const CHUNK: usize = 64 << 10;

/// Copies `bytes` at `offset` of a segment into the quarantine directory, once: the name says
/// where they came from, and a copy that is there already stays.
pub(crate) fn keep(
    layer: &dyn FileLayer,
    segment: &Path,
    file: &dyn LayerFile,
    offset: u64,
    bytes: u64,
) -> io::Result<PathBuf> {
    let above = segment.parent().unwrap_or(Path::new("."));
    let dir = above.join(QUARANTINE_DIR);
    let stem = segment.file_stem().unwrap_or_default().to_string_lossy();
    layer.create_dir_all(&dir)?;
    let mut copy = 0;
    let path = loop {
        let path = dir.join(format!("{stem}-{offset}-{bytes}.{copy}.bad"));
        match layer.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break path,
            Err(error) => return Err(error),
            Ok(kept) if holds(&*kept, file, offset, bytes)? => return Ok(path),
            Ok(_) => copy += 1,
        }
    };
    let kept = layer.open(&path, OpenMode::Create)?;
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    while done < bytes {
        let want = chunk_bytes(bytes - done);
        let filled = read_full(file, &mut chunk[..want], offset + done)?;
        if filled == 0 {
            break;
        }
        write_full(&*kept, &chunk[..filled], done)?;
        done += filled as u64;
    }
    kept.sync_data()?;
    layer.sync_dir(&dir)?;
    // The directory's own name too: what comes next is the cut.
    layer.sync_dir(above)?;
    Ok(path)
}

fn holds(kept: &dyn LayerFile, file: &dyn LayerFile, offset: u64, bytes: u64) -> io::Result<bool> {
    if kept.len()? != bytes {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut done = 0;
    while done < bytes {
        let want = chunk_bytes(bytes - done);
        read_full(kept, &mut left[..want], done)?;
        read_full(file, &mut right[..want], offset + done)?;
        if left[..want] != right[..want] {
            return Ok(false);
        }
        done += want as u64;
    }
    Ok(true)
}

fn chunk_bytes(left: u64) -> usize {
    usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)
}
