-- Where the numbers of a start are, and the records of a time, without reading the whole table. Rows lie in the order of the log,
-- which is nearly that of numbers and of times. A name or a number that is nowhere costs a look at the filters alone.
ALTER TABLE audit_log
    ADD INDEX IF NOT EXISTS boots boot TYPE bloom_filter(0.0001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS numbers cityHash64(producer, boot, intDiv(ifNull(producer_seq, -1), 16384)) TYPE bloom_filter(0.0001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS times received TYPE minmax GRANULARITY 1
