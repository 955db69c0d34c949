//! The configuration file: every section, and which crate it speaks to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use runtime::config::{ConfigError, Loaded};
use runtime::telemetry::LogFormat;
use schemas::fs_names;
use serde::Deserialize;

/// `tollgate.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything lies; relative to the file.
    pub data_dir: PathBuf,
    /// The price book; relative to the file.
    pub prices: Option<PathBuf>,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
    /// `[telemetry]`: traces.
    #[serde(default)]
    pub telemetry: runtime::otlp::Settings,
    /// `[gateway]`
    #[serde(default)]
    pub gateway: gateway::config::Settings,
    /// `[journal]`
    #[serde(default)]
    pub journal: JournalSettings,
    /// `[engine]`
    #[serde(default)]
    pub engine: EngineSettings,
    /// `[store]`: a ClickHouse server instead of the embedded engine.
    pub store: Option<StoreSettings>,
    /// `[consumer]`
    #[serde(default)]
    pub consumer: ConsumerSettings,
    /// `[billing]`: the API for finance and compliance.
    #[serde(default)]
    pub billing: billing::api::Settings,
    /// `[archive]`: sealed segments of the log, beyond its retention.
    pub archive: Option<ArchiveSettings>,
    /// `[simulator]`: where the sample's provider listens.
    pub simulator: Option<SimulatorSettings>,
    /// `[[deployments]]`
    #[serde(default)]
    pub deployments: Vec<gateway::config::Deployment>,
    /// `[[routes]]`
    #[serde(default)]
    pub routes: Vec<gateway::config::Route>,
    /// `[[tenants]]`
    #[serde(default)]
    pub tenants: Vec<gateway::config::Tenant>,
}

/// `[log]`: what is logged, and how; where the log of records is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// One line a request.
    pub requests: bool,
    /// The log in Kafka, where there is one.
    pub kafka: Option<gateway::publish::Kafka>,
}

/// Files beside those of connections: the journal, the operators' doors, the store, Kafka.
const OTHER_FILES: u64 = 1_024;

/// What refusals may take where a journal has room for it.
const USUAL_REFUSALS_MIB: u64 = 512;

/// `[journal]`: sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSettings {
    /// A segment, in MiB.
    pub segment_mib: u64,
    /// All segments together, in MiB; what is full refuses new work.
    pub capacity_mib: u64,
    /// What is kept after it is safe in the store, in MiB; half of the capacity if absent, and two segments less than all of it
    /// at the most.
    pub keep_mib: Option<u64>,
    /// Refusals that are not safe in the store, in MiB; 512 if absent, and a quarter of the capacity at the most.
    pub refusals_mib: Option<u64>,
    /// The longest time a record waits for its fsync, in milliseconds.
    pub sync_interval_ms: u64,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            segment_mib: 64,
            capacity_mib: 16_384,
            keep_mib: None,
            refusals_mib: None,
            sync_interval_ms: 2,
        }
    }
}

impl JournalSettings {
    /// What is kept of records that are safe elsewhere.
    pub fn keep_bytes(&self) -> u64 {
        let half = self.capacity_mib / 2;
        self.keep_mib.unwrap_or(half.min(self.most_kept_mib())) << 20
    }

    /// The most that refusals may take until they are safe elsewhere.
    fn refusal_lane_bytes(&self) -> u64 {
        let quarter_bytes = (self.capacity_mib << 20) / 4;
        match self.refusals_mib {
            Some(mib) => mib << 20,
            None => quarter_bytes.min(USUAL_REFUSALS_MIB << 20),
        }
    }

    /// What is kept must leave room: a segment goes whole, so one that is being filled and the next must fit beside it; and three
    /// quarters are enough of it.
    fn most_kept_mib(&self) -> u64 {
        let beside = self.capacity_mib.saturating_sub(2 * self.segment_mib);
        beside.min(self.capacity_mib / 4 * 3)
    }

    /// A journal that is full of what is kept, or of refusals, would refuse requests for nothing. Says what is wrong, and where.
    fn problem(&self) -> Option<(&'static str, String)> {
        let (segment, capacity) = (self.segment_mib, self.capacity_mib);
        if segment == 0 || capacity >> 40 > 0 || segment > capacity / 2 {
            let message = format!(
                "capacity_mib = {capacity} must hold at least two segments of segment_mib = {segment}: raise it, or make segments smaller"
            );
            return Some(("capacity_mib", message));
        }
        let most = self.most_kept_mib();
        if let Some(keep) = self.keep_mib.filter(|keep| *keep > most) {
            let message = format!(
                "keep_mib = {keep} leaves too little of capacity_mib = {capacity}, of which two segments of segment_mib = {segment} and a quarter must stay free: it may be {most} at the most"
            );
            return Some(("keep_mib", message));
        }
        let most = capacity / 4;
        let refusals = self.refusals_mib.filter(|refusals| *refusals > most)?;
        let message = format!(
            "refusals_mib = {refusals} is more than a quarter of capacity_mib = {capacity}: it may be {most} at the most"
        );
        Some(("refusals_mib", message))
    }
}

