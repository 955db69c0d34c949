//! The gateway's local durable log: segments, group fsync, recovery, cursors.
