//! `tollgate rebuild`: the tables made again from archive and log, compared with those that are there, and put in their place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use archive::{Boundaries, Chain, Directory};
use consumer::rebuild::{
    Compared, Equal, Filled, LogToRead, Replaced, Site, StoreEnds, boundaries_of, compare,
    cursor_end, fill, journal_records, journal_topic, store_ends, unread_logs,
};
use consumer::{KafkaLog, KafkaOptions};
use indicatif::{ProgressBar, ProgressStyle};
use schemas::rows::Source as Place;
use schemas::{Text, fs_names};
use store::{Client, Engine, User};

use super::rebuild_bills::{Bill, bills};
use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::servers;

/// Make the tables again from the log.
#[derive(Debug, clap::Args)]
pub struct Rebuild {
    #[command(flatten)]
    config: ConfigArg,
    /// The archive's directory; the configuration's if absent
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Compare the reports of this period: month, year, day, or `start/end`; each month that has events if absent
    #[arg(long)]
    period: Option<String>,
    /// Price book; the configuration's if absent
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Compare only, and leave the old tables
    #[arg(long, conflicts_with = "accept_differences")]
    dry_run: bool,
    /// Put the new tables in place though they differ; the old ones are kept in a database of their own
    #[arg(long)]
    accept_differences: bool,
}

/// One partition of a log, by what the store calls it.
type Key = (String, i32);

/// What a rebuild reads.
struct Sources {
    logs: BTreeMap<Key, LogToRead>,
    /// Keeps others out of the log, or sees that they are.
    guard: Guard,
}

/// Nobody may write the tables meanwhile.
enum Guard {
    /// The journal is ours.
    Journal {
        _lock: Option<Box<dyn journal::LayerLock>>,
    },
    /// The group is looked at again before the exchange.
    Group {
        log: Box<KafkaLog>,
        /// What it had committed when the end of the rebuild was chosen.
        committed: BTreeMap<i32, i64>,
    },
}

impl Guard {
    fn check(&self) -> anyhow::Result<()> {
        let Self::Group { log, committed } = self else {
            return Ok(());
        };
        let members = log.members()?;
        anyhow::ensure!(
            members == 0,
            "{members} consumers are in the group: stop them first; gateways may serve on, the log keeps what comes"
        );
        // One may have come after the last look, and gone before this one.
        stayed("committed by the group", committed, &log.committed()?)
    }
}