/// `[engine]`: the embedded engine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// The library; where the set-up puts it if absent.
    pub library: Option<PathBuf>,
}

/// `[store]`: a ClickHouse server. Secrets are named here, never held.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `http://host:8123`
    pub url: String,
    /// Who writes.
    #[serde(default = "default_user")]
    pub user: String,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// File that holds the password; relative to the configuration.
    pub password_file: Option<PathBuf>,
    /// The database of all tables.
    #[serde(default = "default_database")]
    pub database: String,
    /// The cluster that the tables are made on, as its servers name it.
    pub cluster: Option<String>,
    /// One URL for each shard of the cluster, in an order that stays.
    #[serde(default)]
    pub shards: Vec<String>,
    /// How many replicas must have an insert; 0 is what the server's settings say.
    #[serde(default)]
    pub insert_quorum: u32,
}

fn default_user() -> String {
    "default".to_owned()
}

fn default_database() -> String {
    store::DATABASE.to_owned()
}

/// `[consumer]`: from the log into the store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerSettings {
    /// How often the store is audited, in seconds.
    pub audit_seconds: u64,
    /// How often it is looked whether all numbers that gateways claim are in the store, in seconds.
    pub watch_seconds: u64,
    /// A gateway that gives no sign of life for so long, and did not say that it ends, is silent, in seconds.
    pub silent_seconds: u64,
    /// `tollgate consumer`: the group that shares the partitions.
    pub group: String,
    /// `tollgate consumer`: a member that is silent for so long loses its partitions, in milliseconds.
    pub session_timeout_ms: u64,
    /// `tollgate consumer`: where it shows its metrics and whether it is well.
    pub ops: Option<SocketAddr>,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            audit_seconds: 30,
            watch_seconds: 15,
            silent_seconds: 60,
            group: "tollgate".to_owned(),
            session_timeout_ms: 10_000,
            ops: None,
        }
    }
}

/// `[archive]`: where sealed segments of the log lie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSettings {
    /// The directory; relative to the configuration. The same for all that archive a log.
    pub dir: PathBuf,
    /// A segment ends with the batch that brings it to this size before compression, in MiB.
    #[serde(default = "default_archive_mib")]
    pub segment_mib: u64,
    /// A segment ends before the first record that is so much younger than its first, in seconds.
    #[serde(default = "default_archive_age")]
    pub age_seconds: u64,
}

fn default_archive_mib() -> u64 {
    64
}

fn default_archive_age() -> u64 {
    3_600
}

impl ArchiveSettings {
    /// An archiver of a topic, which is shown that it can write.
    pub fn archiving(&self, topic: &str) -> anyhow::Result<consumer::Archiving> {
        let directory = archive::Directory::new(&self.dir);
        directory
            .prepare()
            .with_context(|| format!("`archive.dir` {} cannot be used", self.dir.display()))?;
        Ok(consumer::Archiving {
            shelf: Arc::new(directory),
            limits: archive::Limits {
                bytes: self.segment_mib.max(1) << 20,
                age_us: i64::try_from(self.age_seconds.saturating_mul(1_000_000))?.max(1),
            },
            boundaries: consumer::rebuild::boundaries_of(topic),
            metrics: consumer::ArchiveMetrics::default(),
        })
    }
}

impl ConsumerSettings {
    /// Puts what both forms share into the consumer's options.
    pub fn choose(&self, options: &mut consumer::Options) {
        options.audit_every = Duration::from_secs(self.audit_seconds);
        options.watch_every = Duration::from_secs(self.watch_seconds.max(1));
        options.silent_after = Duration::from_secs(self.silent_seconds.max(1));
    }
}

/// `[simulator]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorSettings {
    /// Where it listens.
    pub listen: SocketAddr,
}

