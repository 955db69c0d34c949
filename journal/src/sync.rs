//! The thread `tg-journal`: one fsync for a group of appends, without holding the append
//! lock; then tidies full segments and keeps a spare one ready.

use std::io;
use std::sync::Arc;

use crate::layer::LayerFile;
use crate::shared::{Shared, Synced};
use crate::suspect;
use crate::writer::{Sealed, State, Writer, make_spare};

pub(crate) const THREAD_NAME: &str = "tg-journal";

/// What one group has to make durable, and what is durable then.
struct Group {
    sealed: Vec<Sealed>,
    active: Option<Arc<dyn LayerFile>>,
    names: bool,
    reached: Synced,
}

enum Work {
    Sync(Group),
    Finish(Group),
    Stop,
}

/// The thread's life: sync groups until closed or poisoned.
pub(crate) fn run(shared: &Shared) {
    loop {
        let (group, last) = match next_work(shared) {
            Work::Sync(group) => (group, false),
            Work::Finish(group) => (group, true),
            Work::Stop => return,
        };
        if let Err(error) = sync_group(shared, group) {
            shared.poison(format!("sync failed: {error}"));
            suspect::leave(shared);
            return;
        }
        if last {
            finish(shared);
            return;
        }
        keep_spare_ready(shared);
    }
}

/// Syncs all that is appended now; for the start, before the thread runs.
pub(crate) fn sync_now(shared: &Shared) -> io::Result<()> {
    let group = take_group(&mut shared.writer.lock());
    sync_group(shared, group)
}

fn next_work(shared: &Shared) -> Work {
    let mut writer = shared.writer.lock();
    while writer.state == State::Open && writer.unsynced_bytes == 0 && !writer.sync_requested {
        shared.wake.wait(&mut writer);
    }
    let interval = writer.options.sync_interval;
    let gathers = |writer: &mut Writer| {
        writer.state == State::Open
            && !writer.sync_requested
            && writer.unsynced_bytes < writer.options.sync_bytes
    };
    shared.wake.wait_while_for(&mut writer, gathers, interval);
    match writer.state {
        State::Poisoned(_) => Work::Stop,
        State::Open => Work::Sync(take_group(&mut writer)),
        State::Closed => Work::Finish(take_group(&mut writer)),
    }
}

fn take_group(writer: &mut Writer) -> Group {
    let unsynced = std::mem::take(&mut writer.unsynced_bytes) > 0;
    writer.sync_requested = false;
    Group {
        sealed: std::mem::take(&mut writer.unsynced_sealed),
        active: unsynced.then(|| Arc::clone(&writer.active.file)),
        names: std::mem::take(&mut writer.dir_dirty),
        reached: Synced {
            end: writer.end,
            poisoned: false,
            closed: false,
            segment_base: writer.active.base,
            segment_offset: writer.active.offset,
        },
    }
}

fn sync_group(shared: &Shared, group: Group) -> io::Result<()> {
    for full in &group.sealed {
        full.file.sync_data()?;
    }
    if let Some(active) = &group.active {
        active.sync_data()?;
    }
    if group.names {
        let names = Arc::clone(&shared.writer.lock().names);
        names.sync()?;
    }
    shared.synced.send_modify(|synced| {
        let poisoned = synced.poisoned;
        *synced = Synced {
            poisoned,
            ..group.reached
        };
    });
    for full in group.sealed {
        // Gives back the reserved tail. If that fails the next start does it.
        let _trimmed = full.file.set_len(full.bytes);
    }
    Ok(())
}

/// Preallocates the next segment while appends go on, so that rolling is cheap.
fn keep_spare_ready(shared: &Shared) {
    let (layer, path, segment_bytes) = {
        let mut writer = shared.writer.lock();
        let half = writer.options.segment_bytes / 2;
        if !writer.spares.is_empty() || writer.active.offset < half {
            return;
        }
        let Some(path) = writer.begin_spare() else {
            return;
        };
        (
            Arc::clone(&writer.layer),
            path,
            writer.options.segment_bytes,
        )
    };
    let made = make_spare(&*layer, path, segment_bytes);
    // No room for a spare is no error here: the append that needs it will say so.
    let _outcome = shared.writer.lock().end_spare(made);
}

/// After the last sync: gives back what was reserved, and says that nothing more comes.
fn finish(shared: &Shared) {
    let mut writer = shared.writer.lock();
    let _trimmed = writer.active.file.set_len(writer.active.offset);
    for spare in std::mem::take(&mut writer.spares) {
        let _removed = writer.layer.remove(&spare.path);
    }
    drop(writer);
    shared.synced.send_modify(|synced| synced.closed = true);
}
