//! Listener, authentication, admission, routing, upstream calls, metering.
