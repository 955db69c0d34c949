//! What is done to the brokers, one at a time, so that two are left: killed, restarted in order, the way to them cut, stalled or
//! slow. Each waits for the next until all copies are in sync again.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use tests::{Cluster, Part, Proxy, TopicView, Weather, eventually};

use crate::pace::Lane;
use crate::size::Size;
use crate::stack::NODES;
use crate::table::{Table, Void};

const KILL: &str = "broker: kill -9";
const RESTART: &str = "broker: orderly restart";
const MOVED: &str = "broker: a partition's leader moved";
const CUT: &str = "broker: way to it cut";
const STALLED: &str = "broker: way to it stalled";
const SLOW: &str = "broker: way to it slow";
/// Chunks that come late before the way is fair again.
const LATE: u64 = 200;

type Parts = BTreeMap<i32, Part>;

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    Restart,
    Way(Weather),
}

/// The brokers' faults.
pub struct Hurt<'a> {
    pub cluster: &'a mut Cluster,
    pub doors: &'a [Proxy],
    pub view: TopicView,
    pub table: &'a Table,
}

/// How many faults there will be.
pub fn count(size: &Size) -> usize {
    size.kills + 4 * size.weathers
}

impl Hurt<'_> {
    pub async fn run(mut self, size: &Size, lane: Lane<'_>, mut rng: StdRng) -> Result<(), Void> {
        let mut all = vec![Fault::Kill; size.kills];
        all.extend(vec![Fault::Restart; size.weathers]);
        for weather in [Weather::Cut, Weather::Stalled, Weather::Slow] {
            all.extend(vec![Fault::Way(weather); size.weathers]);
        }
        all.shuffle(&mut rng);
        for fault in all {
            lane.next().await;
            let before = self.all_in_sync().await;
            let leaders: Vec<usize> = before.values().map(|part| part.leader).collect();
            let node = *leaders.choose(&mut rng).expect("a topic has partitions");
            match fault {
                Fault::Kill => self.kill(node, &before).await?,
                Fault::Restart => self.restart(node, &before).await,
                Fault::Way(Weather::Slow) => self.slow(node, &mut rng).await,
                Fault::Way(weather) => self.way(node, weather).await,
            }
            lane.done();
        }
        self.all_in_sync().await;
        Ok(())
    }

    /// Waits until every partition has all of its copies in sync.
    async fn all_in_sync(&self) -> Parts {
        eventually("all copies are in sync", async || {
            let parts = self.view.parts().await?;
            let all = parts.values().all(|part| part.in_sync.len() == NODES);
            (all && !parts.is_empty()).then_some(parts)
        })
        .await
    }

    /// Waits until some partition has fewer copies in sync, and tells how many such there are.
    async fn shrunk(&self, leads_nothing: Option<usize>) -> (usize, Parts) {
        eventually("the in-sync set shrinks", async || {
            let parts = self.view.parts().await?;
            let short = parts.values().filter(|part| part.in_sync.len() < NODES);
            let short = short.count();
            let leads = parts
                .values()
                .any(|part| Some(part.leader) == leads_nothing);
            (short > 0 && !leads).then_some((short, parts))
        })
        .await
    }

    fn note_moved(&self, before: &Parts, after: &Parts) {
        let moved = after.iter().filter(|(number, part)| {
            before
                .get(number)
                .is_some_and(|was| was.leader != part.leader)
        });
        for (number, part) in moved {
            let seen = format!("partition {number} is led by {} now", part.leader);
            self.table.bit(MOVED, seen);
        }
    }

    async fn kill(&mut self, node: usize, before: &Parts) -> Result<(), Void> {
        if self.cluster.ended(node) {
            let why = format!("broker {node} had ended by itself");
            return Err(Void { fault: KILL, why });
        }
        self.cluster.kill(node);
        let (short, after) = self.shrunk(Some(node)).await;
        self.note_moved(before, &after);
        let seen = format!("broker {node} gone, {short} partitions with fewer copies in sync");
        self.table.bit(KILL, seen);
        self.cluster.start_node(node);
        Ok(())
    }

    async fn restart(&mut self, node: usize, before: &Parts) {
        self.cluster.terminate(node).await;
        let (short, after) = self.shrunk(Some(node)).await;
        self.note_moved(before, &after);
        let seen = format!("broker {node} left, {short} partitions with fewer copies in sync");
        self.table.bit(RESTART, seen);
        self.cluster.start_node(node);
    }

    async fn way(&self, node: usize, weather: Weather) {
        let door = &self.doors[node - 1];
        let cut = door.cut();
        door.set(weather);
        let (short, _) = self.shrunk(None).await;
        door.set(Weather::Fair);
        let seen = format!("{short} partitions with fewer copies in sync");
        if weather == Weather::Cut {
            let cut = door.cut() - cut;
            self.table
                .bit(CUT, format!("{cut} connections cut, {seen}"));
        } else {
            self.table.bit(STALLED, seen);
        }
    }

    async fn slow(&self, node: usize, rng: &mut StdRng) {
        let door = &self.doors[node - 1];
        let late = door.late();
        let wanted = late + rng.random_range(LATE / 2..LATE);
        door.set(Weather::Slow);
        eventually("chunks come late", async || {
            (door.late() >= wanted).then_some(())
        })
        .await;
        door.set(Weather::Fair);
        let seen = format!("{} chunks of broker {node} came late", door.late() - late);
        self.table.bit(SLOW, seen);
    }
}
