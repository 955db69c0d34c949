//! Batches of which a broker has other bytes than were written, as the client tells of them.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether what a broker has can not be what was written, as it says itself or as is seen of what it gave: it does not have its length
/// or its checksum, is of a form that nobody writes, or can not be unpacked. The client may go on behind it, so that what comes next
/// follows nothing.
pub(super) fn is_damage(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::NotImplemented
                | RDKafkaErrorCode::BadCompression
        )
    )
}

/// What is wrong, and the way out.
pub(super) fn words(partition: i32, place: i64) -> String {
    format!(
        "a broker has other bytes in partition {partition} from place {place} on than were written: a batch does not have its checksum, \
         or can not be read; let another replica lead (kafka-leader-election), or put the broker's files back"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_can_not_be_read_is_no_place_that_is_gone_and_no_broker_that_is_away() {
        for code in [
            RDKafkaErrorCode::InvalidMessage,
            RDKafkaErrorCode::InvalidMessageSize,
            RDKafkaErrorCode::BadMessage,
            RDKafkaErrorCode::NotImplemented,
            RDKafkaErrorCode::BadCompression,
        ] {
            assert!(is_damage(&KafkaError::MessageConsumption(code)), "{code}");
        }
        for code in [
            RDKafkaErrorCode::OffsetOutOfRange,
            RDKafkaErrorCode::AutoOffsetReset,
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::PartitionEOF,
        ] {
            assert!(!is_damage(&KafkaError::MessageConsumption(code)), "{code}");
        }
        assert!(!is_damage(&KafkaError::PartitionEOF(0)));
    }
}
