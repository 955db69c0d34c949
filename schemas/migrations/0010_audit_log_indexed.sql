-- The same for rows that were written before, in the background.
ALTER TABLE audit_log
    MATERIALIZE INDEX IF EXISTS boots,
    MATERIALIZE INDEX IF EXISTS numbers,
    MATERIALIZE INDEX IF EXISTS times
