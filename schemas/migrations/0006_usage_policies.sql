-- What was decided beside the limits, and what the provider says it costs, as text: never used as ours. Rows written before
-- this have neither, their records in the log do.
ALTER TABLE usage_events
    ADD COLUMN IF NOT EXISTS policies String AFTER extra_geographies,
    ADD COLUMN IF NOT EXISTS provider_cost Nullable(String) AFTER policies,
    ADD COLUMN IF NOT EXISTS provider_cost_currency LowCardinality(Nullable(String)) AFTER provider_cost
