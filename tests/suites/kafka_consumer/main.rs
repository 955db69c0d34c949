//! From Kafka into the store, on a real broker and the real engine: every record once, whoever dies, stalls or comes back.

#[path = "../../../consumer/tests/suite/events.rs"]
#[expect(dead_code, reason = "the consumer's own suite uses the rest")]
mod events;
mod faults;
mod member;
mod places;
mod stand;
mod unreadable;
