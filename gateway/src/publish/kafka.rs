//! The client of Kafka: connects, looks at topics and makes them, sends, and tells what was acknowledged. The only file of the
//! gateway that names the client library. What must not live here: what is sent, and how far everything is.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use runtime::kafka::TokenFile;
use schemas::promises::{Found, Wanted};

use super::flight::{Flight, Place};
use super::options::Options;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);

/// A connection that records are sent on.
pub(crate) struct Link {
    producer: ThreadedProducer<Sink>,
    heard: Arc<Heard>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub topic: &'a str,
    pub key: &'a str,
    pub value: &'a [u8],
    pub headers: Vec<(&'static str, &'a str)>,
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// Later.
    Full,
    /// Not on this link.
    Failed(String),
}

/// The last thing that the client complained about, until the brokers answer again.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Option<String>>);

impl Heard {
    /// What is wrong with the connection, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Takes what the client says of what was sent.
struct Sink {
    flight: Arc<Flight>,
    heard: Arc<Heard>,
    token_file: Option<TokenFile>,
}

/// Takes what the client says of questions. It never shows a token: the library asks for one on a queue that such a client
/// does not serve, so settings forbid the two together.
struct Asker;

impl ClientContext for Sink {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.flight.fail(format!("the client gave up: {reason}"));
        }
        // That all brokers are down says less than why one of them is.
        let is_vague = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let mut heard = self.heard.0.lock();
        if heard.is_none() || !is_vague {
            // Without how long it took: the same trouble has the same words.
            let reason = reason.split(" (after ").next().unwrap_or(reason);
            *heard = Some(reason.to_owned());
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.token_file.as_ref())
    }
}

impl ProducerContext for Sink {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(message) => {
                *self.heard.0.lock() = None;
                let place = Place {
                    partition: message.partition(),
                    offset: message.offset(),
                };
                self.flight.acknowledge(number, place);
            }
            Err((error, message)) => {
                let topic = message.topic();
                self.flight
                    .fail(format!("topic {topic} took no record: {}", shown(error)));
            }
        }
    }
}

impl ClientContext for Asker {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka");
    }
}

impl Link {
    /// A client that connects by itself, as often as it must.
    pub(crate) fn open(options: &Options, flight: Arc<Flight>) -> Result<Self, String> {
        let heard = Arc::new(Heard::default());
        let sink = Sink {
            flight,
            heard: heard.clone(),
            token_file: options.token_file().cloned(),
        };
        let producer = ThreadedProducer::from_config_and_context(&config(options), sink)
            .map_err(|error| shown(&error))?;
        Ok(Self { producer, heard })
    }

    /// What the client complains about.
    pub(crate) fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// Which cluster it is.
    pub(crate) fn cluster(&self) -> Result<String, String> {
        let cluster = self.producer.client().fetch_cluster_id(ASK);
        cluster.ok_or_else(|| self.why("no broker answers"))
    }

    /// Whether it is still this one, as far as the client has heard.
    pub(crate) fn is_still(&self, cluster: &str) -> bool {
        let now = self.producer.client().fetch_cluster_id(Duration::ZERO);
        now.is_none_or(|now| now == cluster)
    }

    /// The topics that are there, of those that are asked for, without their settings.
    pub(crate) fn topics(&self, names: &[String]) -> Result<BTreeMap<String, Found>, String> {
        // Asked for all: a topic that is asked for by name may be made by the asking.
        let metadata = self.producer.client().fetch_metadata(None, ASK);
        let metadata = metadata.map_err(|error| self.why(&shown(&error)))?;
        Ok(found(&metadata, names))
    }

    /// The place after the last record of a partition.
    pub(crate) fn end(&self, topic: &str, partition: i32) -> Result<i64, String> {
        let client = self.producer.client();
        let ends = client.fetch_watermarks(topic, partition, ASK);
        ends.map(|(_, high)| high)
            .map_err(|error| self.why(&shown(&error)))
    }

    /// The same of every partition, in their order.
    pub(crate) fn ends(&self, topic: &str) -> Result<Vec<i64>, String> {
        // Asked for all, as above.
        let metadata = self.producer.client().fetch_metadata(None, ASK);
        let metadata = metadata.map_err(|error| self.why(&shown(&error)))?;
        let mut topics = metadata.topics().iter();
        let found = topics.find(|found| found.name() == topic);
        let partitions = found.map_or(0, |found| found.partitions().len());
        (0..i32::try_from(partitions).unwrap_or(i32::MAX))
            .map(|partition| self.end(topic, partition))
            .collect()
    }

