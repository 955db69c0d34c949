//! Opening, in order: lock, adopt spares, repair, reserve room, begin a new boot.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::boot::{Boot, BootFile};
use crate::damage::Alarm;
use crate::durable;
use crate::error::{AppendError, OpenError};
use crate::frame::{BOOT_KIND, Lane, salt_is_usable};
use crate::header::{self, BOOT_FILE, LOCK_FILE, SEGMENT_HEADER_BYTES};
use crate::layer::{FileLayer, LayerFile, LayerLock, OpenMode, is_full, write_full};
use crate::options::Options;
use crate::recover::{Found, Recovery, Repair, failed};
use crate::segments::Segment;
use crate::shared::{Shared, Synced};
use crate::suspect;
use crate::sync;
use crate::writer::{Active, Spare, State, Writer};

/// Everything that a running journal is made of, before its thread.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) shared: Shared,
    pub(crate) recovery: Recovery,
    pub(crate) lock: Box<dyn LayerLock>,
}

pub(crate) fn open(options: Options, layer: &Arc<dyn FileLayer>) -> Result<Opened, OpenError> {
    if let Some(problem) = options.problem() {
        return Err(OpenError::Options(problem));
    }
    let dir = options.dir.clone();
    make_dir(&**layer, &dir)?;
    let lock = take_lock(&**layer, &dir)?;
    let spare_numbers = adopt_unnamed(&**layer, &dir)?;
    let mut found = Repair {
        layer: &**layer,
        dir: &dir,
        refusal_lane_bytes: options.refusal_lane_bytes,
    }
    .run()?;
    let boot = Boot {
        counter: found.boots.next_counter(found.boot_file),
        nonce: rand::random(),
    };
    let rewrite_from = found.rewrite_from;
    if let Some(from_position) = rewrite_from {
        found
            .boots
            .alarms
            .push(Alarm::RewroteUnsynced { from_position });
    }
    let salt = found
        .salt
        .filter(|&salt| salt_is_usable(salt))
        .unwrap_or_else(new_salt);
    let mut recovery = Recovery {
        boot,
        recovered_end: found.end,
        boot_position: found.end,
        first_position: 0,
        torn_tail: found.torn_tail.take(),
        damage: std::mem::take(&mut found.damage),
        alarms: std::mem::take(&mut found.boots.alarms),
    };
    let mut writer = make_writer(options, Arc::clone(layer), salt, found)?;
    adopt_spares(&mut writer, &spare_numbers);
    recovery.first_position = writer.segments.first_base().unwrap_or(writer.end);
    begin_boot(&mut writer, boot)?;
    let shared = share(writer);
    sync::sync_now(&shared).map_err(|error| {
        let from = rewrite_from.unwrap_or(recovery.boot_position);
        suspect::warn(&**layer, &dir, from.min(recovery.boot_position));
        failed("syncing", &dir.join(LOCK_FILE))(error)
    })?;
    if rewrite_from.is_some() {
        suspect::clear(&**layer, &dir)?;
    }
    Ok(Opened {
        shared,
        recovery,
        lock,
    })
}

/// Makes the directory, durably when it is new.
fn make_dir(layer: &dyn FileLayer, dir: &Path) -> Result<(), OpenError> {
    let is_missing = |dir: &&Path| {
        let listed = layer.list(dir);
        !dir.as_os_str().is_empty()
            && listed.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let new: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    layer
        .create_dir_all(dir)
        .map_err(failed("making", &dir.join(LOCK_FILE)))?;
    // Each name lies in the directory above it.
    for above in new.iter().rev().filter_map(|dir| dir.parent()) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        layer.sync_dir(above).map_err(failed("syncing", above))?;
    }
    Ok(())
}

/// Keeps every writer out of a directory that none has open, for as long as the value lives; for tools that read it in peace.
pub fn lock_dir(dir: &Path) -> Result<Box<dyn LayerLock>, OpenError> {
    take_lock(&crate::real::RealLayer, dir)
}

fn take_lock(layer: &dyn FileLayer, dir: &Path) -> Result<Box<dyn LayerLock>, OpenError> {
    let path = dir.join(LOCK_FILE);
    layer.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked {
            dir: dir.to_path_buf(),
        },
        _ => failed("locking", &path)(error),
    })
}

/// Looks at files that still carry a spare's name. One with frames became a segment whose
/// renaming was lost: it gets its name now. The others are spares; their numbers are returned.
fn adopt_unnamed(layer: &dyn FileLayer, dir: &Path) -> Result<Vec<u64>, OpenError> {
    let names = layer.list(dir).map_err(failed("listing", dir))?;
    let mut spares = Vec::new();
    for number in names
        .iter()
        .filter_map(|name| header::number_of_spare(name))
    {
        let path = header::spare_path(dir, number);
        let file = layer
            .open(&path, OpenMode::Read)
            .map_err(failed("opening", &path))?;
        let base = first_position_of(&*file).map_err(failed("reading", &path))?;
        match base.map(|base| header::segment_path(dir, base)) {
            Some(to) if !names.iter().any(|name| to.ends_with(name)) => {
                layer
                    .rename(&path, &to)
                    .map_err(failed("renaming", &path))?;
            }
            _ => spares.push(number),
        }
    }
    Ok(spares)
}

/// The base position of a segment that holds more than its header.
pub(crate) fn first_position_of(file: &dyn LayerFile) -> io::Result<Option<u64>> {
    let mut bytes = [0; header::HEADER];
    let filled = crate::layer::read_full(file, &mut bytes, 0)?;
    match header::decode(&bytes[..filled]) {
        header::HeaderRead::Good { base, .. } if file.len()? > SEGMENT_HEADER_BYTES => {
            Ok(Some(base))
        }
        _ => Ok(None),
    }
}

