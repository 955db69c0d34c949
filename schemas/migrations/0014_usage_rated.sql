-- What an event's cost depends on, as one text and a few counts: billing adds these up. Rows written before this have none, and
-- are read from their other columns. So are those of older consumers, which leave out only columns that have a default.
ALTER TABLE usage_events
    ADD COLUMN IF NOT EXISTS rated_as LowCardinality(String) DEFAULT '' AFTER code_interpreter_sessions,
    ADD COLUMN IF NOT EXISTS rated_input UInt32 DEFAULT 0 AFTER rated_as,
    ADD COLUMN IF NOT EXISTS rated_1 UInt32 DEFAULT 0 AFTER rated_input,
    ADD COLUMN IF NOT EXISTS rated_2 UInt32 DEFAULT 0 AFTER rated_1,
    ADD COLUMN IF NOT EXISTS rated_3 UInt32 DEFAULT 0 AFTER rated_2,
    ADD COLUMN IF NOT EXISTS rated_4 UInt32 DEFAULT 0 AFTER rated_3,
    ADD COLUMN IF NOT EXISTS rated_5 UInt32 DEFAULT 0 AFTER rated_4,
    ADD COLUMN IF NOT EXISTS rated_6 UInt32 DEFAULT 0 AFTER rated_5,
    ADD COLUMN IF NOT EXISTS rated_7 UInt32 DEFAULT 0 AFTER rated_6,
    ADD COLUMN IF NOT EXISTS rated_8 UInt32 DEFAULT 0 AFTER rated_7
