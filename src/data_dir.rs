//! The data directory: made durably, and shown to be writable before anything relies on it.

use std::path::Path;

use anyhow::Context;
use schemas::fs_names;

/// Only its owner may look into it.
const MODE: u32 = 0o700;

/// Makes the data directory, or says why it cannot be used.
pub fn make(dir: &Path) -> anyhow::Result<()> {
    runtime::dirs::make(dir, MODE).with_context(|| {
        format!(
            "cannot make the data directory {}; change `data_dir`",
            dir.display()
        )
    })?;
    let probe = dir.join(".writable");
    std::fs::write(&probe, b"").with_context(|| {
        format!(
            "the data directory {} is read-only; mount it writable or give it to this user",
            dir.display()
        )
    })?;
    std::fs::remove_file(&probe)?;
    runtime::dirs::make(&dir.join(fs_names::RUN_DIR), MODE)?;
    Ok(())
}
