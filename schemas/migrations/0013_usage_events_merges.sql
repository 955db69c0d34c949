-- The same for events, whose merge takes a row and a column at a time.
ALTER TABLE usage_events
    MODIFY SETTING merge_selector_base = 20
