//! What the store has of what a gateway published, as the consumers' group says it: the seam between the two crates.

use std::sync::Arc;

use gateway::publish::{Kafka, Progress, Readers};
use runtime::kafka::Pairs;
use schemas::Topic;

use crate::cli::Usage;
use crate::config::Config;

/// Who we are, in the brokers' logs.
const CLIENT: &str = "tollgate-sink";

struct Group {
    asker: consumer::Progress,
    name: String,
}

/// Those who read what is published by this configuration.
pub fn readers(config: &Config, kafka: &Kafka) -> anyhow::Result<Arc<dyn Readers>> {
    let pairs =
        Pairs::of(&kafka.connection(), CLIENT).map_err(|bad| Usage(format!("log.kafka: {bad}")))?;
    let group = kafka.group.as_ref().unwrap_or(&config.consumer.group);
    let topic = Topic::Usage.name(&kafka.topic_prefix);
    let asker =
        consumer::Progress::open(&pairs, group, &topic).map_err(|error| anyhow::anyhow!(error))?;
    let name = format!("group `{group}`");
    Ok(Arc::new(Group { asker, name }))
}

impl Readers for Group {
    fn topic_id(&self) -> Result<String, String> {
        self.asker.topic_id()
    }

    fn progress(&self) -> Result<Progress, String> {
        let found = self.asker.look()?;
        Ok(Progress {
            topic_id: found.topic_id,
            committed: found.committed,
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}
