//! The ClickHouse client, the migrations runner and the embedded engine's process.