    /// Hands a record to the client, which sends it in order. Does not block.
    pub(crate) fn send(&self, record: &Record<'_>, number: usize) -> Result<(), NotSent> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: Some(*value),
            });
        }
        let outgoing = BaseRecord::with_opaque_to(record.topic, number)
            .key(record.key)
            .payload(record.value)
            .headers(headers);
        self.producer
            .send(outgoing)
            .map_err(|(error, _)| match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => NotSent::Full,
                _ => NotSent::Failed(shown(&error)),
            })
    }

    /// Lets go of everything that is on its way: it stays in the journal.
    pub(crate) fn abandon(&self) {
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
    }

    fn why(&self, error: &str) -> String {
        match self.heard.trouble() {
            Some(reason) => format!("{error} ({reason})"),
            None => error.to_owned(),
        }
    }
}

/// Adds the settings of a topic, as the cluster shows them.
pub(crate) async fn describe(
    options: &Options,
    topics: &mut BTreeMap<String, Found>,
) -> Result<(), String> {
    let admin = admin(options)?;
    let names: Vec<String> = topics.keys().cloned().collect();
    let asked = names.iter().map(|name| ResourceSpecifier::Topic(name));
    let asked: Vec<ResourceSpecifier<'_>> = asked.collect();
    let described = admin.describe_configs(asked.iter(), &asking()).await;
    let described = described.map_err(|error| shown(&error))?;
    for (name, described) in names.iter().zip(described) {
        let described = described
            .map_err(|code| format!("the settings of topic {name} are not shown: {code}; allow DescribeConfigs, or set `log.kafka.topics = \"trust\"`"))?;
        let settings = described
            .entries
            .into_iter()
            .filter_map(|entry| Some((entry.name, entry.value?)));
        if let Some(found) = topics.get_mut(name) {
            found.settings = settings.collect();
        }
    }
    Ok(())
}

/// Makes topics. One that somebody else made meanwhile is no error.
pub(crate) async fn create(options: &Options, wanted: &[&Wanted]) -> Result<(), String> {
    let topics: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|wanted| {
            let replication = TopicReplication::Fixed(wanted.replication);
            let topic = NewTopic::new(&wanted.name, wanted.partitions, replication);
            wanted
                .settings
                .iter()
                .fold(topic, |topic, (name, value)| topic.set(name, value))
        })
        .collect();
    let created = admin(options)?.create_topics(&topics, &asking()).await;
    for result in created.map_err(|error| shown(&error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(format!(
                    "topic {name} can not be made: {code}; make it by hand, or correct `log.kafka.replication` for the brokers that there are"
                ));
            }
        }
    }
    Ok(())
}

fn admin(options: &Options) -> Result<AdminClient<Asker>, String> {
    let mut config = ClientConfig::new();
    // What only publishing needs is not known to a client that asks.
    for (name, value) in options.connection().iter() {
        config.set(name, value);
    }
    AdminClient::from_config_and_context(&config, Asker).map_err(|error| shown(&error))
}

fn asking() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ASK))
        .operation_timeout(Some(ASK))
}

fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in options.pairs() {
        config.set(name, value);
    }
    config
}

fn found(metadata: &Metadata, names: &[String]) -> BTreeMap<String, Found> {
    let topics = metadata.topics().iter();
    let ours = topics.filter(|topic| names.iter().any(|name| name == topic.name()));
    ours.filter(|topic| topic.error().is_none())
        .map(|topic| {
            let partitions = topic.partitions();
            let replicas = partitions
                .iter()
                .map(|partition| partition.replicas().len());
            let found = Found {
                partitions: partitions.len(),
                replicas: replicas.min().unwrap_or(0),
                settings: BTreeMap::new(),
            };
            (topic.name().to_owned(), found)
        })
        .collect()
}

/// An error without the value of a setting, which may be a secret.
fn shown(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => format!("setting {name}: {what}"),
        other => other.to_string(),
    }
}

/// The client says the same of one fault again and again; what matters is said by us, once.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "Kafka's client");
        }
        _ => tracing::debug!(facility, message, "Kafka's client"),
    }
}

/// The token that is in the file now.
fn token(file: Option<&TokenFile>) -> Result<OAuthToken, Box<dyn Error>> {
    let file = file.ok_or("no `token_file` is configured")?;
    let token = file.read(runtime::clock::now_us() / 1_000)?;
    Ok(OAuthToken {
        token: token.text,
        principal_name: token.principal,
        lifetime_ms: token.ends_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_setting_does_not_show_its_value() {
        let mut config = ClientConfig::new();
        config.set("sasl.password.of.nobody", "hunter2");
        let Err(error) = config.create_native_config() else {
            panic!("there is no such setting");
        };
        assert!(!shown(&error).contains("hunter2"), "{}", shown(&error));
    }
}
