-- What another gateway told of its past, as it told it: no event of ours, no proof, and on no bill. `digest` is over what
-- the source said, so that a second import of the same file is seen to be the same.
CREATE TABLE IF NOT EXISTS imported_spend
(
    source LowCardinality(String),
    source_id String,
    tenant LowCardinality(String),
    project LowCardinality(String),
    key LowCardinality(String),
    key_sha256 LowCardinality(String),
    user String,
    end_user String,
    api LowCardinality(String),
    model LowCardinality(String),
    model_group LowCardinality(String),
    provider LowCardinality(String),
    status LowCardinality(String),
    cache_hit LowCardinality(String),
    tags Array(LowCardinality(String)),
    started DateTime64(6, 'UTC'),
    ended DateTime64(6, 'UTC'),
    input_tokens Int64,
    output_tokens Int64,
    total_tokens Int64,
    spend Decimal(38, 27),
    currency LowCardinality(String),
    digest FixedString(32)
)
ENGINE = ReplacingMergeTree
ORDER BY (source, source_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
