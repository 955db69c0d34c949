//! How large a run is: from the number of requests follows how often each fault comes. Everything drawn at random is drawn
//! from one seed, which is printed.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

const REQUESTS: &str = "TOLLGATE_CHAOS_REQUESTS";
const SEED: &str = "TOLLGATE_CHAOS_SEED";
const FOLDER: &str = "TOLLGATE_CHAOS_FOLDER";

/// The form that every `make test` runs.
const SMALL: u64 = 100_000;
/// The form that the figures are for.
const LARGE: u64 = 1_000_000;
/// The longest that a run may take, whatever its size.
pub const BOUND: Duration = Duration::from_hours(1);

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Size {
    /// Requests that are answered, one way or another.
    pub requests: u64,
    /// What all chance comes from.
    pub seed: u64,
    /// Deaths at each named point.
    pub points: usize,
    /// `kill -9` of each kind of process.
    pub kills: usize,
    /// Stops of a consumer, each in three ways.
    pub stops: usize,
    /// Each weather at a broker's door, and each orderly restart of a broker.
    pub weathers: usize,
    /// How often the disk is full.
    pub full_disks: usize,
    /// How often copies are sent, and of how many records a partition.
    pub copies: (usize, i64),
    /// How long the store is away.
    pub away: Duration,
    /// A member that is silent for so long loses its partitions.
    pub session: Duration,
    /// Where everything lies, and stays; a scratch directory if absent.
    pub folder: Option<PathBuf>,
}

impl Size {
    /// What the environment asks for.
    pub fn from_environment() -> Self {
        let requests = number(REQUESTS).unwrap_or(SMALL);
        let is_large = requests >= LARGE / 2;
        let scaled = |of_large: u64, least: u64| {
            let scaled = (of_large * requests / LARGE).clamp(least, of_large);
            usize::try_from(scaled).expect("small")
        };
        Self {
            requests,
            seed: number(SEED).unwrap_or_else(rand::random),
            points: scaled(100, 4),
            kills: scaled(10, 2),
            stops: scaled(4, 1),
            weathers: scaled(4, 1),
            full_disks: scaled(4, 1),
            copies: (scaled(20, 3), if is_large { 2_000 } else { 500 }),
            away: Duration::from_secs((120 * requests / LARGE).clamp(8, 120)),
            session: Duration::from_secs(3),
            folder: std::env::var_os(FOLDER).map(PathBuf::from),
        }
    }

    /// Chance of one's own for a part of the run.
    pub fn chance(&self, part: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_add(part << 32))
    }

    /// The line that repeats the run.
    pub fn again(&self) -> String {
        format!("{REQUESTS}={} {}", self.requests, self.seeded())
    }

    /// Where all chance came from.
    pub fn seeded(&self) -> String {
        format!("{SEED}={}", self.seed)
    }
}

/// The number that a variable holds.
pub fn number<T: FromStr<Err: Display>>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    let parsed = text.parse();
    Some(parsed.unwrap_or_else(|error| panic!("{variable}={text} is no number: {error}")))
}
