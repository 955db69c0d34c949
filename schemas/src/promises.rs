//! What the topics of the log must be, and what is wrong with those that are there: whoever writes to them and whoever reads them
//! holds them to the same.

use std::collections::BTreeMap;

use crate::topics::Topic;

/// The largest batch that a gateway sends: below the default bound of brokers and of hosted services.
pub const MAX_BATCH_BYTES: usize = 1_000_000;

/// What is configured of all topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promises {
    /// What their names begin with.
    pub topic_prefix: String,
    /// Partitions of the usage topic.
    pub partitions: i32,
    /// Copies of every record.
    pub replication: i32,
    /// Copies without which nothing is acknowledged.
    pub min_in_sync: i32,
    /// How long they keep records, in hours.
    pub retention_hours: u64,
}

/// What a topic must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which one.
    pub topic: Topic,
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many copies of each.
    pub replication: i32,
    /// Settings that are made with it.
    pub settings: Vec<(&'static str, String)>,
}

/// What a topic is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many partitions it has.
    pub partitions: usize,
    /// Of the partition that has the fewest.
    pub replicas: usize,
    /// As the cluster shows them; empty where they were not asked for.
    pub settings: BTreeMap<String, String>,
}

impl Promises {
    /// All topics of the log.
    #[must_use]
    pub fn topics(&self) -> Vec<Wanted> {
        Topic::ALL.map(|topic| self.of(topic)).to_vec()
    }

    fn of(&self, topic: Topic) -> Wanted {
        Wanted {
            topic,
            name: topic.name(&self.topic_prefix),
            partitions: match topic {
                Topic::Usage | Topic::Admissions => self.partitions,
                // Few records, and an order over all producers.
                Topic::Producers | Topic::DeadLetters => 1,
            },
            replication: self.replication,
            settings: vec![
                ("cleanup.policy", "delete".to_owned()),
                ("min.insync.replicas", self.min_in_sync.to_string()),
                ("retention.ms", self.retention_ms().to_string()),
                ("retention.bytes", "-1".to_owned()),
                ("unclean.leader.election.enable", "false".to_owned()),
                ("max.message.bytes", max_message_bytes(topic).to_string()),
                // Retention and the reader's idea of our clock go by the broker's.
                ("message.timestamp.type", "LogAppendTime".to_owned()),
            ],
        }
    }

    fn retention_ms(&self) -> u64 {
        self.retention_hours.saturating_mul(3_600_000)
    }

    /// What would lose or reorder records of these topics, each with the way out. One that is not there is not judged.
    #[must_use]
    pub fn findings(&self, found: &BTreeMap<String, Found>) -> Vec<String> {
        let wanted = self.topics().into_iter();
        let judged = wanted.filter_map(|wanted| {
            let found = found.get(&wanted.name)?;
            Some(findings(&wanted, found, self))
        });
        judged.flatten().collect()
    }
}

/// A dead letter is a record of the log with headers about it.
fn max_message_bytes(topic: Topic) -> usize {
    let of_the_log = MAX_BATCH_BYTES + 48_588;
    if topic == Topic::DeadLetters {
        of_the_log + (64 << 10)
    } else {
        of_the_log
    }
}

/// What a setting must be.
enum Must {
    /// This text.
    Be(&'static str),
    /// So many or more; -1 is no bound.
    Reach(u64),
}

impl Must {
    fn holds(&self, found: &str) -> bool {
        match self {
            Self::Be(wanted) => found == *wanted,
            Self::Reach(least) => {
                found == "-1" || found.parse::<u64>().is_ok_and(|found| found >= *least)
            }
        }
    }

    fn value(&self) -> String {
        match self {
            Self::Be(wanted) => (*wanted).to_owned(),
            Self::Reach(least) => least.to_string(),
        }
    }
}

/// Every setting that matters, what it must be, and what happens where it is not.
fn rules(promised: &Promises) -> [(&'static str, Must, &'static str); 6] {
    let min_in_sync = u64::try_from(promised.min_in_sync).unwrap_or(1);
    [
        (
            "cleanup.policy",
            Must::Be("delete"),
            "and compaction takes records away",
        ),
        (
            "min.insync.replicas",
            Must::Reach(min_in_sync),
            "fewer copies than configured before a record counts",
        ),
        (
            "retention.ms",
            Must::Reach(promised.retention_ms()),
            "shorter than configured",
        ),
        (
            "retention.bytes",
            Must::Be("-1"),
            "which takes unread records away",
        ),
        (
            "unclean.leader.election.enable",
            Must::Be("false"),
            "which loses acknowledged records",
        ),
        (
            "max.message.bytes",
            Must::Reach(MAX_BATCH_BYTES as u64),
            "smaller than our batches",
        ),
    ]
}

/// The same of one. A setting that is not shown is not judged.
fn findings(wanted: &Wanted, found: &Found, promised: &Promises) -> Vec<String> {
    let name = &wanted.name;
    let mut findings = Vec::new();
    if usize::try_from(wanted.partitions) != Ok(found.partitions) {
        findings.push(format!(
            "topic {name} has {} partitions and {} are configured: correct `log.kafka.partitions`, or make a new generation of topics with another `topic_prefix`",
            found.partitions, wanted.partitions
        ));
    }
    if usize::try_from(wanted.replication).is_ok_and(|wanted| found.replicas < wanted) {
        findings.push(format!(
            "topic {name} has {} replicas of a partition and {} are configured: add replicas with kafka-reassign-partitions, or lower `log.kafka.replication`",
            found.replicas, wanted.replication
        ));
    }
    for (setting, must, harm) in rules(promised) {
        let shown = found.settings.get(setting);
        if let Some(found) = shown.filter(|found| !must.holds(found)) {
            findings.push(format!(
                "topic {name} has {setting}={found}, {harm}: kafka-configs --alter --entity-type topics --entity-name {name} --add-config {setting}={}",
                must.value()
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promised() -> Promises {
        Promises {
            topic_prefix: "t.".into(),
            partitions: 12,
            replication: 3,
            min_in_sync: 2,
            retention_hours: 24,
        }
    }

    fn good() -> Found {
        let wanted = &promised().of(Topic::Usage);
        Found {
            partitions: 12,
            replicas: 3,
            settings: wanted
                .settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }

    fn judged(found: Found) -> Vec<String> {
        promised().findings(&[("t.usage.v1".to_owned(), found)].into())
    }

    #[test]
    fn a_topic_as_we_make_it_has_no_findings() {
        assert_eq!(judged(good()), [""; 0]);
    }

    #[test]
    fn each_fault_is_one_finding_with_its_way_out() {
        for (setting, value) in [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("min.insync.replicas", "1"),
            ("retention.ms", "3600000"),
            ("retention.bytes", "1048576"),
            ("unclean.leader.election.enable", "true"),
            ("max.message.bytes", "16384"),
        ] {
            let mut found = good();
            found.settings.insert(setting.into(), value.into());
            let findings = judged(found);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].contains(&format!("--add-config {setting}=")));
        }
        let mut found = good();
        found.partitions = 6;
        found.replicas = 1;
        assert_eq!(judged(found).len(), 2);
    }

    #[test]
    fn more_than_is_asked_and_what_is_not_shown_are_no_findings() {
        let mut found = good();
        found.replicas = 5;
        found.settings.insert("retention.ms".into(), "-1".into());
        found.settings.remove("cleanup.policy");
        assert_eq!(judged(found), [""; 0]);
    }
}
