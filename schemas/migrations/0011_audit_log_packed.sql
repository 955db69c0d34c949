-- Records are packed anew at each merge: the quickest level is good enough. What is stored already is packed so when it is merged next.
ALTER TABLE audit_log
    MODIFY COLUMN IF EXISTS bytes CODEC(ZSTD(1))
