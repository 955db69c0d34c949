//! `tollgate bench --growth`: what a request costs as load grows: by connections, by open streams, by keys. Each step is a
//! line of a CSV file, which is drawn elsewhere. What the figures may be must not live here.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use simulator::load::{LoadReport, LoadSettings, Stop};

use super::driver::{Driver, float, millis};
use super::processes::{self, Cores, core_busy_ms, sum_ns};
use super::stand::{Plan, Stand};

const CONNECTIONS: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096];
const STREAMS: &[u64] = &[10, 100, 1_000, 4_000, 9_500, 20_000];
const KEYS: &[u64] = &[1, 10, 100, 1_000, 10_000, 100_000];
/// From one event of a stream to the next: so slow that a core can do with the most streams.
const PACE_MS: u64 = 500;
/// Events with content in a stream, and all of its events.
const CONTENT_EVENTS: u64 = 16;
const EVENTS: u64 = CONTENT_EVENTS + 3;
/// Files of a process beside those of its connections.
const OTHER_FILES: u64 = 400;
/// Connections do not begin faster than this: the kernel lets no more wait.
const CONNECTIONS_A_MS: u64 = 8;
/// The consumer's threads: what they do is not the request's.
const CONSUMER: &str = "tg-consumer";
/// Times are in ms.
const US_PER_MS: f64 = 1_000.0;

/// What was asked.
#[derive(Debug)]
pub struct Growth {
    /// How long a step lasts.
    pub window: Duration,
    /// Only the ends and one step between.
    pub quick: bool,
    /// Where the files go.
    pub folder: PathBuf,
}

/// One step of connections or of keys.
#[derive(Debug, Serialize)]
struct Step {
    /// Connections, or keys.
    count: u64,
    requests_per_second: f64,
    cpu_us_per_request: f64,
    p50_ms: f64,
    p99_ms: f64,
    resident_mib: f64,
    most_resident_mib: f64,
    ready_seconds: f64,
}

/// One step of streams.
#[derive(Debug, Serialize)]
struct StreamStep {
    count: u64,
    events_per_second: f64,
    cpu_us_per_event: f64,
    first_p50_ms: f64,
    first_p99_ms: f64,
    gap_p50_ms: f64,
    gap_p99_ms: f64,
    /// The same load past the gateway.
    direct_first_p99_ms: f64,
    direct_gap_p99_ms: f64,
    /// Shares of the time in which the cores were busy, by whomever, while all streams were open; 0 where none is pinned.
    gateway_core_busy: f64,
    load_core_busy: f64,
    most_resident_mib: f64,
}

