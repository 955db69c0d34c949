//! Taking the figures: load through the gateway and past it, in rounds, with the CPU time of every part. A run with an
//! error, or with another number of records than requests, is void. What a figure may be must not live here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use simulator::load::{Load, LoadReport, LoadRequest, LoadSettings, Pace, Stop};
use store::Client;

use super::meters::Figures;
use super::processes::{self, Cores, core_busy_ms, cpu_ns, sum_ns};
use super::stand::{Stand, count_events};

/// How long the store may take to have all records of a measure.
const SETTLE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
/// Requests a second of the open loop.
const RATE: f64 = 300.0;
/// Events of a stream.
const EVENTS: u64 = 50;
/// Records that wait for the engine.
const BACKLOG: u64 = 200_000;
const KIB_PER_MIB: f64 = 1024.0;

/// The run does not count.
#[derive(Debug, thiserror::Error)]
#[error("VOID: {0}; nothing was measured")]
pub struct Void(String);

/// A stand under measurement.
#[derive(Debug)]
pub struct Bench {
    stand: Stand,
    cores: Option<Cores>,
    engine_pid: u32,
    store: Client,
    http: reqwest::Client,
    window: Duration,
    /// Requests given to the gateway so far, warm-ups included.
    sent: Arc<AtomicU64>,
    figures: Figures,
    foreign_share: f64,
    best_rps: f64,
}

/// What was measured.
#[derive(Debug)]
pub struct Taken {
    /// The figures of all rounds.
    pub figures: Figures,
    /// Requests through the gateway, each with one record.
    pub requests: u64,
    /// The largest share of the gateway's core that went to other processes during a measure.
    pub foreign_share: f64,
    /// Requests a second of the closed loop in its best round; bounded by the load's core too.
    pub best_rps: f64,
}

/// CPU time spent for one measure, in µs.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    gateway: f64,
    journal: f64,
    consumer: f64,
    engine: f64,
}

impl Bench {
    /// A bench on a stand that is ready.
    pub async fn new(
        mut stand: Stand,
        cores: Option<Cores>,
        window: Duration,
    ) -> anyhow::Result<Self> {
        let (engine_pid, store) = stand.ready().await?;
        let mut figures = Figures::default();
        figures.note("memory.idle", resident(&stand)?.0);
        Ok(Self {
            stand,
            cores,
            engine_pid,
            store,
            http: reqwest::Client::builder().no_proxy().build()?,
            window,
            sent: Arc::default(),
            figures,
            foreign_share: 0.0,
            best_rps: 0.0,
        })
    }

    /// Opens connections and lets code and caches settle.
    pub async fn warm_up(&mut self) -> anyhow::Result<()> {
        for settings in [self.small(), self.streams(true)] {
            self.load("warm-up", settings).await?;
        }
        self.settle().await
    }

    /// Takes every figure once.
    pub async fn round(&mut self) -> anyhow::Result<()> {
        self.stand.check_running()?;
        self.requests().await?;
        self.stream_events().await?;
        self.large_prompts().await?;
        self.synced_requests().await?;
        self.added_latency().await?;
        self.first_content().await
    }

    /// The last figures; proves that the store has one record a request, and stops everything.
    pub async fn end(mut self) -> anyhow::Result<Taken> {
        self.settle().await?;
        let sent = self.sent.load(Ordering::Relaxed);
        let (rows, completed) = count_events(&self.store).await?;
        if (rows, completed) != (sent, sent) {
            let found = format!(
                "{sent} requests, but {rows} records in the store, {completed} of them completed with the provider's figures"
            );
            return Err(Void(found).into());
        }
        self.figures.note("memory.peak", resident(&self.stand)?.1);
        self.backlog().await?;
        self.stand.stop().await?;
        Ok(Taken {
            figures: self.figures,
            requests: sent,
            foreign_share: self.foreign_share,
            best_rps: self.best_rps,
        })
    }

    async fn requests(&mut self) -> anyhow::Result<()> {
        let (report, spent) = self.measure("small requests", self.small()).await?;
        let each = spent.over(report.requests);
        self.figures.note("request.gateway", each.gateway);
        self.figures.note("request.journal", each.journal);
        self.figures.note("request.consumer", each.consumer);
        self.figures.note("request.engine", each.engine);
        self.best_rps = self.best_rps.max(report.rps);
        Ok(())
    }

    async fn stream_events(&mut self) -> anyhow::Result<()> {
        self.control(json!({"chunk_delay_ms": 0})).await?;
        for (asks_usage, figure) in [(true, "event.gateway"), (false, "stripped_event.gateway")] {
            let (report, spent) = self.measure("streams", self.streams(asks_usage)).await?;
            // Counted as the provider sends them: usage that is taken out was an event too.
            let events = report.requests * (EVENTS + 3);
            self.figures.note(figure, spent.over(events).gateway);
        }
        Ok(())
    }

