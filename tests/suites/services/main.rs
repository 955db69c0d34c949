//! What we rely on in the services that are not ours: a ClickHouse and a Kafka, whichever is there. `CLICKHOUSE_URL` (with
//! `CLICKHOUSE_USER` and `CLICKHOUSE_PASSWORD`) and `KAFKA_BOOTSTRAP_SERVERS` name given ones; else `tollgate engine` and a broker
//! of Apache Kafka's own jars are started.

mod cluster;
mod kafka;
mod store;
mod store_under_test;