impl Growth {
    /// Measures, and writes the files.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        std::fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let limit = runtime::descriptors::raise()?;
        let cores = Cores::find();
        crate::cli::block_on(async {
            let measuring = async {
                self.connections(cores).await?;
                self.streams(cores, limit).await?;
                self.keys(cores).await
            };
            tokio::select! {
                measured = measuring => measured,
                interrupted = processes::interrupted() => {
                    interrupted?;
                    anyhow::bail!("interrupted; what was finished is written")
                }
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn steps<'a>(&self, all: &'a [u64]) -> Vec<&'a u64> {
        let last = all.len() - 1;
        let kept =
            |(number, _): &(usize, &u64)| !self.quick || [0, last / 2, last].contains(number);
        all.iter()
            .enumerate()
            .filter(kept)
            .map(|(_, step)| step)
            .collect()
    }

    /// Small requests in a closed loop.
    async fn connections(&self, cores: Option<Cores>) -> anyhow::Result<()> {
        let mut steps = Vec::new();
        for &count in self.steps(CONNECTIONS) {
            let mut driver = Driver::new(Stand::start(cores, &Plan::default())?).await?;
            let settings = LoadSettings {
                connections: usize::try_from(count)?,
                stagger_ms: count / CONNECTIONS_A_MS,
                ..driver.small(self.window)
            };
            steps.push(requests(&mut driver, count, settings).await?);
        }
        write(&self.folder.join("connections.csv"), &steps)
    }

    /// Paced streams, open all at once.
    async fn streams(&self, cores: Option<Cores>, limit: u64) -> anyhow::Result<()> {
        let mut steps = Vec::new();
        for &count in self.steps(STREAMS) {
            if count * 2 + OTHER_FILES > limit {
                eprintln!(
                    "bench: {count} streams left out: the hard limit of open files is {limit} (LimitNOFILE, ulimit -Hn)"
                );
                continue;
            }
            eprintln!("bench: {count} streams");
            let mut driver = Driver::new(Stand::start(cores, &Plan::default())?).await?;
            steps.push(paced(&mut driver, self.window, cores, count).await?);
            driver.settle().await?;
            driver.prove().await?;
            driver.stop().await?;
        }
        write(&self.folder.join("streams.csv"), &steps)
    }

    /// Small requests with as many keys, each in its turn.
    async fn keys(&self, cores: Option<Cores>) -> anyhow::Result<()> {
        let mut steps = Vec::new();
        for &count in self.steps(KEYS) {
            let plan = Plan {
                more_keys: usize::try_from(count)?,
            };
            let mut driver = Driver::new(Stand::start(cores, &plan)?).await?;
            let settings = driver.small(self.window);
            steps.push(requests(&mut driver, count, settings).await?);
        }
        write(&self.folder.join("keys.csv"), &steps)
    }
}

/// A step of streams, past the gateway and through it.
async fn paced(
    driver: &mut Driver,
    window: Duration,
    cores: Option<Cores>,
    count: u64,
) -> anyhow::Result<StreamStep> {
    let stream_ms = PACE_MS * CONTENT_EVENTS;
    let settings = LoadSettings {
        connections: usize::try_from(count)?,
        stream: true,
        include_usage: true,
        max_tokens: CONTENT_EVENTS,
        order: Some(format!("chunk_delay={PACE_MS}")),
        stagger_ms: stream_ms,
        stop: Stop::Millis(stream_ms + millis(window)),
        ..driver.small(window)
    };
    let direct = driver.direct("direct streams", &settings).await?;
    warm_up(driver).await?;
    let busy = async {
        tokio::time::sleep(Duration::from_millis(stream_ms)).await;
        let before = cores.map(busy_ms);
        tokio::time::sleep(window).await;
        let spent = before.zip(cores.map(busy_ms));
        spent.map_or([0.0; 2], |(before, after)| {
            let share = |core: usize| float(after[core].saturating_sub(before[core]));
            [0, 1].map(|core| share(core) / (window.as_secs_f64() * 1_000.0))
        })
    };
    let (measured, [gateway_core_busy, load_core_busy]) =
        tokio::join!(measured(driver, settings), busy);
    let (report, spent_us) = measured?;
    let events = float(report.requests * EVENTS);
    let (_, most_resident_mib) = driver.resident()?;
    let ms = |us: u64| float(us) / US_PER_MS;
    Ok(StreamStep {
        count,
        events_per_second: report.events_per_s,
        cpu_us_per_event: spent_us / events,
        first_p50_ms: ms(report.first_content_us.p50),
        first_p99_ms: ms(report.first_content_us.p99),
        gap_p50_ms: ms(report.gap_us.p50),
        gap_p99_ms: ms(report.gap_us.p99),
        direct_first_p99_ms: ms(direct.first_content_us.p99),
        direct_gap_p99_ms: ms(direct.gap_us.p99),
        gateway_core_busy,
        load_core_busy,
        most_resident_mib,
    })
}

/// For how long the gateway's core and the load's were busy since the machine's start.
fn busy_ms(cores: Cores) -> [u64; 2] {
    [cores.gateway, cores.load].map(core_busy_ms)
}

/// A step of small requests on a gateway of its own, which is stopped thereafter.
async fn requests(driver: &mut Driver, count: u64, settings: LoadSettings) -> anyhow::Result<Step> {
    eprintln!("bench: {count} connections or keys");
    warm_up(driver).await?;
    let (report, spent_us) = measured(driver, settings).await?;
    let (resident_mib, most_resident_mib) = driver.resident()?;
    driver.settle().await?;
    driver.prove().await?;
    driver.stop().await?;
    Ok(Step {
        count,
        requests_per_second: report.rps,
        cpu_us_per_request: spent_us / float(report.requests),
        p50_ms: float(report.latency_us.p50) / US_PER_MS,
        p99_ms: float(report.latency_us.p99) / US_PER_MS,
        resident_mib,
        most_resident_mib,
        ready_seconds: driver.ready_after.as_secs_f64(),
    })
}

/// A short load, until all of it is in the store.
async fn warm_up(driver: &mut Driver) -> anyhow::Result<()> {
    let short = driver.small(Duration::from_millis(500));
    driver.load_by_keys("warm-up", short).await?;
    driver.settle().await
}

/// The load, and the CPU time of everything but the consumer, in µs.
async fn measured(
    driver: &mut Driver,
    settings: LoadSettings,
) -> anyhow::Result<(LoadReport, f64)> {
    let spent = |driver: &Driver| {
        let cpu = driver.cpu()?;
        anyhow::Ok(sum_ns(&cpu, "") - sum_ns(&cpu, CONSUMER))
    };
    let before = spent(driver)?;
    let report = driver.load_by_keys("growth", settings).await?;
    let spent_ns = spent(driver)?.saturating_sub(before);
    Ok((report, float(spent_ns) / US_PER_MS))
}

fn write(path: &Path, steps: &[impl Serialize]) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    for step in steps {
        rows.serialize(step)?;
    }
    rows.flush()?;
    eprintln!("bench: wrote {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_takes_the_ends_and_the_middle() {
        let growth = |quick| Growth {
            window: Duration::ZERO,
            quick,
            folder: PathBuf::new(),
        };
        assert_eq!(growth(false).steps(KEYS).len(), KEYS.len());
        assert_eq!(growth(true).steps(KEYS), [&1, &100, &100_000]);
    }
}
