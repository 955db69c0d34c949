-- A backlog comes in parts of one size: twenty become one, not five. A part is one file until it is large, as those of events are.
ALTER TABLE audit_log
    MODIFY SETTING merge_selector_base = 20, min_bytes_for_wide_part = 134217728
