//! Every finding and every seed of every target, and a bounded number of changes of them: the same every time, without
//! coverage, fast. `FUZZ_ROUNDS` makes more changes, `FUZZ_SEED` others.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its seeds has failed"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::mutate::{Random, mutated};
use fuzz::seeds::{findings, seeds};
use fuzz::{TARGETS, Target};

/// Changes of seeds that a target gets.
const ROUNDS: usize = 5_000;
/// Longer seeds are not changed: what they show, shorter ones show faster.
const MAX_CHANGED_BYTES: usize = 4_096;

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
}

/// Where `data` does not hold, what it was.
fn fault(target: &Target, origin: &str, data: &[u8]) -> Option<String> {
    let held = catch_unwind(AssertUnwindSafe(|| target.check(data))).is_ok();
    (!held).then(|| {
        format!(
            "{} of {origin}: {:?}",
            target.name,
            String::from_utf8_lossy(data)
        )
    })
}

#[test]
fn every_finding_and_every_seed_holds() {
    let mut faults = Vec::new();
    for target in TARGETS {
        let all = seeds(target).unwrap();
        assert!(!all.is_empty(), "{} has no seed", target.name);
        faults.extend(
            all.iter()
                .filter_map(|(name, data)| fault(target, name, data)),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn changed_seeds_hold() {
    let seed = number("FUZZ_SEED", 1);
    let rounds = number("FUZZ_ROUNDS", ROUNDS);
    println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
    for target in TARGETS {
        let all = seeds(target).unwrap();
        let short: Vec<_> = all
            .iter()
            .filter(|(_, data)| data.len() <= MAX_CHANGED_BYTES)
            .collect();
        let mut random = Random::new(u64::try_from(seed).unwrap());
        for round in 0..rounds {
            let (name, data) = short[random.below(short.len())];
            let changed = mutated(data, &mut random);
            let fault = fault(target, &format!("{name} in round {round}"), &changed);
            assert_eq!(fault, None, "FUZZ_SEED={seed}");
        }
    }
}

/// A folder of findings that no target reads would be forgotten.
#[test]
fn every_folder_of_findings_is_a_targets() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for kind in ["findings", "seeds"] {
        for entry in std::fs::read_dir(root.join(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                TARGETS.iter().any(|target| target.name == name),
                "{kind}/{name} belongs to no target"
            );
        }
    }
    assert!(
        TARGETS
            .iter()
            .any(|target| !findings(target).unwrap().is_empty()),
        "no finding is kept"
    );
}