/// Keeps the room that the last run had reserved; what can not be kept is removed.
fn adopt_spares(writer: &mut Writer, numbers: &[u64]) {
    for &number in numbers {
        writer.next_spare_number = writer.next_spare_number.max(number);
        let path = header::spare_path(&writer.options.dir, number);
        let within = writer.allocated_bytes() + writer.options.segment_bytes
            <= writer.options.capacity_bytes;
        let kept = writer.layer.open(&path, OpenMode::Write).and_then(|file| {
            if file.len()? > 0 {
                // Durably: what it held must not come back when it is a segment again.
                file.set_len(0)?;
                file.sync_data()?;
            }
            file.preallocate(writer.options.segment_bytes)?;
            Ok(file)
        });
        match kept {
            Ok(file) if within => writer.spares.push(Spare { file, path }),
            // Only room is lost; an append that needs it will say so.
            Ok(_) | Err(_) => drop(writer.layer.remove(&path)),
        }
    }
}

fn make_writer(
    options: Options,
    layer: Arc<dyn FileLayer>,
    salt: u32,
    mut found: Found,
) -> Result<Writer, OpenError> {
    let end = found.end;
    let active = match found.segments.pop_last() {
        Some(last) if found.last_is_sound && last.bytes < options.segment_bytes => {
            let active = continue_segment(&options, &*layer, &last)?;
            found.segments.push(last);
            active
        }
        last => {
            if let Some(last) = last {
                found.segments.push(last);
            }
            let (active, segment) = new_segment(&options, &*layer, salt, end)?;
            found.segments.push(segment);
            active
        }
    };
    let older = found
        .segments
        .iter()
        .filter(|segment| segment.base != active.base);
    let closed_bytes = older.map(|segment| segment.bytes).sum();
    let names = layer
        .hold_dir(&options.dir)
        .map_err(failed("opening", &options.dir))?;
    Ok(Writer {
        refusal_bytes: found
            .segments
            .iter()
            .map(|segment| segment.refusal_bytes)
            .sum(),
        lane: found.lane,
        writers: found.writers,
        options,
        layer,
        names,
        salt,
        state: State::Open,
        active,
        spares: Vec::new(),
        spares_in_making: 0,
        next_spare_number: 0,
        segments: found.segments,
        closed_bytes,
        end,
        reserved: 0,
        abandoned: 0,
        unsynced_bytes: 0,
        unsynced_sealed: Vec::new(),
        dir_dirty: true,
        sync_requested: false,
        buffer: Vec::new(),
    })
}

fn continue_segment(
    options: &Options,
    layer: &dyn FileLayer,
    last: &Segment,
) -> Result<Active, OpenError> {
    let file = layer
        .open(&last.path, OpenMode::Write)
        .map_err(failed("opening", &last.path))?;
    reserve(options, &*file, &last.path)?;
    Ok(Active {
        file,
        base: last.base,
        offset: last.bytes,
    })
}

fn new_segment(
    options: &Options,
    layer: &dyn FileLayer,
    salt: u32,
    base: u64,
) -> Result<(Active, Segment), OpenError> {
    let path = header::segment_path(&options.dir, base);
    let file = layer
        .open(&path, OpenMode::Create)
        .map_err(failed("making", &path))?;
    reserve(options, &*file, &path)?;
    write_full(&*file, &header::encode(salt, base), 0).map_err(failed("writing", &path))?;
    let active = Active {
        file,
        base,
        offset: SEGMENT_HEADER_BYTES,
    };
    Ok((
        active,
        Segment {
            base,
            path,
            bytes: 0,
            refusal_bytes: 0,
        },
    ))
}

fn reserve(options: &Options, file: &dyn LayerFile, path: &Path) -> Result<(), OpenError> {
    file.preallocate(options.segment_bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => OpenError::NoPreallocation {
                dir: options.dir.clone(),
            },
            _ if is_full(&error) => no_room(options),
            _ => failed("reserving room in", path)(error),
        })
}

fn no_room(options: &Options) -> OpenError {
    OpenError::NoRoom {
        dir: options.dir.clone(),
        needed_bytes: options.segment_bytes,
    }
}

/// The boot file goes first: should the frame not follow, a counter is skipped, never reused.
fn begin_boot(writer: &mut Writer, boot: Boot) -> Result<(), OpenError> {
    let path = writer.options.dir.join(BOOT_FILE);
    let content = BootFile {
        boot,
        salt: writer.salt,
    }
    .to_bytes();
    durable::store(&*writer.layer, &path, &content).map_err(|error| match error {
        error if is_full(&error) => no_room(&writer.options),
        error => failed("storing", &path)(error),
    })?;
    let payload = boot.to_frame(writer.end);
    match writer.append((BOOT_KIND, Lane::Main), &payload, 0) {
        Ok(position) => {
            writer.writers.note(position, boot);
            Ok(())
        }
        Err(AppendError::Full { .. }) => Err(no_room(&writer.options)),
        Err(error) => Err(failed("appending to", &path)(io::Error::other(
            error.to_string(),
        ))),
    }
}

fn share(writer: Writer) -> Shared {
    let nothing = Synced {
        end: 0,
        poisoned: false,
        closed: false,
        segment_base: writer.active.base,
        segment_offset: 0,
    };
    Shared {
        writer: Mutex::new(writer),
        wake: Condvar::new(),
        synced: watch::Sender::new(nothing),
        retiring: Mutex::new(()),
    }
}

fn new_salt() -> u32 {
    loop {
        let salt = rand::random();
        if salt_is_usable(salt) {
            return salt;
        }
    }
}
