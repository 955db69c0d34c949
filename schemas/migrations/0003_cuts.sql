-- One row a batch of the log, a repaired batch replaces the row of the broken one.
CREATE TABLE IF NOT EXISTS cuts
(
    topic LowCardinality(String),
    partition Int32,
    first Int64,
    last Int64,
    records Int64,
    events Int64,
    dead_letters Int64,
    digest FixedString(32),
    repair_epoch UInt32
)
ENGINE = ReplacingMergeTree(repair_epoch)
ORDER BY (topic, partition, first)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
