//! From Kafka into the store, on a real broker and the real engine: every record once, whoever dies, stalls or comes back.

#[cfg(test)]
mod archived;
#[cfg(test)]
mod copies;
mod door;
#[cfg(test)]
mod emptied;
#[cfg(test)]
#[path = "../../../consumer/tests/suite/events.rs"]
#[expect(dead_code, reason = "the consumer's own suite uses the rest")]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod flipped;
#[cfg(test)]
mod front;
#[cfg(test)]
#[path = "../kafka/stand.rs"]
#[expect(dead_code, reason = "the publisher's own suite uses the rest")]
mod gateway;
#[cfg(test)]
mod grown;
#[cfg(test)]
mod holes;
#[cfg(test)]
mod hung_up;
#[cfg(test)]
mod letters;
#[cfg(test)]
#[expect(dead_code, reason = "the bench of the pipeline uses the rest")]
mod member;
#[cfg(test)]
mod notary;
#[cfg(test)]
mod places;
#[cfg(test)]
mod producers;
#[cfg(test)]
mod quorum;
#[cfg(test)]
mod revoke;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod sink;
#[cfg(test)]
#[expect(dead_code, reason = "the bench of the pipeline uses the rest")]
mod stand;
#[cfg(test)]
mod surroundings;
#[cfg(test)]
mod taken;
#[cfg(test)]
#[path = "../kafka/topic.rs"]
#[expect(dead_code, reason = "the publisher's own suite uses the rest")]
mod topic;
#[cfg(test)]
mod unreadable;
#[cfg(test)]
mod whole_log;
