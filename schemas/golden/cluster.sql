-- Tollgate's tables. Run in this order; each may be run again.
CREATE DATABASE IF NOT EXISTS tollgate ON CLUSTER 'main';

CREATE DATABASE IF NOT EXISTS tollgate_all ON CLUSTER 'main';

CREATE TABLE IF NOT EXISTS tollgate.schema_migrations ON CLUSTER 'main' (version UInt32, name String, sha256 String, applied_us Int64, only_adds Bool)
ENGINE = ReplicatedMergeTree('/clickhouse/tollgate/main/tollgate/schema_migrations/all', '{shard}-{replica}')
ORDER BY version
SETTINGS replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800, fsync_after_insert = 1;

-- One row for every record of the log. A plain MergeTree: copies stay visible.
CREATE TABLE IF NOT EXISTS tollgate.audit_log ON CLUSTER 'main'
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
ENGINE = ReplicatedMergeTree('/clickhouse/tollgate/main/tollgate/audit_log/{shard}', '{replica}')
PARTITION BY toYYYYMM(received)
ORDER BY (topic, partition, offset)
SETTINGS replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS tollgate_all.audit_log ON CLUSTER 'main' AS tollgate.audit_log
ENGINE = Distributed('main', 'tollgate', 'audit_log');

-- The set of usage events: between copies of one event the greatest version stays.
CREATE TABLE IF NOT EXISTS tollgate.usage_events ON CLUSTER 'main'
(
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    version UInt64,
    event_id UUID,
    request_id String,
    producer LowCardinality(String),
    boot LowCardinality(String),
    producer_seq Int64,
    tenant LowCardinality(String),
    project LowCardinality(String),
    key_id LowCardinality(String),
    principal Nullable(String),
    auth_method Enum8('key' = 1, 'jwt' = 2, 'mtls' = 3, 'anonymous' = 4),
    conversation Nullable(String),
    labels Map(LowCardinality(String), String),
    api Enum8('chat' = 1, 'completions' = 2, 'responses' = 3, 'embeddings' = 4, 'images' = 5, 'audio' = 6, 'messages' = 7, 'generate_content' = 8, 'moderations' = 9, 'models' = 10, 'unmetered' = 11),
    stream Bool,
    model_requested LowCardinality(String),
    model_served LowCardinality(Nullable(String)),
    route LowCardinality(Nullable(String)),
    deployment LowCardinality(Nullable(String)),
    provider LowCardinality(Nullable(String)),
    region LowCardinality(Nullable(String)),
    data_zone LowCardinality(Nullable(String)),
    capacity Nullable(Enum8('ptu' = 1, 'paygo' = 2)),
    route_reason Nullable(Enum8('primary' = 1, 'spill' = 2, 'failover' = 3, 'pinned' = 4, 'canary' = 5, 'cache' = 6)),
    received DateTime64(6, 'UTC'),
    admitted DateTime64(6, 'UTC'),
    first_byte Nullable(DateTime64(6, 'UTC')),
    completed DateTime64(6, 'UTC'),
    upstream_us Nullable(Int64),
    gateway_us Nullable(Int64),
    clock_quality Enum8('good' = 1, 'skewed' = 2),
    usage_source Enum8('provider' = 1, 'drained' = 2, 'partial' = 3, 'estimated' = 4, 'none' = 5),
    usage_quality Enum8('ok' = 1, 'inconsistent' = 2, 'unmapped' = 3, 'missing' = 4),
    usage_raw Nullable(String),
    billable Enum8('yes' = 1, 'no' = 2, 'unclear' = 3),
    synthetic Bool,
    outcome Enum8('completed' = 1, 'client_aborted' = 2, 'upstream_error' = 3, 'timeout' = 4, 'filtered' = 5, 'refused_auth' = 6, 'refused_invalid' = 7, 'refused_limit' = 8, 'refused_budget' = 9, 'refused_policy' = 10, 'cache_hit' = 11, 'unknown' = 12),
    outcome_detail LowCardinality(Nullable(String)),
    status Nullable(UInt16),
    finish_reason LowCardinality(Nullable(String)),
    limit_hit Nullable(String),
    attempt_deployments Array(LowCardinality(String)),
    attempt_outcomes Array(Enum8('completed' = 1, 'client_aborted' = 2, 'upstream_error' = 3, 'timeout' = 4, 'filtered' = 5, 'refused_auth' = 6, 'refused_invalid' = 7, 'refused_limit' = 8, 'refused_budget' = 9, 'refused_policy' = 10, 'cache_hit' = 11, 'unknown' = 12)),
    attempt_statuses Array(UInt16),
    attempt_provider_request_ids Array(String),
    request_bytes Int64,
    response_bytes Int64,
    estimated_units Map(LowCardinality(String), Int64),
    price_version LowCardinality(Nullable(String)),
    config_digest LowCardinality(String),
    durability Enum8('written' = 1, 'synced' = 2, 'replicated' = 3),
    durability_degraded Bool,
    count Int64,
    model LowCardinality(Nullable(String)),
    service_tier LowCardinality(Nullable(String)),
    speed LowCardinality(Nullable(String)),
    geography LowCardinality(Nullable(String)),
    extra_models Array(LowCardinality(String)),
    extra_service_tiers Array(LowCardinality(String)),
    extra_units Array(Map(LowCardinality(String), Int64)),
    input_text Nullable(Int64),
    input_cached Nullable(Int64),
    input_cached_audio Nullable(Int64),
    input_cached_image Nullable(Int64),
    cache_write_5m Nullable(Int64),
    cache_write_30m Nullable(Int64),
    cache_write_1h Nullable(Int64),
    cache_write Nullable(Int64),
    input_audio Nullable(Int64),
    input_image Nullable(Int64),
    input_video Nullable(Int64),
    input_tool_use Nullable(Int64),
    output_text Nullable(Int64),
    output_reasoning Nullable(Int64),
    output_audio Nullable(Int64),
    output_image Nullable(Int64),
    requests Nullable(Int64),
    images Nullable(Int64),
    audio_ms Nullable(Int64),
    characters Nullable(Int64),
    pages Nullable(Int64),
    search_units Nullable(Int64),
    web_search_calls Nullable(Int64),
    web_fetch_calls Nullable(Int64),
    file_search_calls Nullable(Int64),
    code_interpreter_sessions Nullable(Int64)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tollgate/main/tollgate/usage_events/{shard}', '{replica}', version)
PARTITION BY toYYYYMM(received)
ORDER BY (tenant, toStartOfHour(received), event_id)
SETTINGS replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 134217728;

CREATE TABLE IF NOT EXISTS tollgate_all.usage_events ON CLUSTER 'main' AS tollgate.usage_events
ENGINE = Distributed('main', 'tollgate', 'usage_events');

-- One row a batch of the log, a repaired batch replaces the row of the broken one.
CREATE TABLE IF NOT EXISTS tollgate.cuts ON CLUSTER 'main'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tollgate/main/tollgate/cuts/{shard}', '{replica}', repair_epoch)
ORDER BY (topic, partition, first)
SETTINGS replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS tollgate_all.cuts ON CLUSTER 'main' AS tollgate.cuts
ENGINE = Distributed('main', 'tollgate', 'cuts');

-- Speed and geography of an answer's later lines. Rows written before this have none: see billing's query.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS extra_speeds Array(LowCardinality(String)) AFTER extra_units,
    ADD COLUMN IF NOT EXISTS extra_geographies Array(LowCardinality(String)) AFTER extra_speeds;

ALTER TABLE tollgate_all.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS extra_speeds Array(LowCardinality(String)) AFTER extra_units,
    ADD COLUMN IF NOT EXISTS extra_geographies Array(LowCardinality(String)) AFTER extra_speeds;

-- What another gateway told of its past, as it told it: no event of ours, no proof, and on no bill. `digest` is over what
-- the source said, so that a second import of the same file is seen to be the same.
CREATE TABLE IF NOT EXISTS tollgate.imported_spend ON CLUSTER 'main'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tollgate/main/tollgate/imported_spend/{shard}', '{replica}')
ORDER BY (source, source_id)
SETTINGS replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS tollgate_all.imported_spend ON CLUSTER 'main' AS tollgate.imported_spend
ENGINE = Distributed('main', 'tollgate', 'imported_spend', sipHash64(source, source_id));

-- What was decided beside the limits, and what the provider says it costs, as text: never used as ours. Rows written before
-- this have neither, their records in the log do.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS policies String AFTER extra_geographies,
    ADD COLUMN IF NOT EXISTS provider_cost Nullable(String) AFTER policies,
    ADD COLUMN IF NOT EXISTS provider_cost_currency LowCardinality(Nullable(String)) AFTER provider_cost;

ALTER TABLE tollgate_all.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS policies String AFTER extra_geographies,
    ADD COLUMN IF NOT EXISTS provider_cost Nullable(String) AFTER policies,
    ADD COLUMN IF NOT EXISTS provider_cost_currency LowCardinality(Nullable(String)) AFTER provider_cost;

-- What producers say of themselves, and what is said of those that are silent: one row a heartbeat or step of a life. Copies
-- have one content and become one row. Within a boot `synced_position` is the order, not the clock.
CREATE TABLE IF NOT EXISTS tollgate.producer_log ON CLUSTER 'main'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tollgate/main/tollgate/producer_log/{shard}', '{replica}')
PARTITION BY toYYYYMM(clock)
ORDER BY (producer, boot, clock, kind)
SETTINGS replicated_deduplication_window_seconds = 604800, replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS tollgate_all.producer_log ON CLUSTER 'main' AS tollgate.producer_log
ENGINE = Distributed('main', 'tollgate', 'producer_log', sipHash64(producer, boot, clock, kind));

-- What is priced where no line names a model, and what decides the cost of each call. Rows written before this have none of it.
-- And APIs that are not served yet: a name that a reader does not know is a dead letter to it.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS priced_as LowCardinality(Nullable(String)) AFTER provider_cost_currency,
    ADD COLUMN IF NOT EXISTS attempt_providers Array(LowCardinality(String)) AFTER priced_as,
    ADD COLUMN IF NOT EXISTS attempt_priced_as Array(LowCardinality(String)) AFTER attempt_providers,
    ADD COLUMN IF NOT EXISTS attempt_billables Array(Enum8('' = 0, 'yes' = 1, 'no' = 2, 'unclear' = 3)) AFTER attempt_priced_as,
    MODIFY COLUMN api Enum8('chat' = 1, 'completions' = 2, 'responses' = 3, 'embeddings' = 4, 'images' = 5, 'audio' = 6, 'messages' = 7, 'generate_content' = 8, 'moderations' = 9, 'models' = 10, 'unmetered' = 11, 'converse' = 12, 'realtime' = 13, 'rerank' = 14, 'count_tokens' = 15);

ALTER TABLE tollgate_all.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS priced_as LowCardinality(Nullable(String)) AFTER provider_cost_currency,
    ADD COLUMN IF NOT EXISTS attempt_providers Array(LowCardinality(String)) AFTER priced_as,
    ADD COLUMN IF NOT EXISTS attempt_priced_as Array(LowCardinality(String)) AFTER attempt_providers,
    ADD COLUMN IF NOT EXISTS attempt_billables Array(Enum8('' = 0, 'yes' = 1, 'no' = 2, 'unclear' = 3)) AFTER attempt_priced_as,
    MODIFY COLUMN api Enum8('chat' = 1, 'completions' = 2, 'responses' = 3, 'embeddings' = 4, 'images' = 5, 'audio' = 6, 'messages' = 7, 'generate_content' = 8, 'moderations' = 9, 'models' = 10, 'unmetered' = 11, 'converse' = 12, 'realtime' = 13, 'rerank' = 14, 'count_tokens' = 15);

-- Where the numbers of a start are, and the records of a time, without reading the whole table. Rows lie in the order of the log,
-- which is nearly that of numbers and of times. A name or a number that is nowhere costs a look at the filters alone.
ALTER TABLE tollgate.audit_log ON CLUSTER 'main'
    ADD INDEX IF NOT EXISTS boots boot TYPE bloom_filter(0.0001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS numbers cityHash64(producer, boot, intDiv(ifNull(producer_seq, -1), 16384)) TYPE bloom_filter(0.0001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS times received TYPE minmax GRANULARITY 1;

-- The same for rows that were written before, in the background.
ALTER TABLE tollgate.audit_log ON CLUSTER 'main'
    MATERIALIZE INDEX IF EXISTS boots,
    MATERIALIZE INDEX IF EXISTS numbers,
    MATERIALIZE INDEX IF EXISTS times;

-- Records are packed anew at each merge: the quickest level is good enough. What is stored already is packed so when it is merged next.
ALTER TABLE tollgate.audit_log ON CLUSTER 'main'
    MODIFY COLUMN IF EXISTS bytes CODEC(ZSTD(1));

-- A backlog comes in parts of one size: twenty become one, not five. A part is one file until it is large, as those of events are.
ALTER TABLE tollgate.audit_log ON CLUSTER 'main'
    MODIFY SETTING merge_selector_base = 20, min_bytes_for_wide_part = 134217728;

-- The same for events, whose merge takes a row and a column at a time.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    MODIFY SETTING merge_selector_base = 20;

-- What an event's cost depends on, as one text and a few counts: billing adds these up. Rows written before this have none, and
-- are read from their other columns. So are those of older consumers, which leave out only columns that have a default.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS rated_as LowCardinality(String) DEFAULT '' AFTER code_interpreter_sessions,
    ADD COLUMN IF NOT EXISTS rated_input UInt32 DEFAULT 0 AFTER rated_as,
    ADD COLUMN IF NOT EXISTS rated_1 UInt32 DEFAULT 0 AFTER rated_input,
    ADD COLUMN IF NOT EXISTS rated_2 UInt32 DEFAULT 0 AFTER rated_1,
    ADD COLUMN IF NOT EXISTS rated_3 UInt32 DEFAULT 0 AFTER rated_2,
    ADD COLUMN IF NOT EXISTS rated_4 UInt32 DEFAULT 0 AFTER rated_3,
    ADD COLUMN IF NOT EXISTS rated_5 UInt32 DEFAULT 0 AFTER rated_4,
    ADD COLUMN IF NOT EXISTS rated_6 UInt32 DEFAULT 0 AFTER rated_5,
    ADD COLUMN IF NOT EXISTS rated_7 UInt32 DEFAULT 0 AFTER rated_6,
    ADD COLUMN IF NOT EXISTS rated_8 UInt32 DEFAULT 0 AFTER rated_7;

ALTER TABLE tollgate_all.usage_events ON CLUSTER 'main'
    ADD COLUMN IF NOT EXISTS rated_as LowCardinality(String) DEFAULT '' AFTER code_interpreter_sessions,
    ADD COLUMN IF NOT EXISTS rated_input UInt32 DEFAULT 0 AFTER rated_as,
    ADD COLUMN IF NOT EXISTS rated_1 UInt32 DEFAULT 0 AFTER rated_input,
    ADD COLUMN IF NOT EXISTS rated_2 UInt32 DEFAULT 0 AFTER rated_1,
    ADD COLUMN IF NOT EXISTS rated_3 UInt32 DEFAULT 0 AFTER rated_2,
    ADD COLUMN IF NOT EXISTS rated_4 UInt32 DEFAULT 0 AFTER rated_3,
    ADD COLUMN IF NOT EXISTS rated_5 UInt32 DEFAULT 0 AFTER rated_4,
    ADD COLUMN IF NOT EXISTS rated_6 UInt32 DEFAULT 0 AFTER rated_5,
    ADD COLUMN IF NOT EXISTS rated_7 UInt32 DEFAULT 0 AFTER rated_6,
    ADD COLUMN IF NOT EXISTS rated_8 UInt32 DEFAULT 0 AFTER rated_7;

-- A month that nobody writes to any more becomes one part: reading the set of its events costs no merge then. One that
-- is too large for any merge stays as it is.
ALTER TABLE tollgate.usage_events ON CLUSTER 'main'
    MODIFY SETTING min_age_to_force_merge_seconds = 21600, min_age_to_force_merge_on_partition_only = 1, enable_max_bytes_limit_for_min_age_to_force_merge = 1;
