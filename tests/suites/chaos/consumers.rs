//! What is done to the consumers: killed at any moment and at named points, and stopped past their session, so that another has
//! written what they hold when they come back.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tests::partitions;

use crate::pace::Lane;
use crate::patience::eventually;
use crate::size::Size;
use crate::stack::{Member, PARTITIONS, share};
use crate::table::{Table, Void};

const KILL: &str = "consumer: kill -9";
const INSERT_COMMIT: &str = "consumer: killed between insert and commit";
const CUT_INSERT: &str = "consumer: killed between cut and insert";
const STOP: &str = "consumer: stopped past its session";
const STOP_INSERT_COMMIT: &str = "consumer: stopped between insert and commit";
const STOP_AGAIN: &str = "consumer: stopped again after it rejoined";
const BETWEEN: &str = "consumer.between_insert_and_commit";
const BEFORE: &str = "consumer.before_insert";
/// After so many steps a member is stopped.
const STEPS_A_STOP: usize = 4;

#[derive(Clone, Copy)]
enum Death {
    Kill,
    At(&'static str, &'static str),
}

/// The group's faults: deaths of one member while the other works, of both in turn, now and then a stop of one. A member that dies
/// while the group forms anew is waited for by its brokers for a minute; so the other one does not die meanwhile.
pub struct Hurt<'a> {
    pub members: &'a mut [Member; 2],
    pub table: &'a Table,
}

/// How many steps there will be: some deaths each, and after some of them a stop.
pub fn count(size: &Size) -> usize {
    STEPS_A_STOP * size.stops
}

impl Hurt<'_> {
    pub async fn run(mut self, size: &Size, lane: Lane<'_>, mut rng: StdRng) -> Result<(), Void> {
        let mut deaths = vec![Death::Kill; size.kills];
        deaths.extend(vec![Death::At(INSERT_COMMIT, BETWEEN); size.points]);
        deaths.extend(vec![Death::At(CUT_INSERT, BEFORE); size.points]);
        deaths.shuffle(&mut rng);
        let a_step = deaths.len().div_ceil(count(size));
        let mut deaths = deaths.chunks(a_step);
        for step in 0..count(size) {
            lane.next().await;
            self.well().await;
            let deaths = deaths.next().unwrap_or_default();
            let member = &mut self.members[step % 2];
            die_by(member, deaths, self.table, &mut rng).await?;
            self.well().await;
            if step % STEPS_A_STOP == STEPS_A_STOP - 1 {
                let member = (step / STEPS_A_STOP) % self.members.len();
                self.stop(member).await?;
                self.stop_between(member, &mut rng).await?;
            }
            lane.done();
        }
        Ok(())
    }

    async fn well(&mut self) {
        for member in &mut *self.members {
            member.process.ensure();
        }
        share(self.members).await;
    }

    async fn stop(&mut self, member: usize) -> Result<(), Void> {
        self.members[member].process.stop().await;
        self.is_replaced(member, STOP).await;
        self.comes_back(member).await;
        self.members[member].process.stop().await;
        self.is_replaced(member, STOP_AGAIN).await;
        self.comes_back(member).await;
        Ok(())
    }

    async fn stop_between(&mut self, member: usize, rng: &mut StdRng) -> Result<(), Void> {
        let process = &mut self.members[member].process;
        process.kill(STOP_INSERT_COMMIT)?;
        let times = rng.random_range(1..4);
        process.start(Some(&format!("{BETWEEN}:{times}:stop")));
        process.stands_still().await;
        self.is_replaced(member, STOP_INSERT_COMMIT).await;
        self.comes_back(member).await;
        Ok(())
    }

    /// Its session is over when the other has all partitions.
    async fn is_replaced(&mut self, member: usize, fault: &'static str) {
        let other = self.members[1 - member].ops;
        eventually("the other consumer has all partitions", async || {
            self.members[1 - member].process.running();
            (partitions(other).await.len() == PARTITIONS).then_some(())
        })
        .await;
        let still = self.members[member].process.running().is_stopped();
        assert!(still, "it was let go on by nobody");
        let seen = format!("the other took all {PARTITIONS} partitions while it stood still");
        self.table.bit(fault, seen);
    }

    async fn comes_back(&mut self, member: usize) {
        self.members[member].process.go_on();
        share(self.members).await;
    }
}

/// Dies of each in turn. Down from one, it starts for the next.
async fn die_by(
    member: &mut Member,
    deaths: &[Death],
    table: &Table,
    rng: &mut StdRng,
) -> Result<(), Void> {
    for death in deaths {
        match death {
            Death::Kill => {
                member.process.ensure();
                eventually("a consumer has partitions", async || {
                    member.process.running();
                    (!partitions(member.ops).await.is_empty()).then_some(())
                })
                .await;
                table.bit(KILL, member.process.kill(KILL)?);
            }
            Death::At(fault, point) => {
                if member.process.is_up() {
                    member.process.kill(fault)?;
                }
                let times = rng.random_range(1..3);
                member.process.start(Some(&format!("{point}:{times}")));
                table.bit(fault, member.process.dies(fault).await?);
            }
        }
    }
    Ok(())
}