/// Somebody wrote between two looks if anything moved.
fn stayed<K: Ord + std::fmt::Debug>(
    what: &str,
    before: &BTreeMap<K, i64>,
    now: &BTreeMap<K, i64>,
) -> anyhow::Result<()> {
    let keys = before.keys().chain(now.keys());
    let Some(key) = keys.into_iter().find(|key| before.get(key) != now.get(key)) else {
        return Ok(());
    };
    let said = |of: &BTreeMap<K, i64>| {
        let place = of.get(key);
        place.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    anyhow::bail!(
        "a consumer was here meanwhile: of {key:?}, {what} was {}, now it is {}; stop all consumers and begin again",
        said(before),
        said(now)
    )
}

impl Rebuild {
    /// Rebuilds; the exit code says whether the tables are what the log says.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = Config::load(&self.config.config)?.value;
        config.prices = self.prices.clone().or(config.prices);
        servers::must_be_whole(&config)?;
        let configured = config.archive.as_ref().map(|archive| archive.dir.clone());
        let archive = self.archive.clone().or(configured);
        if let Some(dir) = archive.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(Usage(format!("the archive {} is no directory", dir.display())).into());
        }
        block_on(async {
            let mut sources = sources(&config, archive.map(Directory::new))?;
            sources.guard.check()?;
            let mut engine = None;
            let client = match (&config.store, &config.log.kafka) {
                (None, None) => {
                    let options = config.for_engine()?;
                    let started = engine.insert(Engine::connect_or_start(&options).await?);
                    started.client(User::Writer, store::DATABASE)
                }
                _ => servers::client(&config)?,
            };
            let rebuilt = self.rebuild(&config, &client, &mut sources).await;
            if let Some(engine) = engine {
                engine.stop().await;
            }
            rebuilt
        })
    }

    async fn rebuild(
        &self,
        config: &Config,
        client: &Client,
        sources: &mut Sources,
    ) -> anyhow::Result<ExitCode> {
        let ends = store_ends(client).await?;
        for (key, log) in &mut sources.logs {
            log.end = log.end.max(ends.get(key).copied());
        }
        let site = Site::prepare(client).await?;
        let filled = fill_all(&site, std::mem::take(&mut sources.logs)).await?;
        let compared = compare(&site, &filled).await?;
        let bills = bills(config, &site, &compared, self.period.as_deref()).await?;
        let mut differences: Vec<String> = filled.iter().flat_map(Filled::faults).collect();
        for (topic, partition, rows) in unread_logs(&site, &filled).await? {
            differences.push(format!(
                "{topic}/{partition}: the store has {rows} rows of it, and neither the archive nor a log"
            ));
        }
        show(&filled, &compared, &bills);
        differences.extend(compared.iter().flat_map(told));
        differences.extend(bills.iter().filter(|bill| !bill.is_equal()).map(Bill::told));
        for difference in &differences {
            println!("different: {difference}");
        }
        self.conclude(&site, (&sources.guard, &ends), &differences)
            .await
    }

    async fn conclude(
        &self,
        site: &Site,
        (guard, ends): (&Guard, &StoreEnds),
        differences: &[String],
    ) -> anyhow::Result<ExitCode> {
        let are_equal = if differences.is_empty() {
            Equal::Yes
        } else {
            Equal::No
        };
        if self.dry_run || (are_equal == Equal::No && !self.accept_differences) {
            site.abandon().await?;
            let why = match are_equal {
                Equal::Yes => "the tables are what the log says; nothing was changed",
                Equal::No => "the tables are not what the log says; nothing was changed",
            };
            println!("{why}");
            return Ok(ExitCode::from(u8::from(are_equal == Equal::No)));
        }
        guard.check()?;
        stayed("the end in the store", ends, &store_ends(&site.old).await?)?;
        match site.exchange(are_equal).await? {
            Replaced::Dropped => println!("the new tables are in place"),
            Replaced::Kept(database) => println!(
                "the new tables are in place; the old ones are in database {database}: drop it when nobody needs it"
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Archive and log, put together.
fn sources(config: &Config, archive: Option<Directory>) -> anyhow::Result<Sources> {
    let mut logs = BTreeMap::new();
    if let Some(directory) = archive {
        let shelf: Arc<dyn archive::Shelf> = Arc::new(directory);
        for id in archive::logs(&*shelf)? {
            if boundaries_of(&id.topic) == Boundaries::Everywhere {
                continue;
            }
            let chain = Chain::open(shelf.clone(), &id)?;
            let log = log_at(&mut logs, &id.place_topic(), id.partition);
            log.end = chain.end();
            log.archive = Some(chain);
        }
    }
    let guard = match &config.log.kafka {
        None => add_journal(config, &mut logs)?,
        Some(kafka) => {
            kafka.check().map_err(|bad| Usage(bad.to_string()))?;
            add_topic(super::consumer::reading(config, kafka)?, &mut logs)?
        }
    };
    Ok(Sources { logs, guard })
}

fn log_at<'a>(
    logs: &'a mut BTreeMap<Key, LogToRead>,
    topic: &str,
    partition: i32,
) -> &'a mut LogToRead {
    let key = (topic.to_owned(), partition);
    logs.entry(key).or_insert_with(|| LogToRead {
        place: Place {
            topic: Text::cut(topic),
            partition,
        },
        archive: None,
        first_kept: None,
        tail: None,
        end: None,
    })
}

fn add_journal(config: &Config, logs: &mut BTreeMap<Key, LogToRead>) -> anyhow::Result<Guard> {
    let dir = config.data_dir.join(fs_names::JOURNAL_DIR);
    let producer = gateway::kept_producer(&config.data_dir)?;
    let (Some(producer), true) = (producer, dir.is_dir()) else {
        eprintln!("no journal in {}: the archive alone is read", dir.display());
        return Ok(Guard::Journal { _lock: None });
    };
    let lock = journal::lock_dir(&dir).context("stop `tollgate up` first")?;
    let topic = journal_topic(&dir, producer.as_str())?;
    let log = log_at(logs, topic.as_str(), 0);
    let (first, tail) = journal_records(&dir)?;
    log.first_kept = Some(first);
    log.tail = Some(tail);
    log.end = cursor_end(&config.data_dir.join(fs_names::CONSUMER_CURSOR), &log.place)?;
    Ok(Guard::Journal { _lock: Some(lock) })
}

fn add_topic(options: KafkaOptions, logs: &mut BTreeMap<Key, LogToRead>) -> anyhow::Result<Guard> {
    let kafka = KafkaLog::open(options)?;
    let topic = kafka.place_topic()?;
    let committed = kafka.committed()?;
    for (partition, (first, end)) in kafka.partitions()? {
        let log = log_at(logs, &topic, partition);
        log.first_kept = Some(first);
        log.end = committed.get(&partition).copied();
        let reader = kafka.reader(partition, end);
        log.tail = Some(Box::new(reader));
    }
    Ok(Guard::Group {
        log: Box::new(kafka),
        committed,
    })
}

async fn fill_all(site: &Site, logs: BTreeMap<Key, LogToRead>) -> anyhow::Result<Vec<Filled>> {
    let length = |log: &LogToRead| {
        let start = log.start().unwrap_or(0);
        u64::try_from(log.end.unwrap_or(start) - start).unwrap_or(0)
    };
    let bar = ProgressBar::new(logs.values().map(length).sum());
    let style = "{bar:30} {pos}/{len} places of the log, {per_sec}, {eta} left  {msg}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let mut all = Vec::new();
    for (_, log) in logs {
        let (start, done) = (log.start().unwrap_or(0), bar.position());
        bar.set_message(format!("{}/{}", log.place.topic, log.place.partition));
        let reached = |at: i64| bar.set_position(done + u64::try_from(at - start).unwrap_or(0));
        all.push(fill(&site.new, log, reached).await?);
    }
    bar.finish_and_clear();
    Ok(all)
}

fn show(filled: &[Filled], compared: &[Compared], bills: &[Bill]) {
    for log in filled {
        let Place { topic, partition } = &log.place;
        println!(
            "log    {topic}/{partition}: {} records in {} batches, places {} to {}",
            log.records,
            log.batches,
            log.from,
            log.to - 1
        );
    }
    for table in compared {
        let verdict = match &table.old {
            None => "lost or empty, made again".to_owned(),
            Some(_) if table.is_equal() => "equal".to_owned(),
            Some(old) => format!("different, {} rows before", old.rows),
        };
        println!(
            "table  {}: {} rows, digest {}, {verdict}",
            table.table, table.new.rows, table.new.digest
        );
    }
    for bill in bills {
        let verdict = match &bill.old {
            None => "nothing to compare with",
            Some(_) if bill.is_equal() => "equal",
            Some(_) => "different",
        };
        println!("report {}: {}, {verdict}", bill.period, bill.new);
    }
}

/// The differences of a table, for people.
fn told(compared: &Compared) -> impl Iterator<Item = String> + use<'_> {
    compared.differences.iter().map(|difference| {
        let month = match difference.month {
            0 => String::new(),
            month => format!(" in {}-{:02}", month / 100, month % 100),
        };
        let (table, old, new) = (compared.table, difference.old_rows, difference.new_rows);
        if difference.columns.is_empty() {
            return format!("table {table}{month}: {old} rows before, {new} from the log");
        }
        let columns = difference.columns.join(", ");
        format!("table {table}{month}: {new} rows, not the same in {columns}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_came_and_went_is_seen_by_what_it_moved() {
        let before = BTreeMap::from([(0, 10), (1, 20)]);
        let is_seen = |now: &[(i32, i64)]| {
            let now = now.iter().copied().collect();
            stayed("committed by the group", &before, &now).err()
        };
        assert!(is_seen(&[(0, 10), (1, 20)]).is_none());
        let moved = is_seen(&[(0, 10), (1, 25)]).expect("it moved").to_string();
        assert!(
            moved.contains("of 1,") && moved.contains("20, now it is 25"),
            "{moved}"
        );
        assert!(is_seen(&[(0, 10), (1, 20), (2, 1)]).is_some());
        assert!(is_seen(&[(0, 10)]).is_some());
    }
}
