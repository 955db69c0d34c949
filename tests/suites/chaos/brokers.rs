//! What is done to the brokers, one at a time, so that two are left: killed, restarted in order, the way to them cut, stalled or
//! slow. Each waits for the next until all copies are in sync again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use tests::{Cluster, Part, Proxy, TopicView, Weather};

use crate::pace::Lane;
use crate::patience::eventually;
use crate::size::Size;
use crate::stack::NODES;
use crate::table::{Table, Void};

const KILL: &str = "broker: kill -9";
const RESTART: &str = "broker: orderly restart";
const MOVED: &str = "broker: a partition's leader moved";
const CUT: &str = "broker: way to it cut";
const STALLED: &str = "broker: way to it stalled";
const SLOW: &str = "broker: way to it slow";
/// So many connections are turned away, or chunks are held back or late, before the way is fair again,
const LEAST: Range<u64> = 5..20;
/// and it is bad for so long.
const LASTS_MS: Range<u64> = 4_000..12_000;

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
                Fault::Way(weather) => self.way(node, weather, &mut rng).await,
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

    /// The way to a node is bad for some seconds, and until it was felt. Copies need not get out of sync by it: nothing reaches a
    /// leader that nobody reaches.
    async fn way(&self, node: usize, weather: Weather, rng: &mut StdRng) {
        let door = &self.doors[node - 1];
        let before = Felt::of(door);
        let wanted = rng.random_range(LEAST);
        let lasts = Duration::from_millis(rng.random_range(LASTS_MS));
        door.set(weather);
        tokio::time::sleep(lasts).await;
        let felt = eventually("the way to a broker is felt to be bad", async || {
            let felt = Felt::of(door).since(before);
            (felt.by(weather) >= wanted).then_some(felt)
        })
        .await;
        door.set(Weather::Fair);
        let seconds = lasts.as_secs();
        let (fault, what) = match weather {
            Weather::Cut => (CUT, "connections turned away"),
            Weather::Stalled => (STALLED, "chunks held back"),
            Weather::Slow | Weather::Fair => (SLOW, "chunks late"),
        };
        let times = felt.by(weather);
        let seen = format!(
            "broker {node} for {seconds} s: {} connections cut, {times} {what}",
            felt.cut
        );
        self.table.bit(fault, seen);
    }
}

/// What a door did to those who came.
#[derive(Clone, Copy)]
struct Felt {
    cut: u64,
    turned_away: u64,
    held: u64,
    late: u64,
}

impl Felt {
    fn of(door: &Proxy) -> Self {
        Self {
            cut: door.cut(),
            turned_away: door.turned_away(),
            held: door.held(),
            late: door.late(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            cut: self.cut - before.cut,
            turned_away: self.turned_away - before.turned_away,
            held: self.held - before.held,
            late: self.late - before.late,
        }
    }

    fn by(self, weather: Weather) -> u64 {
        match weather {
            Weather::Fair => 0,
            Weather::Cut => self.turned_away,
            Weather::Stalled => self.held,
            Weather::Slow => self.late,
        }
    }
}
