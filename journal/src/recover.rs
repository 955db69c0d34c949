//! Reads everything that is in a journal directory and repairs what a crash left: cuts the
//! torn tail, copies damage aside, keeps the good frames behind it. Starts nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::boot::{Boot, BootFile, BootsSeen};
use crate::damage::{Alarm, Damage, DamageCause};
use crate::durable;
use crate::error::OpenError;
use crate::frame::{BOOT_KIND, Frame, Lane, frame_bytes};
use crate::header::{self, BOOT_FILE, FORMAT_VERSION, HeaderRead, SEGMENT_HEADER_BYTES};
use crate::lane::RefusalLane;
use crate::layer::{FileLayer, LayerFile, OpenMode};
use crate::quarantine;
use crate::scan::{Limit, Scan, Step};
use crate::segments::{Segment, SegmentList};
use crate::suspect;
use crate::writers::Writers;

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The boot that has just begun.
    pub boot: Boot,
    /// The next position of the last boot: everything below was there before this start.
    pub recovered_end: u64,
    /// Position of this boot's own first frame; equal to `recovered_end`.
    pub boot_position: u64,
    /// The oldest position that is kept.
    pub first_position: u64,
    /// Bytes behind the last good frame that were cut (and copied to the quarantine).
    pub torn_tail: Option<Damage>,
    /// Regions that can not be read, oldest first.
    pub damage: Vec<Damage>,
    /// What a person has to look at.
    pub alarms: Vec<Alarm>,
}

/// The state of a directory after repair.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) salt: Option<u32>,
    pub(crate) segments: SegmentList,
    /// The last run failed to sync from here on: the system may hold pages that it wrongly
    /// takes for durable.
    pub(crate) rewrite_from: Option<u64>,
    /// Can the last segment be continued?
    pub(crate) last_is_sound: bool,
    pub(crate) end: u64,
    pub(crate) boots: BootsSeen,
    pub(crate) writers: Writers,
    pub(crate) lane: RefusalLane,
    pub(crate) boot_file: Option<Boot>,
    pub(crate) torn_tail: Option<Damage>,
    pub(crate) damage: Vec<Damage>,
}

/// One directory under repair.
pub(crate) struct Repair<'a> {
    pub(crate) layer: &'a dyn FileLayer,
    pub(crate) dir: &'a Path,
    pub(crate) refusal_lane_bytes: u64,
}

type Outcome<T> = Result<T, OpenError>;

/// Turns an I/O error into one that names what was tried on which file.
pub(crate) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> OpenError + use<'a> {
    move |source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            OpenError::ReadOnly {
                dir: path.parent().unwrap_or(path).to_path_buf(),
            }
        }
        _ => OpenError::Io {
            action,
            path: path.to_path_buf(),
            source,
        },
    }
}

