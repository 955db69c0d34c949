//! The identity of a topic: the library's safe interface does not give it. The one place with calls of C.

use std::ffi::{CStr, CString, c_char};

use rdkafka::bindings as c;

/// Asks the cluster for the identity of a topic, as 32 hex digits.
#[expect(
    unsafe_code,
    reason = "DescribeTopics has no safe interface; every pointer is made, used and freed here"
)]
pub(super) fn topic_id(
    client: *mut c::rd_kafka_t,
    topic: &str,
    timeout_ms: i32,
) -> Result<String, String> {
    let name = CString::new(topic).map_err(|_| "a topic's name has no zero byte".to_owned())?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    // SAFETY: `client` is a live handle of the caller's; `names` outlives the call, which copies them; what is created is destroyed
    // below on every way out; the result belongs to the event and is not used after it.
    unsafe {
        let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let options = c::rd_kafka_AdminOptions_new(
            client,
            c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let queue = c::rd_kafka_queue_new(client);
        c::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = c::rd_kafka_queue_poll(queue, timeout_ms);
        let identity = if event.is_null() {
            Err("no broker answers".to_owned())
        } else {
            of_event(event)
        };
        if !event.is_null() {
            c::rd_kafka_event_destroy(event);
        }
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_AdminOptions_destroy(options);
        c::rd_kafka_TopicCollection_destroy(topics);
        identity
    }
}

#[expect(unsafe_code, reason = "see `topic_id`")]
unsafe fn of_event(event: *mut c::rd_kafka_event_t) -> Result<String, String> {
    // SAFETY: `event` is live; all that is read belongs to it.
    unsafe {
        if c::rd_kafka_event_error(event) as i32 != 0 {
            return Err(text(c::rd_kafka_event_error_string(event)));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err("the cluster gave another answer".to_owned());
        }
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count != 1 {
            return Err("the cluster does not know the topic".to_owned());
        }
        let topic = *topics;
        let error = c::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && c::rd_kafka_error_code(error) as i32 != 0 {
            return Err(text(c::rd_kafka_error_string(error)));
        }
        let id = c::rd_kafka_TopicDescription_topic_id(topic);
        let most = c::rd_kafka_Uuid_most_significant_bits(id);
        let least = c::rd_kafka_Uuid_least_significant_bits(id);
        identity(most, least)
    }
}

/// 32 hex digits. A service whose Metadata is below version 10 tells none, and the library gives zeros: taken for an identity, they
/// would make all topics of a name one.
fn identity(most: i64, least: i64) -> Result<String, String> {
    if (most, least) == (0, 0) {
        return Err(
            "the service does not tell the identity of the topic, as Kafka does from 2.8 on"
                .to_owned(),
        );
    }
    Ok(format!("{most:016x}{least:016x}"))
}

#[expect(unsafe_code, reason = "see `topic_id`")]
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return "no reason given".to_owned();
    }
    // SAFETY: a string of the library's, ended by a zero byte.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_identity() {
        let told = identity(0, 0).expect_err("no service gives this to a topic");
        assert!(told.contains("does not tell the identity"), "{told}");
        // One half may be anything.
        let whole = |first: &str, last: &str| Ok(format!("{first:0>16}{last:0>16}"));
        assert_eq!(identity(1, 0), whole("1", ""));
        assert_eq!(identity(0, -1), whole("", "ffffffffffffffff"));
    }
}
