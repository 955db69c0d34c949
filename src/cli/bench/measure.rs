//! Taking the figures: load through the gateway and past it, in rounds, with the CPU time of every part. A run with an
//! error, or with another number of records than requests, is void. What a figure may be must not live here.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use simulator::load::{LoadReport, LoadSettings, Pace, Stop};

use super::driver::{Driver, float};
use super::meters::Figures;
use super::processes::{self, Cores, core_busy_ms, sum_ns};
use super::stand::Stand;

/// Requests a second of the open loop.
const RATE: f64 = 300.0;
/// Events of a stream.
const EVENTS: u64 = 50;
/// Records that wait for the engine.
const BACKLOG: u64 = 200_000;

/// A stand under measurement.
#[derive(Debug)]
pub struct Bench {
    driver: Driver,
    cores: Option<Cores>,
    window: Duration,
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
    pub async fn new(stand: Stand, cores: Option<Cores>, window: Duration) -> anyhow::Result<Self> {
        let driver = Driver::new(stand).await?;
        let mut figures = Figures::default();
        figures.note("memory.idle", driver.resident()?.0);
        Ok(Self {
            driver,
            cores,
            window,
            figures,
            foreign_share: 0.0,
            best_rps: 0.0,
        })
    }

    /// Opens connections and lets code and caches settle.
    pub async fn warm_up(&mut self) -> anyhow::Result<()> {
        for settings in [self.small(), self.streams(true)] {
            self.driver.load("warm-up", settings).await?;
        }
        self.driver.settle().await
    }

    /// Takes every figure once.
    pub async fn round(&mut self) -> anyhow::Result<()> {
        self.driver.stand.check_running()?;
        self.requests().await?;
        self.stream_events().await?;
        self.large_prompts().await?;
        self.synced_requests().await?;
        self.added_latency().await?;
        self.first_content().await
    }

    /// The last figures; proves that the store has one record a request, and stops everything.
    pub async fn end(mut self) -> anyhow::Result<Taken> {
        self.driver.settle().await?;
        self.driver.prove().await?;
        let requests = self.driver.sent();
        self.figures.note("memory.peak", self.driver.resident()?.1);
        self.backlog().await?;
        self.driver.stop().await?;
        Ok(Taken {
            figures: self.figures,
            requests,
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
        self.driver.control(json!({"chunk_delay_ms": 0})).await?;
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
            api_key: Some(self.driver.stand.keys.synced.clone()),
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
            .driver
            .direct("open loop, direct", &at_a_rate)
            .await?
            .latency_us;
        let synced = LoadSettings {
            api_key: Some(self.driver.stand.keys.synced.clone()),
            ..at_a_rate.clone()
        };
        let written = self.driver.load("open loop", at_a_rate).await?.latency_us;
        self.figures
            .note("added.p50", added(written.p50, direct.p50));
        self.figures
            .note("added.p99", added(written.p99, direct.p99));
        let synced = self
            .driver
            .load("open loop, synced", synced)
            .await?
            .latency_us;
        self.figures
            .note("synced_added.p50", added(synced.p50, direct.p50));
        self.driver.settle().await
    }

    async fn first_content(&mut self) -> anyhow::Result<()> {
        self.driver.control(json!({"chunk_delay_ms": 20})).await?;
        let settings = self.streams(true);
        let direct = self
            .driver
            .direct("paced streams, direct", &settings)
            .await?;
        let through = self.driver.load("paced streams", settings).await?;
        self.driver.control(json!({"chunk_delay_ms": 0})).await?;
        let added = added(through.first_content_us.p50, direct.first_content_us.p50);
        self.figures.note("first_content_added.p50", added);
        self.driver.settle().await
    }

    /// The engine stands still while records come in; then, with nothing else to do, it gets them all.
    async fn backlog(&mut self) -> anyhow::Result<()> {
        processes::freeze(self.driver.engine_pid).context("the engine")?;
        let settings = LoadSettings {
            stop: Stop::Requests(BACKLOG),
            ..self.small()
        };
        let loaded = self.driver.load("backlog", settings).await;
        processes::thaw(self.driver.engine_pid).context("the engine")?;
        loaded?;
        let before = sum_ns(&self.driver.cpu()?, "tg-consumer") + self.driver.engine_ns()?;
        self.driver.settle().await?;
        let spent = sum_ns(&self.driver.cpu()?, "tg-consumer") + self.driver.engine_ns()? - before;
        self.figures
            .note("backlog.event", micros(spent) / float(BACKLOG));
        self.figures
            .note("backlog.memory", self.driver.resident()?.1);
        Ok(())
    }

    fn small(&self) -> LoadSettings {
        self.driver.small(self.window)
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
        let (before, engine_before) = (self.driver.cpu()?, self.driver.engine_ns()?);
        let (began, busy_before) = (Instant::now(), self.busy_ms());
        let report = self.driver.load(name, settings).await?;
        let served = self.driver.cpu()?;
        let busy_ms = self.busy_ms() - busy_before;
        let ours_ms =
            (sum_ns(&served, "") + self.driver.engine_ns()? - sum_ns(&before, "") - engine_before)
                / 1_000_000;
        self.foreign_share = self
            .foreign_share
            .max(share(busy_ms.saturating_sub(ours_ms), began.elapsed()));
        self.driver.settle().await?;
        let after = self.driver.cpu()?;
        let spent = |end: &processes::CpuByThread, prefix: &str| {
            micros(sum_ns(end, prefix) - sum_ns(&before, prefix))
        };
        let spent = Spent {
            gateway: spent(&served, "tg-gateway"),
            journal: spent(&served, "tg-journal"),
            consumer: spent(&after, "tg-consumer"),
            engine: micros(self.driver.engine_ns()? - engine_before),
        };
        Ok((report, spent))
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

fn added(through: u64, direct: u64) -> f64 {
    float(through) - float(direct)
}

fn micros(ns: u64) -> f64 {
    float(ns) / 1_000.0
}

fn share(ms: u64, of: Duration) -> f64 {
    float(ms) / 1_000.0 / of.as_secs_f64()
}
