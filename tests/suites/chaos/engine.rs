//! What is done to the store: killed at any moment, and away for long.

use rand::RngExt as _;
use rand::rngs::StdRng;
use std::net::SocketAddr;

use tests::partitions;
use tokio::net::TcpStream;

use crate::load::Load;
use crate::pace::Lane;
use crate::patience::eventually;
use crate::size::Size;
use crate::stack::Engine;
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
        let before = self.lag().await;
        self.engine.process.kill(AWAY)?;
        if TcpStream::connect(self.engine.address).await.is_ok() {
            let why = "somebody still listens where the engine did".to_owned();
            return Err(Void { fault: AWAY, why });
        }
        tokio::time::sleep(size.away).await;
        let after = eventually("the consumers' lag rises", async || {
            let after = self.lag().await;
            (after > before).then_some(after)
        })
        .await;
        let seen = format!(
            "{} s; lag rose from {before} to {after} places",
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

    /// Places that can be read and are not in the store.
    async fn lag(&self) -> i64 {
        let mut lag = 0;
        for member in self.members {
            let at = partitions(member).await;
            lag += at
                .values()
                .map(|at| at.readable - at.committed)
                .sum::<i64>();
        }
        lag
    }
}
