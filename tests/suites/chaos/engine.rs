//! What is done to the store: killed at any moment, and away for long.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::RngExt as _;
use rand::rngs::StdRng;

use tests::{At, partitions};
use tokio::net::TcpStream;

use crate::load::Load;
use crate::pace::Lane;
use crate::patience::eventually;
use crate::size::Size;
use crate::stack::{Engine, PARTITIONS};
use crate::table::{Table, Void};

const KILL: &str = "engine: kill -9";
const AWAY: &str = "engine: away for long";

/// The engine's faults.
pub struct Hurt<'a> {
    pub engine: &'a mut Engine,
    pub members: [SocketAddr; 2],
    pub load: &'a Load,
    pub table: &'a Table,
}

/// How many faults there will be.
pub fn count(size: &Size) -> usize {
    size.kills + 1
}

impl Hurt<'_> {
    pub async fn run(mut self, size: &Size, lane: Lane<'_>, mut rng: StdRng) -> Result<(), Void> {
        let away_at = rng.random_range(0..=size.kills);
        for round in 0..=size.kills {
            lane.next().await;
            if round == away_at {
                self.away(size).await?;
            } else {
                self.kill(&mut rng).await?;
            }
            lane.done();
        }
        Ok(())
    }

    async fn kill(&mut self, rng: &mut StdRng) -> Result<(), Void> {
        // At any moment between two inserts or in the midst of one.
        let from = self.load.done() + rng.random_range(1..200);
        eventually("requests go on", async || {
            (self.load.done() >= from).then_some(())
        })
        .await;
        let seen = self.engine.process.kill(KILL)?;
        self.table.bit(KILL, seen);
        self.comes_back().await;
        Ok(())
    }

    async fn away(&mut self, size: &Size) -> Result<(), Void> {
        let before = eventually("the consumers have all partitions", async || {
            let at = self.partitions().await;
            (at.len() == PARTITIONS).then_some(at)
        })
        .await;
        self.engine.process.kill(AWAY)?;
        if TcpStream::connect(self.engine.address).await.is_ok() {
            let why = "somebody still listens where the engine did".to_owned();
            return Err(Void { fault: AWAY, why });
        }
        tokio::time::sleep(size.away).await;
        // A partition that moves meanwhile begins when the store is back: those are compared that are read.
        let (places, before, after) = eventually("the consumers' lag rises", async || {
            let at = self.partitions().await;
            let before = at.keys().filter_map(|partition| before.get(partition));
            let (before, after) = (lag(before), lag(at.values()));
            (after > before).then_some((at.len(), before, after))
        })
        .await;
        let seen = format!(
            "{} s; lag of {places} of {PARTITIONS} partitions rose from {before} to {after} places",
            size.away.as_secs()
        );
        self.table.bit(AWAY, seen);
        self.comes_back().await;
        Ok(())
    }

    async fn comes_back(&mut self) {
        self.engine.process.start(None);
        self.engine.client().await;
    }

    /// Where the partitions stand that some member reads; who has lost one may still show it.
    async fn partitions(&self) -> BTreeMap<i32, At> {
        let mut all = BTreeMap::new();
        for member in self.members {
            for (partition, at) in partitions(member).await {
                let known = all.entry(partition).or_insert(at);
                known.committed = known.committed.max(at.committed);
                known.readable = known.readable.max(at.readable);
            }
        }
        all
    }
}

/// Places that can be read and are not in the store.
fn lag<'a>(at: impl Iterator<Item = &'a At>) -> i64 {
    at.map(|at| at.readable - at.committed).sum()
}
