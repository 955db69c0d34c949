//! For tests: file layers that forget, fail and fill up. Nothing here is used in production.
