-- What is priced where no line names a model, and what decides the cost of each call. Rows written before this have none of it.
-- And APIs that are not served yet: a name that a reader does not know is a dead letter to it.
ALTER TABLE usage_events
    ADD COLUMN IF NOT EXISTS priced_as LowCardinality(Nullable(String)) AFTER provider_cost_currency,
    ADD COLUMN IF NOT EXISTS attempt_providers Array(LowCardinality(String)) AFTER priced_as,
    ADD COLUMN IF NOT EXISTS attempt_priced_as Array(LowCardinality(String)) AFTER attempt_providers,
    ADD COLUMN IF NOT EXISTS attempt_billables Array(Enum8('' = 0, 'yes' = 1, 'no' = 2, 'unclear' = 3)) AFTER attempt_priced_as,
    MODIFY COLUMN api Enum8('chat' = 1, 'completions' = 2, 'responses' = 3, 'embeddings' = 4, 'images' = 5, 'audio' = 6, 'messages' = 7, 'generate_content' = 8, 'moderations' = 9, 'models' = 10, 'unmetered' = 11, 'converse' = 12, 'realtime' = 13, 'rerank' = 14, 'count_tokens' = 15)
