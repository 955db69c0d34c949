//! Whether the topics are what is configured: one that is compacted, or kept too short, loses records before anybody can read them.
//! It is said as long as it lasts, and read on meanwhile: what is not read is lost all the sooner.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::RDKafkaErrorCode;
use schemas::promises::{Found, Promises};

use super::client::{Asker, shown};
use super::group::Shared;
use super::options::KafkaOptions;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// How often it is looked at topics that are good.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The same of those that are not, or of which it is not known.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Looks until it is asked to stop.
pub(super) fn watch(shared: &Shared) {
    let Some(promised) = &shared.kafka.promised else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return shared.heard(format!("no runtime to look at topics: {error}")),
    };
    while !shared.is_stopping() {
        let found = runtime.block_on(look(&shared.kafka, promised));
        let is_good = found.as_ref().is_ok_and(Vec::is_empty);
        match found {
            Ok(findings) => shared.found_of_topics(findings),
            // Who reads says it as well.
            Err(error) => tracing::debug!(error, "it is not known what the topics are"),
        }
        shared.rest(if is_good { LOOK_EVERY } else { LOOK_AGAIN });
    }
}

async fn look(options: &KafkaOptions, promised: &Promises) -> Result<Vec<String>, String> {
    let mut config = ClientConfig::new();
    for (name, value) in options.connection() {
        config.set(name, value);
    }
    let asker = Asker(options.token_file());
    let admin: AdminClient<Asker> =
        AdminClient::from_config_and_context(&config, asker).map_err(|error| shown(&error))?;
    // Asked for all: a topic that is asked for by name may be made by the asking.
    let metadata = admin.inner().fetch_metadata(None, ASK);
    let metadata = metadata.map_err(|error| shown(&error))?;
    let wanted = promised.topics();
    let ours = metadata.topics().iter();
    let ours = ours.filter(|topic| wanted.iter().any(|wanted| wanted.name == topic.name()));
    let ours: Vec<_> = ours.collect();
    if let Some(topic) = ours.iter().find(|topic| topic.error().is_some()) {
        return Err(format!("topic {} is not shown", topic.name()));
    }
    let mut found: BTreeMap<String, Found> = ours
        .into_iter()
        .map(|topic| {
            let partitions = topic.partitions();
            let replicas = partitions.iter().map(|found| found.replicas().len());
            let found = Found {
                partitions: partitions.len(),
                replicas: replicas.min().unwrap_or(0),
                settings: BTreeMap::new(),
            };
            (topic.name().to_owned(), found)
        })
        .collect();
    settings(&admin, &mut found).await?;
    Ok(promised.findings(&found))
}

/// What the cluster shows of their settings: whoever may only read is shown none.
async fn settings(
    admin: &AdminClient<Asker>,
    found: &mut BTreeMap<String, Found>,
) -> Result<(), String> {
    let asked: Vec<ResourceSpecifier<'_>> = found
        .keys()
        .map(|name| ResourceSpecifier::Topic(name))
        .collect();
    let asking = AdminOptions::new().request_timeout(Some(ASK));
    let described = admin.describe_configs(asked.iter(), &asking).await;
    let described = described.map_err(|error| shown(&error))?;
    for (found, described) in found.values_mut().zip(described) {
        match described {
            Ok(described) => {
                let entries = described.entries.into_iter();
                let shown = entries.filter_map(|entry| Some((entry.name, entry.value?)));
                found.settings = shown.collect();
            }
            Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {}
            Err(code) => return Err(format!("the settings of a topic are not shown: {code}")),
        }
    }
    Ok(())
}
