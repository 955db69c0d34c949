//! One side at a time: the gateway, nginx, or the provider itself under the same load, the others standing still, with the
//! same account of CPU time. Which load, and what is made of the figures, must not live here.

use std::time::{Duration, Instant};

use simulator::load::{LoadReport, LoadSettings};

use super::super::driver::{Driver, elsewhere, float};
use super::super::processes::{Cores, core_busy_ms, cpu_ns, sum_ns};
use super::nginx::Nginx;

/// After a side goes on, before it is measured.
const AWAKE: Duration = Duration::from_millis(300);
/// A measure in which others took more of a core is repeated, so often at most; the quietest counts.
const FOREIGN_SHARE: f64 = 0.08;
const ATTEMPTS: u8 = 3;
/// The consumer's threads, which are measured on their own line.
const CONSUMER: &str = "tg-consumer";

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The gateway.
    Tollgate,
    /// nginx.
    Nginx,
    /// Nobody: the provider itself.
    Direct,
}

/// What a side did under a load.
#[derive(Debug)]
pub struct Taken {
    /// What the load saw.
    pub report: LoadReport,
    /// CPU time of the side without the gateway's consumer, in µs.
    pub cpu_us: f64,
    /// Share of time in which the gateway's core was busy, by whomever.
    pub gateway_core: f64,
    /// The same of the load's core.
    pub load_core: f64,
    /// Share of one of the two cores that others took.
    foreign: f64,
}

/// All sides, of which one is awake.
#[derive(Debug)]
pub struct Sides {
    /// The gateway.
    pub driver: Driver,
    /// nginx, where a line needs it.
    pub nginx: Option<Nginx>,
    cores: Option<Cores>,
    gateway_is_frozen: bool,
    /// The largest share of one of the two cores that others took during a measure that counts.
    pub foreign_share: f64,
}

/// CPU time and the busy time of cores at one moment.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    side_ns: u64,
    ours_ns: [u64; 2],
    busy_ms: [u64; 2],
}

impl Sides {
    /// Sides that are awake all.
    pub fn new(driver: Driver, nginx: Option<Nginx>, cores: Option<Cores>) -> Self {
        Self {
            driver,
            nginx,
            cores,
            gateway_is_frozen: false,
            foreign_share: 0.0,
        }
    }

    /// Load on one side while the others stand still.
    pub async fn take(
        &mut self,
        side: Side,
        name: &str,
        settings: &LoadSettings,
    ) -> anyhow::Result<Taken> {
        self.awake(side).await?;
        let mut quietest = self.attempt(side, name, settings).await?;
        for _ in 1..ATTEMPTS {
            if quietest.foreign <= FOREIGN_SHARE {
                break;
            }
            let again = self.attempt(side, name, settings).await?;
            if again.foreign < quietest.foreign {
                quietest = again;
            }
        }
        self.foreign_share = self.foreign_share.max(quietest.foreign);
        Ok(quietest)
    }

    async fn attempt(
        &self,
        side: Side,
        name: &str,
        settings: &LoadSettings,
    ) -> anyhow::Result<Taken> {
        let before = self.moment(side)?;
        let report = match (side, &self.nginx) {
            (Side::Tollgate, _) => self.driver.load(name, settings.clone()).await?,
            (Side::Nginx, Some(nginx)) => elsewhere(name, settings, nginx.url.clone()).await?,
            (Side::Nginx, None) => anyhow::bail!("nginx was not started"),
            (Side::Direct, _) => self.driver.direct(name, settings).await?,
        };
        let after = self.moment(side)?;
        Ok(taken(report, before, after))
    }

    fn moment(&self, side: Side) -> anyhow::Result<Moment> {
        let serving = self.driver.cpu()?;
        let nginx_ns = self.nginx.as_ref().map_or(Ok(0), Nginx::cpu_ns)?;
        let tollgate_ns = sum_ns(&serving, "") - sum_ns(&serving, CONSUMER);
        let provider = cpu_ns(self.driver.stand.simulator_pid())?;
        let load = cpu_ns(std::process::id())?;
        let busy =
            |core: fn(Cores) -> usize| self.cores.map_or(0, |cores| core_busy_ms(core(cores)));
        Ok(Moment {
            at: Instant::now(),
            side_ns: match side {
                Side::Tollgate => tollgate_ns,
                Side::Nginx => nginx_ns,
                Side::Direct => 0,
            },
            ours_ns: [
                sum_ns(&serving, "") + self.driver.engine_ns()? + nginx_ns,
                sum_ns(&provider, "") + sum_ns(&load, ""),
            ],
            busy_ms: [busy(|cores| cores.gateway), busy(|cores| cores.load)],
        })
    }

    /// This side goes on, the others stand still. The gateway has nothing left to do when it does.
    pub async fn awake(&mut self, side: Side) -> anyhow::Result<()> {
        if side == Side::Tollgate && self.gateway_is_frozen {
            self.driver.thaw().await?;
            self.gateway_is_frozen = false;
        } else if side != Side::Tollgate && !self.gateway_is_frozen {
            self.driver.settle().await?;
            self.driver.freeze()?;
            self.gateway_is_frozen = true;
        }
        if let Some(nginx) = &self.nginx {
            if side == Side::Nginx {
                nginx.thaw()?;
            } else {
                nginx.freeze()?;
            }
        }
        tokio::time::sleep(AWAKE).await;
        Ok(())
    }
}

fn taken(report: LoadReport, before: Moment, after: Moment) -> Taken {
    let elapsed_ms = after.at.duration_since(before.at).as_secs_f64() * 1_000.0;
    let busy = |core: usize| {
        let busy_ms = after.busy_ms[core].saturating_sub(before.busy_ms[core]);
        float(busy_ms) / elapsed_ms
    };
    let foreign = |core: usize| {
        let ours_ns = after.ours_ns[core].saturating_sub(before.ours_ns[core]);
        busy(core) - float(ours_ns) / 1e6 / elapsed_ms
    };
    Taken {
        report,
        cpu_us: float(after.side_ns.saturating_sub(before.side_ns)) / 1_000.0,
        gateway_core: busy(0),
        load_core: busy(1),
        foreign: foreign(0).max(foreign(1)).max(0.0),
    }
}
