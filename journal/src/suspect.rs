//! After a failed sync the system may hold pages that look durable and are not, and a later
//! sync would pass them by. A warning file makes the next start write them again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::durable::{self, Small};
use crate::error::OpenError;
use crate::header::SUSPECT_FILE;
use crate::layer::{FileLayer, LayerFile, read_full, write_full};
use crate::recover::failed;
use crate::shared::Shared;

const CHUNK: usize = 64 << 10;

/// Leaves the warning: frames from the synced end on are suspect.
pub(crate) fn leave(shared: &Shared) {
    let (layer, dir) = {
        let writer = shared.writer.lock();
        (Arc::clone(&writer.layer), writer.options.dir.clone())
    };
    warn(&*layer, &dir, shared.synced().end);
}

/// Leaves the warning for frames from a position on. The disk is ailing, so this may fail too; nothing was promised about those
/// frames.
pub(crate) fn warn(layer: &dyn FileLayer, dir: &Path, from: u64) {
    let path = dir.join(SUSPECT_FILE);
    let _stored = durable::store(layer, &path, &from.to_le_bytes());
}

/// The first suspect position, if the last run left a warning.
pub(crate) fn load(layer: &dyn FileLayer, dir: &Path) -> Result<Option<u64>, OpenError> {
    let path = dir.join(SUSPECT_FILE);
    let small = durable::load(layer, &path).map_err(failed("reading", &path))?;
    Ok(match small {
        Small::Missing => None,
        Small::Damaged => Some(0),
        Small::Good(content) => Some(
            content
                .first_chunk()
                .map_or(0, |from| u64::from_le_bytes(*from)),
        ),
    })
}

/// Writes a file's bytes over themselves, so that the next sync means something.
pub(crate) fn rewrite(file: &dyn LayerFile) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let filled = read_full(file, &mut chunk, offset)?;
        if filled == 0 {
            return Ok(());
        }
        write_full(file, &chunk[..filled], offset)?;
        offset += filled as u64;
    }
}

/// All frames are written again and synced: the failed sync of the last run is history.
pub(crate) fn clear(layer: &dyn FileLayer, dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(SUSPECT_FILE);
    let cleared = layer.remove(&path).and_then(|()| layer.sync_dir(dir));
    cleared.map_err(failed("removing", &path))
}
