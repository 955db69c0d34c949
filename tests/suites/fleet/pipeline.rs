//! What stands behind the gateways: a broker, an engine, members of the group, as the consumer's suite has them.

#[path = "../../../consumer/tests/suite/events.rs"]
#[expect(clippy::unwrap_used, reason = "a test's own values")]
pub(crate) mod events;
#[path = "../kafka_consumer/member.rs"]
pub(crate) mod member;
#[path = "../kafka_consumer/stand.rs"]
pub(crate) mod stand;
