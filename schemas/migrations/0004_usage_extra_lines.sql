-- Speed and geography of an answer's later lines. Rows written before this have none: see billing's query.
ALTER TABLE usage_events
    ADD COLUMN IF NOT EXISTS extra_speeds Array(LowCardinality(String)) AFTER extra_units,
    ADD COLUMN IF NOT EXISTS extra_geographies Array(LowCardinality(String)) AFTER extra_speeds
