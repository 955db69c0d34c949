//! All of Kafka away at once, while requests go on at an even pace and gateways are killed: what they served meanwhile is in their
//! journals, and every charge of it is in the store once Kafka is back.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::gateways::{Deaths, Hurt};
use crate::load::Load;
use crate::patience::eventually;
use crate::run::{Sent, provider};
use crate::size::{self, Size};
use crate::stack::{NODES, Stack};
use crate::table::{Table, Void};

const REQUESTS: &str = "TOLLGATE_OUTAGE_REQUESTS";
const SECONDS: &str = "TOLLGATE_OUTAGE_SECONDS";

/// The form that every `make test` runs.
const SMALL: (u64, u64) = (4_000, 10);
/// Of all requests so many hundredths come before it, and as many after it.
const AROUND: u64 = 5;
/// So many times a gateway is killed meanwhile, at least.
const KILLS: u64 = 4;
/// One kill for so much time, and no fewer than [`KILLS`].
const KILL_EVERY: Duration = Duration::from_mins(1);
/// No pause between requests is longer for long, so that a kill meets some.
const EVERY: Duration = Duration::from_millis(5);

const AWAY: &str = "kafka: every broker gone";

/// How long all brokers are away, and what is asked meanwhile.
pub struct Outage {
    size: Size,
    lasts: Duration,
}

impl Outage {
    /// What the environment asks for.
    pub fn from_environment() -> Self {
        let ((requests, seconds), size) = (SMALL, Size::from_environment());
        Self {
            size: Size {
                requests: size::number(REQUESTS).unwrap_or(requests),
                folder: size.folder.map(|folder| folder.join("outage")),
                ..size
            },
            lasts: Duration::from_secs(size::number(SECONDS).unwrap_or(seconds)),
        }
    }

    /// The line that repeats the run.
    pub fn again(&self) -> String {
        let (requests, seconds) = (self.size.requests, self.lasts.as_secs());
        format!(
            "{REQUESTS}={requests} {SECONDS}={seconds} {}",
            self.size.seeded()
        )
    }

    fn kills(&self) -> u64 {
        (self.lasts.as_secs() / KILL_EVERY.as_secs()).max(KILLS)
    }
}

/// Runs; says why the result is not what it must be.
pub async fn run(outage: &Outage) -> Result<(), String> {
    let size = &outage.size;
    let mut stack = Stack::start(size, provider(size.seed)).await;
    let mut sent = Sent::begin(&stack, size);
    let (table, deaths) = (Table::default(), Deaths::default());
    let load = sent.load.clone();
    let around = size.requests * AROUND / 100;
    let hurting = Box::pin(async {
        load.allow(around);
        reached(&load, around).await;
        away(outage, &mut stack, (&load, &table, &deaths)).await
    });
    let hurt = sent.beside(&table, hurting).await;
    hurt.map_err(|void| void.to_string())?;
    let refused: u64 = (0..stack.gateways.len())
        .map(|gateway| load.served(gateway).1)
        .sum();
    if refused > 0 {
        return Err(format!(
            "{refused} answers 503 to tenants that do not wait for Kafka"
        ));
    }
    let again = outage.again();
    let asked = (size.requests, again.as_str());
    sent.end(&mut stack, asked, (&table, &deaths), 0).await
}

/// Waits until so many requests have an end.
async fn reached(load: &Load, requests: u64) {
    let mut tick = tokio::time::interval(EVERY);
    while load.done() < requests {
        tick.tick().await;
    }
}

/// Takes all brokers away and brings them back.
async fn away(
    outage: &Outage,
    stack: &mut Stack,
    (load, table, deaths): (&Load, &Table, &Deaths),
) -> Result<(), Void> {
    let mut rng = outage.size.chance(7);
    for node in 1..=NODES {
        stack.cluster.kill(node);
    }
    let (from, until) = (load.done(), outage.size.requests * (100 - AROUND) / 100);
    let began = tokio::time::Instant::now();
    let pacing = pace(load, (from, until), outage.lasts);
    let killing = kill(stack, outage, (load, table, deaths), &mut rng);
    let ((), killed) = tokio::join!(pacing, killing);
    killed?;
    let mut behind = Vec::new();
    for gateway in &mut stack.gateways {
        gateway.process.ensure();
        gateway.ready().await;
        let lag = eventually("a gateway says that it does not publish", async || {
            let is_publishing = gateway.metric("publisher_publishing").await? > 0.0;
            let lag = gateway.metric("publisher_lag_positions").await?;
            (!is_publishing && lag > 0.0).then_some(lag)
        })
        .await;
        behind.push(lag);
    }
    let seen = format!(
        "for {} s, {} requests, {behind:?} positions in the journals that Kafka had not",
        began.elapsed().as_secs(),
        load.done() - from,
    );
    table.bit(AWAY, seen);
    for node in 1..=NODES {
        stack.cluster.start_node(node);
    }
    Ok(())
}

/// Lets requests begin evenly over a time, and waits until they have an end.
async fn pace(load: &Load, (from, until): (u64, u64), lasts: Duration) {
    let began = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(EVERY);
    while began.elapsed() < lasts {
        tick.tick().await;
        let share = began.elapsed().as_millis().min(lasts.as_millis());
        let more = u128::from(until - from) * share / lasts.as_millis();
        load.allow(from + u64::try_from(more).unwrap_or(u64::MAX));
    }
    load.allow(until);
    reached(load, until).await;
}

/// Kills gateways now and then, one as often as the other; each is back before the next one goes, and the last goes while requests
/// still come.
async fn kill(
    stack: &mut Stack,
    outage: &Outage,
    (load, table, deaths): (&Load, &Table, &Deaths),
    rng: &mut StdRng,
) -> Result<(), Void> {
    let kills = outage.kills();
    let pause = outage.lasts / 2 / u32::try_from(kills).unwrap_or(u32::MAX);
    for kill in 0..kills {
        tokio::time::sleep(pause.mul_f64(rng.random_range(0.5..1.0))).await;
        let number = usize::try_from(kill % 2).expect("0 or 1");
        let mut hurt = Hurt {
            gateway: &mut stack.gateways[number],
            number,
            load,
            table,
            deaths,
        };
        hurt.kill(rng).await?;
        let gateway = &mut stack.gateways[number];
        gateway.process.ensure();
        gateway.ready().await;
    }
    Ok(())
}
