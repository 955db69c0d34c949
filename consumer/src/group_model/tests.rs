//! The verdicts: what the schedules find in each algorithm. `TOLLGATE_MODEL_SCHEDULES` says how many are played for ours,
//! `TOLLGATE_MODEL_SEED` where they begin.

use std::time::Instant;

use super::weaker::Kind;
use super::world::{Algorithm, play};

const USUAL_SCHEDULES: u64 = 100_000;
const WEAKER_SCHEDULES: u64 = 500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seed() -> u64 {
    setting("TOLLGATE_MODEL_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()))
}

#[test]
fn no_schedule_of_faults_loses_or_doubles_a_row() {
    let (seed, schedules) = (
        seed(),
        setting("TOLLGATE_MODEL_SCHEDULES").unwrap_or(USUAL_SCHEDULES),
    );
    println!("{schedules} schedules from TOLLGATE_MODEL_SEED={seed}");
    let started = Instant::now();
    for at in seed..seed + schedules {
        let found = play(Algorithm::Ours, at);
        assert!(found.is_exact(), "TOLLGATE_MODEL_SEED={at}: {found:?}");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("none found a fault, in {seconds:.1} s");
}

/// A model that finds nothing anywhere would prove nothing.
#[test]
fn the_same_schedules_find_the_fault_of_every_weaker_algorithm() {
    let seed = seed();
    println!("{WEAKER_SCHEDULES} schedules from TOLLGATE_MODEL_SEED={seed}");
    for kind in Kind::ALL {
        let (mut faulty, mut copies, mut first) = (0, 0, None);
        for at in seed..seed + WEAKER_SCHEDULES {
            let found = play(Algorithm::Weaker(kind), at);
            assert_eq!(found.missing, 0, "{kind:?}, TOLLGATE_MODEL_SEED={at}");
            if !found.is_exact() {
                faulty += 1;
                copies += found.copies;
                first.get_or_insert((at - seed + 1, found));
            }
        }
        let (after, found) = first.unwrap_or_else(|| panic!("nothing found in {kind:?}"));
        println!(
            "{kind:?}: {faulty} of {WEAKER_SCHEDULES} schedules, {copies} copies; the first was number {after}: {found:?}"
        );
        assert!(faulty * 100 > WEAKER_SCHEDULES, "{kind:?}: only {faulty}");
    }
}
