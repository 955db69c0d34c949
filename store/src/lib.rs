//! The ClickHouse client, the migrations runner and the embedded engine's process.
//!
//! The engine is always a process of its own, reached by URL: [`engine`] is the side that runs in it, [`supervisor`] and
//! [`Engine`] are the side that starts it, [`Client`] speaks to it or to any ClickHouse server alike.
//! Nothing here knows what a row means, what it costs, or how an app calls the gateway.

mod client;
mod data_dir;
pub mod engine;
mod error;
mod insert;
pub mod migrate;
mod native;
mod rows;
mod running;
mod secrets;
pub mod supervisor;

pub use client::{Client, DEFAULT_QUERY_TIMEOUT, Query, WhereIs};
pub use data_dir::DataDir;
pub use error::{Class, StoreError};
pub use insert::MAX_BLOCK_ROWS;
pub use rows::Stored;
pub use running::{Endpoint, Engine, EngineError, client_of_running};
pub use secrets::{Credentials, Password, SecretsError, User};

/// What row types and queries need: the derive macro, the (de)serialisation helpers, values to bind.
pub use clickhouse::{
    Row, RowOwned, RowRead, RowWrite, serde as row_serde, sql::Bind, sql::Identifier,
};

/// The database that holds all tables.
pub const DATABASE: &str = "tollgate";
