-- A month that nobody writes to any more becomes one part: reading the set of its events costs no merge then. One that
-- is too large for any merge stays as it is.
ALTER TABLE usage_events
    MODIFY SETTING min_age_to_force_merge_seconds = 21600, min_age_to_force_merge_on_partition_only = 1, enable_max_bytes_limit_for_min_age_to_force_merge = 1
