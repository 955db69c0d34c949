-- What producers say of themselves, and what is said of those that are silent: one row a heartbeat or step of a life. Copies
-- have one content and become one row. Within a boot `synced_position` is the order, not the clock.
CREATE TABLE IF NOT EXISTS producer_log
(
    producer LowCardinality(String),
    boot LowCardinality(String),
    kind Enum8('heartbeat' = 1, 'registered' = 2, 'live' = 3, 'draining' = 4, 'closed' = 5, 'silent' = 6, 'declared_lost' = 7),
    clock DateTime64(6, 'UTC'),
    last_producer_seq Nullable(Int64),
    admitted Nullable(Int64),
    settled Nullable(Int64),
    open Nullable(Int64),
    oldest_open Nullable(DateTime64(6, 'UTC')),
    reserved_bytes Nullable(Int64),
    reserved_units Map(LowCardinality(String), Int64),
    synced_position Nullable(Int64),
    by_whom String,
    why String,
    exposure_missing Nullable(Int64),
    exposure_open Nullable(Int64),
    exposure_known_until Nullable(DateTime64(6, 'UTC')),
    bytes String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(clock)
ORDER BY (producer, boot, clock, kind)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