    async fn large_prompts(&mut self) -> anyhow::Result<()> {
        let settings = LoadSettings {
            connections: 16,
            prompt_bytes: 100_000,
            ..self.small()
        };
        let (report, spent) = self.measure("large prompts", settings).await?;
        self.figures
            .note("prompt_100kb.gateway", spent.over(report.requests).gateway);
        Ok(())
    }

    async fn synced_requests(&mut self) -> anyhow::Result<()> {
        let settings = LoadSettings {
            api_key: Some(self.stand.keys.synced.clone()),
            ..self.small()
        };
        let (report, spent) = self.measure("synced requests", settings).await?;
        let each = spent.over(report.requests);
        self.figures.note("synced_request.gateway", each.gateway);
        self.figures.note("synced_request.journal", each.journal);
        Ok(())
    }

    /// Direct, written, synced at one rate.
    async fn added_latency(&mut self) -> anyhow::Result<()> {
        let at_a_rate = LoadSettings {
            pace: Pace::Rate(RATE),
            ..self.small()
        };
        let direct = self
            .direct("open loop, direct", &at_a_rate)
            .await?
            .latency_us;
        let synced = LoadSettings {
            api_key: Some(self.stand.keys.synced.clone()),
            ..at_a_rate.clone()
        };
        let written = self.load("open loop", at_a_rate).await?.latency_us;
        self.figures
            .note("added.p50", added(written.p50, direct.p50));
        self.figures
            .note("added.p99", added(written.p99, direct.p99));
        let synced = self.load("open loop, synced", synced).await?.latency_us;
        self.figures
            .note("synced_added.p50", added(synced.p50, direct.p50));
        self.settle().await
    }

    async fn first_content(&mut self) -> anyhow::Result<()> {
        self.control(json!({"chunk_delay_ms": 20})).await?;
        let settings = self.streams(true);
        let direct = self.direct("paced streams, direct", &settings).await?;
        let through = self.load("paced streams", settings).await?;
        self.control(json!({"chunk_delay_ms": 0})).await?;
        let added = added(through.first_content_us.p50, direct.first_content_us.p50);
        self.figures.note("first_content_added.p50", added);
        self.settle().await
    }

    /// The engine stands still while records come in; then, with nothing else to do, it gets them all.
    async fn backlog(&mut self) -> anyhow::Result<()> {
        processes::freeze(self.engine_pid)?;
        let settings = LoadSettings {
            stop: Stop::Requests(BACKLOG),
            ..self.small()
        };
        let loaded = self.load("backlog", settings).await;
        processes::thaw(self.engine_pid)?;
        loaded?;
        let before = sum_ns(&self.cpu()?, "tg-consumer") + self.engine_ns()?;
        self.settle().await?;
        let spent = sum_ns(&self.cpu()?, "tg-consumer") + self.engine_ns()? - before;
        self.figures
            .note("backlog.event", micros(spent) / float(BACKLOG));
        self.figures
            .note("backlog.memory", resident(&self.stand)?.1);
        Ok(())
    }

