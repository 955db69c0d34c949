//! The seed of a test that draws its faults: printed, so that a run can be repeated.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Names a seed to use instead of a fresh one.
const VARIABLE: &str = "TOLLGATE_TEST_SEED";

/// A generator from a seed that is printed.
///
/// # Panics
/// If the named seed is no number.
pub fn seed(what: &str) -> StdRng {
    let seed: u64 = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("a seed is a number"),
        Err(_) => rand::random(),
    };
    println!("{what}: {VARIABLE}={seed}");
    StdRng::seed_from_u64(seed)
}