impl Config {
    /// Reads the file; its relative paths become relative to it.
    pub fn load(path: &Path) -> Result<Loaded<Self>, ConfigError> {
        let mut loaded = runtime::config::load::<Self>(path)?;
        let base = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let config = &mut loaded.value;
        config.data_dir = absolute(path, base.join(&config.data_dir))?;
        config.telemetry.resolve(&base);
        if let Some(kafka) = &mut config.log.kafka {
            kafka.resolve(&base);
            if let Err(bad) = kafka.check() {
                let message = bad.to_string();
                return Err(ConfigError::at(path, &loaded.text, bad.setting, message));
            }
        }
        if let Some(store) = &mut config.store {
            store.password_file = store.password_file.as_ref().map(|file| base.join(file));
        }
        if let Some((setting, message)) = config.journal.problem() {
            return Err(ConfigError::at(path, &loaded.text, setting, message));
        }
        let spool = &mut config.billing.spool_dir;
        *spool = spool.as_ref().map(|dir| base.join(dir));
        if let Some(archive) = &mut config.archive {
            archive.dir = absolute(path, base.join(&archive.dir))?;
        }
        config.prices = config.prices.as_ref().map(|prices| base.join(prices));
        for deployment in &mut config.deployments {
            deployment.api_key_file = deployment.api_key_file.as_ref().map(|file| base.join(file));
        }
        Ok(loaded)
    }

    /// The gateway's part.
    pub fn for_gateway(&self) -> gateway::config::Config {
        gateway::config::Config {
            settings: self.gateway.clone(),
            deployments: self.deployments.clone(),
            routes: self.routes.clone(),
            tenants: self.tenants.clone(),
            kafka: self.log.kafka.clone(),
        }
    }

    /// The journal's part.
    pub fn for_journal(&self) -> journal::Options {
        let mut options = journal::Options::new(self.data_dir.join(fs_names::JOURNAL_DIR));
        options.segment_bytes = self.journal.segment_mib << 20;
        options.capacity_bytes = self.journal.capacity_mib << 20;
        options.refusal_lane_bytes = self.journal.refusal_lane_bytes();
        options.sync_interval = Duration::from_millis(self.journal.sync_interval_ms);
        options
    }

    /// How many files and connections the gateway may have open at once: a connection to an app has one to a provider beside it.
    pub fn open_files(&self) -> u64 {
        let files = 2 * self.gateway.max_connections + self.billing.max_connections;
        files as u64 + OTHER_FILES
    }

    /// How the engine's process is started.
    pub fn for_engine(&self) -> std::io::Result<store::supervisor::Options> {
        engine_options(&self.data_dir, self.engine.library.clone())
    }
}

/// The engine resolves paths by itself, so they must not depend on a working directory.
fn absolute(file: &Path, path: PathBuf) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|error| ConfigError::Unreadable {
        path: file.to_owned(),
        error,
    })
}

/// How the engine's process is started for a data directory.
pub fn engine_options(
    data_dir: &Path,
    library: Option<PathBuf>,
) -> std::io::Result<store::supervisor::Options> {
    Ok(store::supervisor::Options {
        data_dir: data_dir.to_owned(),
        library,
        program: std::env::current_exe()?,
        args: vec![
            "engine".into(),
            "--child".into(),
            "--data-dir".into(),
            data_dir.into(),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is taken leaves room for two segments beside what is kept, and for more than refusals.
    fn check(settings: &JournalSettings) {
        let capacity = settings.capacity_mib << 20;
        match settings.problem() {
            None => {
                let room = 2 * (settings.segment_mib << 20);
                assert!(settings.keep_bytes() + room <= capacity, "{settings:?}");
                let lane = settings.refusal_lane_bytes();
                assert!(lane <= capacity / 4, "{settings:?}");
                assert!(lane > 0 || settings.refusals_mib == Some(0), "{settings:?}");
            }
            // The defaults hold whatever the capacity is, if it is one.
            Some((setting, _)) => assert!(
                match setting {
                    "keep_mib" => settings.keep_mib.is_some(),
                    "refusals_mib" => settings.refusals_mib.is_some(),
                    _ => settings.capacity_mib < 2 * settings.segment_mib,
                },
                "{settings:?}"
            ),
        }
    }

    #[test]
    fn every_journal_that_is_taken_can_be_emptied() {
        let some = [0, 1, 7, 48, 100, 512, 900].map(Some);
        let optional: Vec<Option<u64>> = some.into_iter().chain([None]).collect();
        for segment_mib in [1, 2, 3, 16, 64, 100] {
            for capacity_mib in (1..40).chain([64, 127, 128, 129, 200, 1_000, 16_384]) {
                for keep_mib in optional.iter().copied() {
                    for refusals_mib in optional.iter().copied() {
                        check(&JournalSettings {
                            segment_mib,
                            capacity_mib,
                            keep_mib,
                            refusals_mib,
                            ..JournalSettings::default()
                        });
                    }
                }
            }
        }
        assert!(JournalSettings::default().problem().is_none());
    }
}
