//! `tollgate consumer`: a member of the group that reads the log in Kafka into ClickHouse.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use consumer::{Group, KafkaOptions, Options};
use gateway::publish::{Kafka, TopicPolicy};
use runtime::kafka::Pairs;
use runtime::shutdown::Shutdown;
use schemas::{Boot, Topic, fs_names};

use super::{ConfigArg, Usage, consumer_ops};
use crate::config::Config;
use crate::{servers, up};

/// The pause before a store that is away is asked again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Who we are, in the brokers' logs.
const CLIENT: &str = "tollgate-consumer";

/// Read the log in Kafka into ClickHouse.
#[derive(Debug, clap::Args)]
pub struct Consumer {
    #[command(flatten)]
    config: ConfigArg,
}

impl Consumer {
    /// Consumes until a signal.
    pub fn run(self) -> anyhow::Result<()> {
        let loaded = Config::load(&self.config.config)?;
        let config = &loaded.value;
        let Some(kafka) = &config.log.kafka else {
            return Err(Usage(format!(
                "`tollgate consumer` reads Kafka: add `kafka = {{ bootstrap = \"host:9092\" }}` to `[log]` in {}, or run `tollgate up` for everything on one machine",
                loaded.path.display()
            ))
            .into());
        };
        runtime::secrecy::forbid_core_dumps().context("core dumps cannot be forbidden")?;
        runtime::telemetry::init(config.log.format, "info");
        runtime::descriptors::raise_for(0);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tg-serve")
            .enable_all()
            .build()?
            .block_on(serve(config, kafka))
    }
}

async fn serve(config: &Config, kafka: &Kafka) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let mut signals = tokio::task::JoinSet::new();
    signals.spawn(up::watch_signals(shutdown.clone()));
    let reading = reading(config, kafka)?;
    let listener = match config.consumer.ops {
        Some(address) => Some(tokio::net::TcpListener::bind(address).await.with_context(
            || format!("cannot listen on {address}; stop what uses the port or change `consumer.ops`"),
        )?),
        None => None,
    };
    let Some(options) = store(config, kafka, &shutdown).await? else {
        return Ok(());
    };
    let member = format!("consumer-{}", std::process::id());
    let archivers = archivers(config, kafka)?;
    let group = Arc::new(Group::spawn(reading, options, &member, boot())?);
    tracing::info!(group = config.consumer.group, "consuming");
    if let Some(listener) = listener {
        let stop = shutdown.token();
        let groups: Vec<_> = [&group].into_iter().chain(&archivers).cloned().collect();
        signals.spawn(consumer_ops::serve(listener, groups, stop));
    }
    shutdown.asked().await;
    group.stop();
    for archiver in &archivers {
        archiver.stop();
    }
    // Leaving takes as long as the batches in work; the second signal is heard meanwhile.
    tokio::task::spawn_blocking(move || drop((group, archivers))).await?;
    tracing::info!("stopped");
    Ok(())
}

fn boot() -> Boot {
    Boot {
        counter: 1,
        nonce: rand::random(),
    }
}

/// Members of the groups that archive the log and its signs of life, if that is configured.
pub(super) fn archivers(config: &Config, kafka: &Kafka) -> anyhow::Result<Vec<Arc<Group>>> {
    let Some(settings) = &config.archive else {
        return Ok(Vec::new());
    };
    let member = format!("archiver-{}", std::process::id());
    let spawn = |topic: Topic| {
        let name = topic.name(&kafka.topic_prefix);
        let options = KafkaOptions {
            group: format!("{}.archive.{}", config.consumer.group, topic.suffix()),
            topic: name.clone(),
            ..reading(config, kafka)?
        };
        let archiving = settings.archiving(&name)?;
        let group = Group::spawn_archiver(options, archiving, &member, boot())?;
        anyhow::Ok(Arc::new(group))
    };
    [Topic::Usage, Topic::Producers]
        .map(spawn)
        .into_iter()
        .collect()
}

/// Whether every server that is written to remembers the tokens of inserts for long enough.
async fn remembers(options: &Options, partitions: usize) -> anyhow::Result<()> {
    let only = std::slice::from_ref(&options.client);
    let written_to = match &options.shards[..] {
        [] => only,
        shards => shards,
    };
    for client in written_to {
        let findings = consumer::horizon_findings(client, partitions, options).await?;
        anyhow::ensure!(
            findings.is_empty(),
            "the store would forget what it has: {}",
            findings.join("; ")
        );
    }
    Ok(())
}

/// How to write to the store, once it is fit for it; `None` if a stop was asked meanwhile.
async fn store(
    config: &Config,
    kafka: &Kafka,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Options>> {
    loop {
        match fit(config, kafka).await {
            Ok(options) => return Ok(Some(options)),
            Err(error) if can_pass(&error) => {
                tracing::warn!(error = format!("{error:#}"), "the store is not there yet");
            }
            Err(error) => return Err(error),
        }
        let pause = tokio::time::sleep(STORE_AGAIN);
        let stop = shutdown.token();
        if stop.run_until_cancelled_owned(pause).await.is_none() {
            return Ok(None);
        }
    }
}

/// The store, its tables brought up to this version, and the tokens of inserts remembered for long enough.
async fn fit(config: &Config, kafka: &Kafka) -> anyhow::Result<Options> {
    servers::migrate(config).await?;
    let client = servers::client(config)?;
    let mut options = Options::new(client, config.data_dir.join("unused.cursor"));
    config.consumer.choose(&mut options);
    options.shards = servers::shards(config)?;
    let partitions = usize::try_from(kafka.partitions).unwrap_or(1);
    remembers(&options, partitions.div_ceil(options.shards.len().max(1))).await?;
    Ok(options)
}

/// Whether it was the store that could not be reached: nothing of all this is harmed by being done again.
fn can_pass(error: &anyhow::Error) -> bool {
    let migrating = error.downcast_ref::<store::migrate::MigrateError>();
    let asking = error.downcast_ref::<store::StoreError>();
    error.is::<servers::NoEngine>()
        || migrating.is_some_and(store::migrate::MigrateError::can_pass)
        || asking.is_some_and(|error| error.class() != store::Class::Rejected)
}

/// How a reader of this configuration's topics reaches them.
pub(super) fn reading(config: &Config, kafka: &Kafka) -> anyhow::Result<KafkaOptions> {
    Ok(KafkaOptions {
        connection: Pairs::of(&kafka.connection(), CLIENT)
            .map_err(|bad| Usage(format!("log.kafka: {bad}")))?,
        group: config.consumer.group.clone(),
        topic: Topic::Usage.name(&kafka.topic_prefix),
        dead_letters: Topic::DeadLetters.name(&kafka.topic_prefix),
        producers: Topic::Producers.name(&kafka.topic_prefix),
        session_timeout: Duration::from_millis(config.consumer.session_timeout_ms),
        cluster_file: config.data_dir.join(fs_names::LOG_CLUSTER),
        promised: (kafka.topics != TopicPolicy::Trust).then(|| kafka.promises()),
    })
}
