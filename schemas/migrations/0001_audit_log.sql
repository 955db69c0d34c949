-- One row for every record of the log. A plain MergeTree: copies stay visible.
CREATE TABLE IF NOT EXISTS audit_log
(
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    fate Enum8('event' = 1, 'cut' = 2, 'dead_letter' = 3),
    reason String,
    event_id UUID,
    tenant LowCardinality(String),
    producer LowCardinality(String),
    boot LowCardinality(String),
    producer_seq Nullable(Int64),
    received DateTime64(6, 'UTC'),
    leaf FixedString(32),
    bytes String CODEC(ZSTD(3))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received)
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
