//! Taking the figures of the aims in rounds: each side under the same load as neighbours in time, in an order that turns
//! round every round. What the figures may be must not live here.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use simulator::load::LoadSettings;

use super::super::driver::float;
use super::super::processes::{self, Cores};
use super::lines::{IDLE_STREAMS, Values};
use super::memory;
use super::notes;
use super::sides::{Side, Sides};

/// Lines that are measured here.
pub const LINES: &[&str] = &[
    "request",
    "rps",
    "event",
    "prompt_100kb",
    "synced",
    "first_chunk",
    "gap",
    "resident",
    "slow_readers",
    "idle_stream",
];
/// Events with content in a stream, and all of its events.
const CONTENT_EVENTS: u64 = 50;
const EVENTS: u64 = CONTENT_EVENTS + 3;
/// From one chunk of a paced stream to the next, and how long such a stream lasts.
const PACE_MS: u64 = 20;
const STREAM_MS: u64 = PACE_MS * CONTENT_EVENTS;
/// Times closer than this cannot be told apart at such a pace: the provider's and the load's timers.
const LEAST_GRAIN_MS: f64 = 0.1;
/// So many tell what one of 10,000 costs.
const LEAST_IDLE_STREAMS: u64 = 9_500;
/// Of a MiB, in MB.
const MB_PER_MIB: f64 = 1.048_576;

/// Rounds under way.
#[derive(Debug)]
pub struct Rounds {
    sides: Sides,
    window: Duration,
    cores: Option<Cores>,
    /// Files that a process may have open.
    limit: u64,
    values: Values,
    /// What the last request, event or prompt on our side cost, in µs.
    last_ours: f64,
    round: u32,
}

/// Times of paced streams, in ms.
#[derive(Clone, Copy)]
struct Times {
    first: f64,
    gap: f64,
}

impl Rounds {
    /// Rounds to come.
    pub fn new(sides: Sides, window: Duration, cores: Option<Cores>, limit: u64) -> Self {
        Self {
            sides,
            window,
            cores,
            limit,
            values: Values::default(),
            last_ours: 0.0,
            round: 0,
        }
    }

    /// Opens connections and lets code and caches settle.
    pub async fn warm_up(&mut self) -> anyhow::Result<()> {
        for side in self.order() {
            for settings in [self.small(), self.streams()] {
                self.sides.take(side, "warm-up", &settings).await?;
            }
        }
        Ok(())
    }

    /// Takes every figure that is wanted once.
    pub async fn round(&mut self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        self.round += 1;
        let small = self.small();
        if wanted("request") || wanted("synced") {
            self.both("request", &small, 1).await?;
        }
        if wanted("synced") {
            self.synced().await?;
        }
        if wanted("rps") {
            self.saturation(&small).await?;
        }
        if wanted("event") {
            self.both("event", &self.streams(), EVENTS).await?;
        }
        if wanted("prompt_100kb") {
            let settings = LoadSettings {
                connections: 16,
                prompt_bytes: 100_000,
                ..small
            };
            self.both("prompt_100kb", &settings, 1).await?;
        }
        if wanted("first_chunk") || wanted("gap") {
            self.paced().await?;
        }
        if wanted("resident") {
            let (_, most_mib) = self.sides.driver.resident()?;
            self.values.note("resident", most_mib * MB_PER_MIB);
        }
        self.fresh(wanted).await
    }

    /// Proves that no record is missing, and stops everything. Gives the figures, and the largest share of a core that
    /// others took.
    pub async fn end(mut self) -> anyhow::Result<(Values, f64)> {
        self.sides.awake(Side::Tollgate).await?;
        self.sides.driver.settle().await?;
        self.sides.driver.prove().await?;
        let version = self.sides.nginx.take().map(|nginx| nginx.version.clone());
        self.sides.driver.stop().await?;
        notes::write(&mut self.values, version.as_deref());
        Ok((self.values, self.sides.foreign_share))
    }

    fn small(&self) -> LoadSettings {
        self.sides.driver.small(self.window)
    }

    fn streams(&self) -> LoadSettings {
        LoadSettings {
            max_tokens: CONTENT_EVENTS,
            stream: true,
            include_usage: true,
            ..self.small()
        }
    }

    /// Who is measured after whom.
    fn order(&self) -> Vec<Side> {
        let mut order = vec![Side::Tollgate];
        if self.sides.nginx.is_some() {
            order.insert(0, Side::Nginx);
        }
        if self.round.is_multiple_of(2) {
            order.reverse();
        }
        order
    }

