//! What is done to a gateway: killed at any moment, killed between an acknowledgement and the cursor that remembers it, its
//! disk full.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::load::Load;
use crate::pace::Lane;
use crate::patience::eventually;
use crate::stack::Gateway;
use crate::table::{Table, Void};

const KILL: &str = "gateway: kill -9";
const ACK_CURSOR: &str = "gateway: killed between ack and cursor";
const POINT: &str = "publisher.between_ack_and_cursor";
const FULL: &str = "gateway: disk full";
/// A gateway that does not say within this time what it has folded is not serving yet.
const ASK: Duration = Duration::from_secs(1);
/// How often the room that became free on a full disk is taken again.
const FILL_AGAIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    AckCursor,
    Full,
}

/// How often each comes to one gateway.
pub struct Faults {
    pub kills: usize,
    pub points: usize,
    pub full_disks: usize,
}

impl Faults {
    pub fn count(&self) -> usize {
        self.kills + self.points + self.full_disks
    }
}

/// Deaths of gateways, and the refusals that they had folded and not written.
#[derive(Debug, Default)]
pub struct Deaths {
    count: AtomicU64,
    forgotten: AtomicU64,
}

impl Deaths {
    fn add(&self, forgotten: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.forgotten.fetch_add(forgotten, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Refusals that were forgotten with them, at most.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}

/// A gateway's faults.
pub struct Hurt<'a> {
    pub gateway: &'a mut Gateway,
    /// Its number, from 0.
    pub number: usize,
    pub load: &'a Load,
    pub table: &'a Table,
    pub deaths: &'a Deaths,
}

impl Hurt<'_> {
    /// All of them, in any order.
    pub async fn run(
        mut self,
        faults: Faults,
        lane: Lane<'_>,
        mut rng: StdRng,
    ) -> Result<(), Void> {
        let mut all = vec![Fault::Kill; faults.kills];
        all.extend(vec![Fault::AckCursor; faults.points]);
        all.extend(vec![Fault::Full; faults.full_disks]);
        all.shuffle(&mut rng);
        for fault in all {
            // Without a gateway there is no request to wait for.
            self.gateway.process.ensure();
            lane.next().await;
            match fault {
                Fault::Kill => self.kill(&mut rng).await?,
                Fault::AckCursor => self.ack_cursor(&mut rng).await?,
                Fault::Full => self.full().await?,
            }
            lane.done();
        }
        self.gateway.process.ensure();
        self.gateway.ready().await;
        Ok(())
    }

    async fn well(&mut self) {
        self.gateway.process.ensure();
        self.gateway.ready().await;
    }

    /// Waits until it has answered so many more.
    async fn answers(&self, more: u64) {
        let from = self.load.served(self.number).0;
        eventually("a gateway answers", async || {
            (self.load.served(self.number).0 >= from + more).then_some(())
        })
        .await;
    }

    /// What it has folded and not written. Its disk is not full when it is killed: from here on that can only become less.
    async fn folded(&self) -> u64 {
        let asked = tokio::time::timeout(ASK, self.gateway.metric("waiting_refusals")).await;
        match asked {
            Ok(Some(waiting)) => format!("{waiting}").parse().expect("a whole number"),
            _ => 0,
        }
    }

    /// Kills it while it answers.
    pub async fn kill(&mut self, rng: &mut StdRng) -> Result<(), Void> {
        self.well().await;
        self.answers(rng.random_range(1..100)).await;
        self.deaths.add(self.folded().await);
        // At any moment of what runs, and not always just after an answer.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..100_000))).await;
        let seen = self.gateway.process.kill(KILL)?;
        self.table.bit(KILL, seen);
        Ok(())
    }

    async fn ack_cursor(&mut self, rng: &mut StdRng) -> Result<(), Void> {
        self.deaths.add(self.folded().await);
        self.gateway.process.kill(ACK_CURSOR)?;
        let times = rng.random_range(1..4);
        self.gateway
            .process
            .start(Some(&format!("{POINT}:{times}")));
        let seen = self.gateway.process.dies(ACK_CURSOR).await?;
        self.deaths.add(0);
        self.table.bit(ACK_CURSOR, seen);
        Ok(())
    }

    async fn full(&mut self) -> Result<(), Void> {
        self.well().await;
        let void = |why: &str| Void {
            fault: FULL,
            why: why.to_owned(),
        };
        self.answers(1).await;
        let process = self.gateway.process.running().pid();
        let disk = self
            .gateway
            .disk
            .as_ref()
            .ok_or_else(|| void("no disk of its own"))?;
        let (_, before) = self.load.served(self.number);
        let mut full = disk
            .fill(process)
            .ok_or_else(|| void("the disk could not be filled"))?;
        let mut filled = Instant::now();
        let answers = eventually("a gateway on a full disk refuses", async || {
            let more = self.load.served(self.number).1 - before;
            // Segments that went since have made room for others.
            if more == 0 && filled.elapsed() >= FILL_AGAIN {
                full = disk.fill(process).unwrap_or_else(|| full.clone());
                filled = Instant::now();
            }
            (more > 0).then_some(more)
        })
        .await;
        if !disk.free(process) {
            return Err(void("the disk could not be freed"));
        }
        self.answers(10).await;
        let seen = format!("{answers} answers 503 at {full}, then 200 again");
        self.table.bit(FULL, seen);
        Ok(())
    }
}
