//! End-to-end tests, faults, properties, golden bytes, tidy.
