//! Settings of the client library that follow from ours: what makes delivery lossless, ordered and patient, and how to be
//! let in. What must not live here: the client library itself.

use std::path::Path;

use super::settings::{BadKafka, Kafka, Sasl, SaslMechanism, Tls};

/// Names and values for the client. Values may be secrets: never shown.
pub(crate) struct Options {
    pairs: Vec<(&'static str, String)>,
    /// How many of the first are about the connection.
    connection: usize,
    /// Where the current token is, for `OAUTHBEARER`.
    pub token_file: Option<std::path::PathBuf>,
}

impl Options {
    /// What any client needs to reach the brokers. Reads the secrets that the settings name.
    pub(crate) fn connection(kafka: &Kafka) -> Result<Self, BadKafka> {
        let mut options = Self {
            pairs: Vec::new(),
            connection: 0,
            token_file: None,
        };
        options.set("bootstrap.servers", &kafka.bootstrap);
        options.set("client.id", "tollgate");
        // A broker that is gone, frozen or restarted is found out, and found again, within seconds.
        options.set("socket.timeout.ms", "15000");
        options.set("socket.keepalive.enable", "true");
        options.set("reconnect.backoff.ms", "50");
        options.set("reconnect.backoff.max.ms", "1000");
        options.set("topic.metadata.refresh.interval.ms", "30000");
        options.set("api.version.request.timeout.ms", "5000");
        let protocol = match (&kafka.tls, &kafka.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        options.set("security.protocol", protocol);
        if let Some(tls) = &kafka.tls {
            options.add_tls(tls)?;
        }
        if let Some(sasl) = &kafka.sasl {
            options.add_sasl(sasl)?;
        }
        options.connection = options.pairs.len();
        Ok(options)
    }

    /// What the publisher needs besides: nothing is acknowledged before it is replicated, nothing doubled or reordered by a
    /// retry, and nothing given up.
    pub(crate) fn publishing(kafka: &Kafka) -> Result<Self, BadKafka> {
        let mut options = Self::connection(kafka)?;
        options.set("enable.idempotence", "true");
        options.set("acks", "all");
        options.set("max.in.flight.requests.per.connection", "5");
        options.set("message.timeout.ms", "0");
        options.set("request.timeout.ms", "10000");
        options.set("retry.backoff.ms", "50");
        options.set("retry.backoff.max.ms", "1000");
        options.set("compression.codec", "zstd");
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
        self.pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Those that any client takes.
    pub(crate) fn connection_pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.pairs().take(self.connection)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.pairs.push((name, value.to_owned()));
    }

    fn set_path(&mut self, name: &'static str, path: &Path) -> Result<(), BadKafka> {
        let message = || BadKafka {
            setting: "tls",
            message: format!("{} cannot be read; correct its path", path.display()),
        };
        std::fs::File::open(path).map_err(|_| message())?;
        self.set(name, path.to_str().ok_or_else(message)?);
        Ok(())
    }

    fn add_tls(&mut self, tls: &Tls) -> Result<(), BadKafka> {
        match &tls.ca_file {
            Some(path) => self.set_path("ssl.ca.location", path)?,
            None => self.set("ssl.ca.location", "probe"),
        }
        self.set("ssl.endpoint.identification.algorithm", "https");
        if let Some(path) = &tls.cert_file {
            self.set_path("ssl.certificate.location", path)?;
        }
        if let Some(path) = &tls.key_file {
            self.set_path("ssl.key.location", path)?;
        }
        if let Some(variable) = &tls.key_password_env {
            let password = from_environment("tls", variable)?;
            self.set("ssl.key.password", &password);
        }
        Ok(())
    }

    fn add_sasl(&mut self, sasl: &Sasl) -> Result<(), BadKafka> {
        self.set("sasl.mechanism", sasl.mechanism.name());
        if sasl.mechanism == SaslMechanism::OauthBearer {
            self.token_file.clone_from(&sasl.token_file);
            return Ok(());
        }
        self.set(
            "sasl.username",
            sasl.username.as_deref().unwrap_or_default(),
        );
        let password = match (&sasl.password_env, &sasl.password_file) {
            (Some(variable), _) => from_environment("sasl", variable)?,
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| BadKafka {
                    setting: "sasl",
                    message: format!(
                        "the password file {} cannot be read: {error}",
                        path.display()
                    ),
                })?,
            (None, None) => String::new(),
        };
        self.set("sasl.password", &password);
        Ok(())
    }
}

/// The largest batch that is sent: below the default bound of brokers and of hosted services.
pub(crate) const MAX_BATCH_BYTES: usize = 1_000_000;
/// The most records on their way.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;

fn from_environment(setting: &'static str, variable: &str) -> Result<String, BadKafka> {
    std::env::var(variable).map_err(|_| BadKafka {
        setting,
        message: format!("environment variable {variable} is not set; it must hold the password"),
    })
}
