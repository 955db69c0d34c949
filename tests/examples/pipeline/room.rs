//! Room on the disk: how much a run needs, and how much of it the topics may take.

use rustix::fs::statvfs;

use crate::stand::PARTITIONS;

const MIB: u64 = 1 << 20;
/// A packed record, at the most.
const PACKED_BYTES: u64 = 1_024;
/// What a partition may keep beside the records that are timed: many times the backlog.
const KEPT_MIB: u64 = 256;
/// What a second of backlog leaves in the store, with the merges of it.
const MIB_A_SECOND: u64 = 40;
/// Journal, topics and tables of a run without a backlog, for a million records.
const MIB_A_MILLION: u64 = 8_192;

/// Settings of a broker that keeps no more than what is not consumed yet.
pub(crate) fn of_topics(records: u64) -> String {
    let kept = KEPT_MIB * MIB + records * PACKED_BYTES / u64::from(PARTITIONS.unsigned_abs());
    format!(
        "log.retention.bytes={kept}\nlog.segment.bytes=33554432\nlog.retention.check.interval.ms=5000\n\
         log.segment.delete.delay.ms=1000\n"
    )
}

/// Says how much is missing where there is too little.
pub(crate) fn check(records: u64, seconds: u64) -> Result<(), String> {
    let folder = std::env::temp_dir();
    let disk = statvfs(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let free_mib = disk.f_bavail * disk.f_frsize / MIB;
    let needed_mib = records.div_ceil(1_000_000) * MIB_A_MILLION + seconds * MIB_A_SECOND;
    if free_mib >= needed_mib {
        return Ok(());
    }
    Err(format!(
        "{needed_mib} MiB are needed in {}, {free_mib} are free: name another place by TMPDIR, or ask for fewer records or seconds",
        folder.display()
    ))
}
