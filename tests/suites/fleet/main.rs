//! Several gateways over one Kafka: what holds while any of them, or anything that they need, goes away.

#[path = "../kafka/stand.rs"]
#[expect(dead_code, reason = "the suite of one gateway uses the rest")]
mod stand;
#[path = "../kafka/topic.rs"]
#[expect(dead_code, reason = "the suite of one gateway uses the rest")]
mod topic;

mod dependencies;
mod feed;
#[expect(dead_code, reason = "the consumer's suite uses the rest")]
mod pipeline;
mod rolling;
mod sinks;
