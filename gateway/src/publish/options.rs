//! Settings of the client library that follow from ours: what makes delivery lossless, ordered and patient, and how to be
//! let in. What must not live here: the client library itself.

use runtime::kafka::{Pairs, TokenFile};
use schemas::promises::MAX_BATCH_BYTES;

use super::settings::{BadKafka, Kafka};

/// Who we are, in the brokers' logs.
const CLIENT: &str = "tollgate";

/// Names and values for the client. Values may be secrets: never shown.
pub(crate) struct Options {
    connection: Pairs,
    own: Vec<(&'static str, String)>,
}

impl Options {
    /// What the publisher needs besides: nothing is acknowledged before it is replicated, nothing doubled or reordered by a
    /// retry, and nothing given up.
    pub(crate) fn publishing(kafka: &Kafka) -> Result<Self, BadKafka> {
        let mut options = Self {
            connection: Pairs::of(&kafka.connection(), CLIENT)?,
            own: Vec::new(),
        };
        options.set("enable.idempotence", "true");
        options.set("acks", "all");
        options.set("max.in.flight.requests.per.connection", "5");
        options.set("message.timeout.ms", "0");
        options.set("request.timeout.ms", "10000");
        options.set("retry.backoff.ms", "50");
        options.set("retry.backoff.max.ms", "1000");
        options.set("compression.codec", kafka.compression.name());
        options.set("linger.ms", &kafka.linger_ms.to_string());
        options.set("batch.num.messages", "10000");
        // A topic that was deleted is given up after so long, and the next session makes or misses it.
        options.set("topic.metadata.propagation.max.ms", "10000");
        options.set("message.max.bytes", &MAX_BATCH_BYTES.to_string());
        // Our own bound is met first: it counts what is on its way as well.
        options.set(
            "queue.buffering.max.messages",
            &(2 * MAX_IN_FLIGHT).to_string(),
        );
        let kib = (kafka.queue_mib << 10) * 2;
        options.set("queue.buffering.max.kbytes", &kib.to_string());
        options.set("partitioner", "murmur2_random");
        Ok(options)
    }

    /// The names and values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let own = self.own.iter();
        let own = own.map(|(name, value)| (*name, value.as_str()));
        self.connection.iter().chain(own)
    }

    /// Those that any client takes.
    pub(crate) fn connection(&self) -> &Pairs {
        &self.connection
    }

    /// Where the current token is, if one is to be shown.
    pub(crate) fn token_file(&self) -> Option<&TokenFile> {
        self.connection.token_file()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.own.push((name, value.to_owned()));
    }
}

/// The most records on their way.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;