    /// The same load on both sides, and what each of so many in a request cost there.
    async fn both(
        &mut self,
        line: &str,
        settings: &LoadSettings,
        in_a_request: u64,
    ) -> anyhow::Result<()> {
        let (mut ours, mut nginxs) = (0.0, None);
        for side in self.order() {
            let taken = self.sides.take(side, line, settings).await?;
            let each = taken.cpu_us / float(taken.report.requests * in_a_request);
            if side == Side::Tollgate {
                ours = each;
                self.values.note(&format!("{line}.ours"), each);
                self.values.note(&format!("{line}.rps"), taken.report.rps);
            } else {
                nginxs = Some(each);
                self.values.note(&format!("{line}.nginx"), each);
            }
        }
        if let Some(nginxs) = nginxs {
            self.values.note(line, ours / nginxs);
        }
        self.last_ours = ours;
        Ok(())
    }

    async fn synced(&mut self) -> anyhow::Result<()> {
        let settings = LoadSettings {
            api_key: Some(self.sides.driver.stand.keys.synced.clone()),
            ..self.small()
        };
        let name = "synced requests";
        let taken = self.sides.take(Side::Tollgate, name, &settings).await?;
        let each = taken.cpu_us / float(taken.report.requests);
        self.values.note("synced.ours", each);
        self.values.note("synced", each / self.last_ours);
        Ok(())
    }

    /// As many as a core can do. The engine stands still, for on two cores there is none left for it: the records wait in
    /// the journal, and come after.
    async fn saturation(&mut self, settings: &LoadSettings) -> anyhow::Result<()> {
        self.sides.awake(Side::Tollgate).await?;
        self.sides.driver.settle().await?;
        processes::freeze(self.sides.driver.engine_pid).context("the engine")?;
        let taken = self
            .sides
            .take(Side::Tollgate, "saturation", settings)
            .await;
        processes::thaw(self.sides.driver.engine_pid).context("the engine")?;
        let taken = taken?;
        self.values.note("rps", taken.report.rps);
        let each = taken.cpu_us / float(taken.report.requests);
        self.values.note("rps.ours", each);
        self.values.note("rps.gateway_core", taken.gateway_core);
        self.values.note("rps.load_core", taken.load_core);
        self.sides.driver.settle().await
    }

    /// Paced streams past the gateway, on each side, and past it again.
    async fn paced(&mut self) -> anyhow::Result<()> {
        let pace = json!({"chunk_delay_ms": PACE_MS});
        self.sides.driver.control(pace).await?;
        let settings = LoadSettings {
            // Evenly over the length of a stream, or all would begin at once for ever.
            stagger_ms: STREAM_MS,
            warmup_ms: STREAM_MS,
            ..self.streams()
        };
        let before = self.times(Side::Direct, &settings).await?;
        let mut through = Vec::new();
        for side in self.order() {
            through.push((side, self.times(side, &settings).await?));
        }
        let after = self.times(Side::Direct, &settings).await?;
        let unpaced = json!({"chunk_delay_ms": 0});
        self.sides.driver.control(unpaced).await?;
        let first = f64::midpoint(before.first, after.first);
        let gap = f64::midpoint(before.gap, after.gap);
        self.values.note("direct.first", first);
        self.values.note("direct.gap", gap);
        let differs = (before.gap - after.gap).abs();
        self.values.note("direct.differs", differs);
        for (side, times) in through {
            let (line, other) = match side {
                Side::Tollgate => ("first_chunk", "gap"),
                _ => ("first_chunk.nginx", "gap.nginx"),
            };
            self.values.note(line, times.first - first);
            self.values.note(other, times.gap - gap);
        }
        let differs = self.values.median("direct.differs");
        self.values.grain = differs.unwrap_or(0.0).max(LEAST_GRAIN_MS);
        Ok(())
    }

    async fn times(&mut self, side: Side, settings: &LoadSettings) -> anyhow::Result<Times> {
        let report = self.sides.take(side, "paced streams", settings).await?;
        Ok(Times {
            first: float(report.report.first_content_us.p50) / 1_000.0,
            gap: float(report.report.gap_us.p99) / 1_000.0,
        })
    }

    /// Memory of gateways that were started for it, while this one stands still.
    async fn fresh(&mut self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        if !(wanted("slow_readers") || wanted("idle_stream")) {
            return Ok(());
        }
        self.sides.awake(Side::Direct).await?;
        if wanted("slow_readers") {
            let most_mib = memory::slow_readers(self.cores).await?;
            self.values.note("slow_readers", most_mib * MB_PER_MIB);
        }
        if wanted("idle_stream") {
            let streams = memory::allowed_streams(self.limit);
            if streams < LEAST_IDLE_STREAMS {
                let limit = self.limit;
                let why = format!(
                    "the hard limit of open files, {limit}, allows {streams} streams: raise it (LimitNOFILE, ulimit -Hn)"
                );
                self.values.spoil("idle_stream", why);
                return Ok(());
            }
            let each_bytes = memory::idle_streams(self.cores, streams).await?;
            self.values.note("idle_stream", each_bytes / 1_000.0);
            if streams < IDLE_STREAMS {
                let limit = self.limit;
                let note = format!(
                    "with {streams} streams: the hard limit of open files, {limit}, allows no more"
                );
                self.values.say("idle_stream", note);
            }
        }
        Ok(())
    }
}
