//! What an operator declares of a producer, on its way into the journal of this machine: a command leaves it in the data directory,
//! whoever has the journal open takes it up. A file goes only when its record is safe in the journal; taken up twice, it is the same
//! record twice.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use runtime::shutdown::Shutdown;
use schemas::{ProducerRecord, ProducerState, RecordKind, fs_names};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
const READY: &str = "json";
const REFUSED: &str = "refused";
/// A record is never larger.
const MAX_BYTES: u64 = 16 << 10;

/// Leaves a record to be taken up; durable when this returns.
pub fn leave(data_dir: &Path, record: &ProducerRecord) -> anyhow::Result<PathBuf> {
    let dir = data_dir.join(fs_names::DECLARED_DIR);
    let name = format!("{}-{}", record.clock_us.0, record.boot);
    let (ready, unready) = (
        dir.join(&name).with_extension(READY),
        dir.join(&name).with_extension("part"),
    );
    let leaving = || {
        std::fs::create_dir_all(&dir)?;
        let mut file = std::fs::File::create(&unready)?;
        file.write_all(&record.encode())?;
        file.sync_all()?;
        std::fs::rename(&unready, &ready)?;
        std::fs::File::open(&dir)?.sync_all()
    };
    leaving().with_context(|| format!("{} cannot be written", ready.display()))?;
    Ok(ready)
}

/// Takes up what was left, until the stop.
pub async fn take_up(journal: journal::Journal, data_dir: PathBuf, shutdown: Shutdown) {
    let dir = data_dir.join(fs_names::DECLARED_DIR);
    loop {
        for file in left(&dir) {
            if let Err(error) = take(&journal, &file).await {
                tracing::warn!(error = format!("{error:#}"), file = %file.display(), "a declaration is not in the journal yet");
            }
        }
        let pause = tokio::time::sleep(EVERY);
        if shutdown
            .token()
            .run_until_cancelled_owned(pause)
            .await
            .is_none()
        {
            return;
        }
    }
}

fn left(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == READY))
        .collect();
    files.sort();
    files
}

async fn take(journal: &journal::Journal, file: &Path) -> anyhow::Result<()> {
    let Some(bytes) = read(file)? else {
        std::fs::rename(file, file.with_extension(REFUSED))?;
        tracing::error!(file = %file.display(), "not a declared loss: it is left aside");
        return Ok(());
    };
    let ticket = journal.append(RecordKind::Producer as u8, &bytes)?;
    ticket.synced().await?;
    std::fs::remove_file(file)?;
    tracing::warn!(file = %file.display(), "a declared loss is in the log");
    Ok(())
}

/// The record's bytes, if it is one.
fn read(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    if std::fs::metadata(file)?.len() > MAX_BYTES {
        return Ok(None);
    }
    let bytes = std::fs::read(file)?;
    let record = ProducerRecord::decode(&bytes).ok();
    let is_loss = record.is_some_and(|record| record.state == ProducerState::DeclaredLost);
    Ok(is_loss.then_some(bytes))
}
