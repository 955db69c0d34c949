//! `tollgate gateway`: the gateway alone, its log in Kafka. Other processes read the log and fill the store.

use std::path::Path;
use std::sync::Arc;

use gateway::publish::{Kafka, RetireAfter};
use prometheus_client::registry::Registry;
use runtime::config::{ConfigError, Loaded};
use runtime::shutdown::Shutdown;

use crate::cli::Usage;
use crate::config::Config;
use crate::{data_dir, retire, sink, traces, up};

/// Runs until a signal.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let loaded = Config::load(config)?;
    let Some(kafka) = loaded.value.log.kafka.clone() else {
        return Err(Usage(format!(
            "`tollgate gateway` publishes to Kafka: add `kafka = {{ bootstrap = \"host:9092\" }}` to `[log]` in {}, or run `tollgate up` for everything on one machine",
            config.display()
        ))
        .into());
    };
    up::serving(&loaded.value)?.block_on(serve(loaded, kafka))
}

async fn serve(loaded: Loaded<Config>, kafka: Kafka) -> anyhow::Result<()> {
    let config = &loaded.value;
    data_dir::make(&config.data_dir)?;
    let mut registry = Registry::with_prefix("tollgate");
    let (tracer, spans) = traces::start(&loaded)?.unzip();
    let start = up::start(&loaded, Arc::new(journal::RealLayer), tracer);
    let prepared = gateway::prepare(start, &mut registry)
        .await
        .map_err(|error| up::explain(error, &loaded))?;
    up::tell_orphans(prepared.orphans);
    prepared.confirm_by(sink::readers(config, &kafka)?);
    // Before anybody is answered: whoever is told that this serves may ask it to stop in order.
    let shutdown = Shutdown::new();
    // The second signal must be heard while the first one is obeyed: this one is dropped last.
    let mut signals = tokio::task::JoinSet::new();
    signals.spawn(up::watch_signals(shutdown.clone()));
    let journal = prepared.journal();
    let running = Arc::new(prepared.serve(Arc::new(registry)));
    tracing::info!(app = %running.app_address(), ops = %running.ops_address(), "serving");

    let mut helpers = tokio::task::JoinSet::new();
    helpers.spawn(up::watch_config(
        loaded.clone(),
        running.clone(),
        shutdown.clone(),
        has_kafka,
    ));
    let safe_below = {
        let running = running.clone();
        move || match kafka.retire_after {
            // What is being published again, to a topic made anew, stays until it is there.
            RetireAfter::Sink => {
                let confirmed = running.confirmed().unwrap_or(0);
                confirmed.min(running.acked().unwrap_or(0))
            }
            RetireAfter::Kafka => running.acked().unwrap_or(0),
        }
    };
    helpers.spawn(retire::watch(
        journal.clone(),
        running.clone(),
        safe_below,
        config.journal.keep_bytes(),
        shutdown.clone(),
    ));
    shutdown.asked().await;
    helpers.shutdown().await;
    if let Ok(running) = Arc::try_unwrap(running) {
        running.stop().await;
    } else {
        tracing::error!("the gateway is still in use: it is not waited for");
    }
    if let Err(error) = journal.close() {
        tracing::error!(%error, "the journal could not be synced");
    }
    if let Some(spans) = spans {
        spans.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// What was promised by Kafka is not promised without it.
fn has_kafka(loaded: &Loaded<Config>) -> Result<(), ConfigError> {
    if loaded.value.log.kafka.is_some() {
        return Ok(());
    }
    let message = "`[log] kafka` is gone: `tollgate gateway` cannot do without it";
    Err(ConfigError::at(
        &loaded.path,
        &loaded.text,
        "[log]",
        message.to_owned(),
    ))
}
