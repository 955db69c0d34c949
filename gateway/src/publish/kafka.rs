//! The client of Kafka: connects, looks at topics and makes them, sends, and tells what was acknowledged. The only file of the
//! gateway that names the client library. What must not live here: what is sent, and how far everything is.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
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

use super::flight::{Flight, Place};
use super::options::Options;
use super::topics::{Found, Wanted};

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// A token that does not say when it ends is read again after so long.
const TOKEN_LIFE_MS: i64 = 5 * 60 * 1_000;

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
    token_file: Option<PathBuf>,
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
        token(self.token_file.as_deref())
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
            token_file: options.token_file.clone(),
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
    for (name, value) in options.connection_pairs() {
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

/// What a token says about itself.
#[derive(serde::Deserialize)]
struct Claims {
    exp: Option<i64>,
    sub: Option<String>,
}

/// The token that is in the file now.
fn token(file: Option<&Path>) -> Result<OAuthToken, Box<dyn Error>> {
    let file = file.ok_or("no `token_file` is configured")?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the token file {} cannot be read: {error}", file.display()))?;
    let token = text.trim().to_owned();
    let claims = token.split('.').nth(1).and_then(|part| {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
        serde_json::from_slice::<Claims>(&bytes.ok()?).ok()
    });
    let (exp, sub) = claims.map_or((None, None), |claims| (claims.exp, claims.sub));
    let now_ms = runtime::clock::now_us() / 1_000;
    let lifetime_ms = exp.map_or(now_ms + TOKEN_LIFE_MS, |seconds| {
        seconds.saturating_mul(1_000)
    });
    Ok(OAuthToken {
        token,
        principal_name: sub.unwrap_or_else(|| "tollgate".to_owned()),
        lifetime_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_anew_and_says_itself_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        assert!(token(Some(&file)).is_err_and(|error| error.to_string().contains("token")));
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(br#"{"exp":4102444800,"sub":"gateway"}"#);
        std::fs::write(&file, format!("h.{claims}.s\n")).unwrap();
        let read = token(Some(&file)).unwrap();
        assert_eq!(read.lifetime_ms, 4_102_444_800_000);
        assert_eq!(
            (read.principal_name.as_str(), read.token.contains(".s")),
            ("gateway", true)
        );
        std::fs::write(&file, "opaque").unwrap();
        assert!(token(Some(&file)).unwrap().lifetime_ms > 0);
    }

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
