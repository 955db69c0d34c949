//! Why the brokers do not answer, as the client tells it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::shown;
use super::group::Shared;

/// So often, and for so long, a client that has no answer is asked why.
const ASKED: usize = 8;
const POLL: Duration = Duration::from_millis(20);

/// Notes what the client told. That all brokers are down says less than why one of them is.
pub(super) fn told(shared: &Shared, error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
        shared.heard_vaguely(reason.to_owned());
    } else {
        shared.heard(reason.to_owned());
    }
}

/// An error with its reason, which the client tells in a poll.
pub(super) fn with_reason<C: ConsumerContext>(
    shared: &Shared,
    consumer: &BaseConsumer<C>,
    error: String,
) -> String {
    for _ in 0..ASKED {
        if let Some(Err(news)) = consumer.poll(POLL) {
            told(shared, &news, &shown(&news));
        }
    }
    match shared.take_heard() {
        Some(reason) => format!("{error}: {reason}"),
        None => error,
    }
}