impl Repair<'_> {
    /// Walks all segments, oldest first.
    pub(crate) fn run(&self) -> Outcome<Found> {
        let bases = self.segment_bases()?;
        let boot_path = self.dir.join(BOOT_FILE);
        let small = durable::load(self.layer, &boot_path).map_err(failed("reading", &boot_path))?;
        let boot_file = BootFile::from_small(&small);
        let mut found = Found {
            // Where no segment is, positions begin anew: they must not pass for those of the journal that was here.
            salt: boot_file
                .filter(|_| !bases.is_empty())
                .map(|file| file.salt),
            segments: SegmentList::default(),
            rewrite_from: suspect::load(self.layer, self.dir)?,
            last_is_sound: false,
            end: bases.first().copied().unwrap_or(0),
            boots: BootsSeen::default(),
            writers: Writers::default(),
            lane: RefusalLane::new(self.refusal_lane_bytes),
            boot_file: boot_file.map(|file| file.boot),
            torn_tail: None,
            damage: Vec::new(),
        };
        if found.salt.is_none() {
            found.salt = self.salt_of_headers(&bases)?;
        }
        for (index, &base) in bases.iter().enumerate() {
            self.walk_segment(&mut found, base, bases.get(index + 1).copied())?;
        }
        Ok(found)
    }

    /// Bases of the segments to walk; a last one that a crash left without a header goes.
    fn segment_bases(&self) -> Outcome<Vec<u64>> {
        let names = self
            .layer
            .list(self.dir)
            .map_err(failed("listing", self.dir))?;
        let mut bases: Vec<u64> = names
            .iter()
            .filter_map(|name| header::base_of_name(name))
            .collect();
        bases.sort_unstable();
        while let [_, .., last] = bases[..] {
            let path = header::segment_path(self.dir, last);
            let file = self
                .layer
                .open(&path, OpenMode::Read)
                .map_err(failed("opening", &path))?;
            if file.len().map_err(failed("measuring", &path))? >= SEGMENT_HEADER_BYTES {
                break;
            }
            self.layer
                .remove(&path)
                .map_err(failed("removing", &path))?;
            bases.pop();
        }
        Ok(bases)
    }

    fn salt_of_headers(&self, bases: &[u64]) -> Outcome<Option<u32>> {
        for &base in bases {
            let path = header::segment_path(self.dir, base);
            let file = self
                .layer
                .open(&path, OpenMode::Read)
                .map_err(failed("opening", &path))?;
            let (_, read) = Scan::start(file, 0, base).map_err(failed("reading", &path))?;
            if let HeaderRead::Good { salt, .. } = read {
                return Ok(Some(salt));
            }
        }
        Ok(None)
    }

    fn walk_segment(&self, found: &mut Found, base: u64, next: Option<u64>) -> Outcome<()> {
        let path = header::segment_path(self.dir, base);
        let file = self
            .layer
            .open(&path, OpenMode::Write)
            .map_err(failed("opening", &path))?;
        let (scan, header) = Scan::start(Arc::clone(&file), found.salt.unwrap_or(0), base)
            .map_err(failed("reading", &path))?;
        if let HeaderRead::NewerVersion { found } = header {
            return Err(OpenError::NewerVersion {
                path,
                found,
                supported: FORMAT_VERSION,
            });
        }
        if base > found.end {
            found.writers.note_damage(found.end);
            found.damage.push(missing(&path, found.end, base));
        }
        found.end = found.end.max(base);
        let bytes = file.len().map_err(failed("measuring", &path))?;
        let mut walk = Walk {
            path,
            file,
            next,
            bytes,
            refusal_bytes: 0,
        };
        let sound = matches!(header, HeaderRead::Good { base: stated, .. } if stated == base);
        self.walk_frames(found, &mut walk, scan)?;
        if !sound {
            self.note_bad_header(found, &walk)?;
        }
        let had_frames = found.end > base;
        if found.rewrite_from.is_some_and(|from| found.end > from) {
            suspect::rewrite(&*walk.file).map_err(failed("writing again", &walk.path))?;
        }
        if !sound && !had_frames && next.is_none() {
            self.layer
                .remove(&walk.path)
                .map_err(failed("removing", &walk.path))?;
            // Its name still says where positions go on: the segment before stays closed.
            found.last_is_sound = false;
            return Ok(());
        }
        found.last_is_sound = sound;
        if next.is_some() {
            // Gives back what a killed run had reserved behind the last frame.
            walk.file
                .set_len(walk.bytes)
                .map_err(failed("trimming", &walk.path))?;
        }
        walk.file.sync_data().map_err(|error| {
            // The system tells of it once: the next start would take its own sync, which succeeds, for this one.
            let from = found.rewrite_from.unwrap_or(base).min(base);
            suspect::warn(self.layer, self.dir, from);
            failed("syncing", &walk.path)(error)
        })?;
        let Walk {
            path,
            bytes,
            refusal_bytes,
            ..
        } = walk;
        found.segments.push(Segment {
            base,
            path,
            bytes,
            refusal_bytes,
        });
        Ok(())
    }

    fn walk_frames(&self, found: &mut Found, walk: &mut Walk, mut scan: Scan) -> Outcome<()> {
        loop {
            let limit = Limit {
                offset: walk.bytes,
                position: walk.next.unwrap_or(u64::MAX),
            };
            let step = scan.step(limit).map_err(failed("reading", &walk.path))?;
            match step {
                Step::Frame(frame) => {
                    found.end = frame.position + 1;
                    note_frame(found, walk, &frame);
                }
                Step::Damaged {
                    offset,
                    bytes,
                    first_position,
                } => {
                    let region = (offset, bytes);
                    let positions = (first_position, scan.position);
                    found.writers.note_damage(first_position);
                    let damage = self.set_aside(walk, DamageCause::Frame, region, positions)?;
                    found.damage.push(damage);
                }
                Step::BadTail { offset, bytes } => {
                    return self.bad_tail(found, walk, (offset, bytes));
                }
                Step::End => return Ok(()),
            }
        }
    }

    /// Bytes up to the end that are no frame: cut from the last segment, kept in an older one.
    fn bad_tail(&self, found: &mut Found, walk: &mut Walk, region: (u64, u64)) -> Outcome<()> {
        if let Some(next) = walk.next {
            if next > found.end {
                found.writers.note_damage(found.end);
                let positions = (found.end, next);
                let damage = self.set_aside(walk, DamageCause::Frame, region, positions)?;
                found.damage.push(damage);
                found.end = next;
            }
            return Ok(());
        }
        let positions = (found.end, found.end);
        found.torn_tail = Some(self.set_aside(walk, DamageCause::TornTail, region, positions)?);
        walk.file
            .set_len(region.0)
            .map_err(failed("cutting", &walk.path))?;
        walk.bytes = region.0;
        Ok(())
    }

    fn note_bad_header(&self, found: &mut Found, walk: &Walk) -> Outcome<()> {
        let region = (0, walk.bytes.min(SEGMENT_HEADER_BYTES));
        let positions = (found.end, found.end);
        if walk.bytes < SEGMENT_HEADER_BYTES {
            // The first start was cut off before it had written a frame.
            if walk.bytes > 0 {
                found.torn_tail =
                    Some(self.set_aside(walk, DamageCause::TornTail, region, positions)?);
            }
            return Ok(());
        }
        let damage = self.set_aside(walk, DamageCause::Header, region, positions)?;
        found.damage.push(damage);
        Ok(())
    }

    fn set_aside(
        &self,
        walk: &Walk,
        cause: DamageCause,
        (offset, bytes): (u64, u64),
        (first_position, next_position): (u64, u64),
    ) -> Outcome<Damage> {
        let kept = quarantine::keep(self.layer, &walk.path, &*walk.file, offset, bytes)
            .map_err(failed("quarantining part of", &walk.path))?;
        Ok(Damage {
            segment: walk.path.clone(),
            offset,
            bytes,
            first_position,
            next_position,
            cause,
            quarantined: Some(kept),
        })
    }
}

/// The segment being walked.
struct Walk {
    path: PathBuf,
    file: Arc<dyn LayerFile>,
    next: Option<u64>,
    bytes: u64,
    refusal_bytes: u64,
}

fn note_frame(found: &mut Found, walk: &mut Walk, frame: &Frame) {
    if frame.lane == Lane::Refusal {
        let bytes = frame_bytes(&frame.payload);
        walk.refusal_bytes += bytes;
        found.lane.note(frame.position, bytes);
    }
    if frame.kind == BOOT_KIND
        && let Some((boot, _)) = Boot::from_frame(&frame.payload)
    {
        found.boots.note(boot);
        found.writers.note(frame.position, boot);
    }
}

fn missing(path: &Path, first_position: u64, next_position: u64) -> Damage {
    Damage {
        segment: path.to_path_buf(),
        offset: 0,
        bytes: 0,
        first_position,
        next_position,
        cause: DamageCause::MissingSegment,
        quarantined: None,
    }
}
