//! Telemetry set-up, graceful shutdown, configuration loading, failpoints.