    fn small(&self) -> LoadSettings {
        LoadSettings {
            url: self.stand.gateway_url.clone(),
            api_key: Some(self.stand.keys.written.clone()),
            connections: 64,
            stop: Stop::Millis(u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)),
            ..LoadSettings::default()
        }
    }

    fn streams(&self, include_usage: bool) -> LoadSettings {
        LoadSettings {
            max_tokens: EVENTS,
            stream: true,
            include_usage,
            ..self.small()
        }
    }

    /// Load through the gateway, and what it cost until its records are in the store.
    async fn measure(
        &mut self,
        name: &str,
        settings: LoadSettings,
    ) -> anyhow::Result<(LoadReport, Spent)> {
        let (before, engine_before) = (self.cpu()?, self.engine_ns()?);
        let (began, busy_before) = (Instant::now(), self.busy_ms());
        let report = self.load(name, settings).await?;
        let served = self.cpu()?;
        let busy_ms = self.busy_ms() - busy_before;
        let ours_ms =
            (sum_ns(&served, "") + self.engine_ns()? - sum_ns(&before, "") - engine_before)
                / 1_000_000;
        self.foreign_share = self
            .foreign_share
            .max(share(busy_ms.saturating_sub(ours_ms), began.elapsed()));
        self.settle().await?;
        let after = self.cpu()?;
        let spent = |end: &processes::CpuByThread, prefix: &str| {
            micros(sum_ns(end, prefix) - sum_ns(&before, prefix))
        };
        let spent = Spent {
            gateway: spent(&served, "tg-gateway"),
            journal: spent(&served, "tg-journal"),
            consumer: spent(&after, "tg-consumer"),
            engine: micros(self.engine_ns()? - engine_before),
        };
        Ok((report, spent))
    }

    /// Load past the gateway.
    async fn direct(&self, name: &str, settings: &LoadSettings) -> anyhow::Result<LoadReport> {
        let settings = LoadSettings {
            url: format!("{}/v1/chat/completions", self.stand.simulator_url),
            api_key: None,
            ..settings.clone()
        };
        run(name, settings, Arc::default()).await
    }

    async fn load(&self, name: &str, settings: LoadSettings) -> anyhow::Result<LoadReport> {
        run(name, settings, self.sent.clone()).await
    }

    /// Waits until the consumer has committed a record for every request.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let sent = self.sent.load(Ordering::Relaxed);
        let deadline = Instant::now() + SETTLE;
        loop {
            let text = self
                .http
                .get(&self.stand.metrics_url)
                .send()
                .await?
                .text()
                .await?;
            let committed = metric(&text, "tollgate_consumer_events_total").unwrap_or(0);
            if committed == sent {
                return Ok(());
            }
            if committed > sent || Instant::now() > deadline {
                let found =
                    format!("{sent} requests, but {committed} records committed to the store");
                return Err(Void(found).into());
            }
            self.stand.check_running()?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn control(&self, change: serde_json::Value) -> anyhow::Result<()> {
        let url = format!("{}/control", self.stand.simulator_url);
        let answer = self.http.post(url).json(&change).send().await?;
        answer
            .error_for_status()
            .context("the simulator refused a change of its settings")?;
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<processes::CpuByThread> {
        cpu_ns(self.stand.gateway_pid())
    }

    fn engine_ns(&self) -> anyhow::Result<u64> {
        Ok(sum_ns(&cpu_ns(self.engine_pid)?, ""))
    }

    fn busy_ms(&self) -> u64 {
        self.cores.map_or(0, |cores| core_busy_ms(cores.gateway))
    }
}

impl Spent {
    fn over(self, count: u64) -> Self {
        let count = float(count.max(1));
        Self {
            gateway: self.gateway / count,
            journal: self.journal / count,
            consumer: self.consumer / count,
            engine: self.engine / count,
        }
    }
}

/// One load run whose every request is counted where it is sent; void unless all are answered completely.
async fn run(
    name: &str,
    settings: LoadSettings,
    sent: Arc<AtomicU64>,
) -> anyhow::Result<LoadReport> {
    // Made once: a load generator should cost less than what it measures.
    let body = settings.request(0).body;
    let (key, wants_usage) = (
        settings.api_key.clone(),
        !settings.stream || settings.include_usage,
    );
    let load = Load::new(settings).with_requests(move |index| {
        sent.fetch_add(1, Ordering::Relaxed);
        LoadRequest {
            nonce: format!("bench-{index}"),
            api_key: key.clone(),
            body: body.clone(),
            hang_up: None,
        }
    });
    let report = load.run().await?.report;
    let expected_usage = if wants_usage { report.complete } else { 0 };
    if !report.is_clean() {
        let found = format!(
            "{name}: errors {:?}, {} never sent",
            report.errors, report.unsent
        );
        return Err(Void(found).into());
    }
    if report.with_usage != expected_usage {
        let found = format!(
            "{name}: {} answers showed usage, expected {expected_usage}",
            report.with_usage
        );
        return Err(Void(found).into());
    }
    Ok(report)
}

fn resident(stand: &Stand) -> anyhow::Result<(f64, f64)> {
    let (now, most) = processes::resident_kib(stand.gateway_pid())?;
    if now == 0 {
        bail!("the serving process shows no memory");
    }
    Ok((float(now) / KIB_PER_MIB, float(most) / KIB_PER_MIB))
}

fn metric(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

fn added(through: u64, direct: u64) -> f64 {
    float(through) - float(direct)
}

fn micros(ns: u64) -> f64 {
    float(ns) / 1_000.0
}

fn share(ms: u64, of: Duration) -> f64 {
    float(ms) / 1_000.0 / of.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "measurements, read to three digits"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\ntollgate_consumer_events_total 42\ntollgate_consumer_events_total_x 1\n";
        assert_eq!(metric(text, "tollgate_consumer_events_total"), Some(42));
        assert_eq!(metric(text, "tollgate_consumer_records_total"), None);
    }
}
