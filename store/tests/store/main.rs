//! The store against the real engine: what is written comes back, what must not happen is refused, and whoever is killed.

mod common;
mod door;
mod exactly_once;
mod lifecycle;
mod migrations;
mod native;
mod reader;
mod rows;
mod types;
