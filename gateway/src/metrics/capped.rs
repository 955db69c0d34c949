//! Series by a name from the configuration: each name has its own until there are too many, then the rest share one.
//!
//! Found without a lock: the map is replaced, not changed, when a name is seen for the first time.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use schemas::name::Text;

/// The name that the rest shares.
pub const OTHER: &str = "other";

/// Series of one kind. Clones share them.
#[derive(Debug)]
pub struct Capped<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    by_name: ArcSwap<FxHashMap<Text, Arc<Series<T>>>>,
    adding: Mutex<()>,
    other: Series<T>,
    most: usize,
    make: fn() -> T,
}

/// What is counted under one name.
#[derive(Debug)]
pub struct Series<T> {
    /// The name.
    pub name: Text,
    /// What else is always true of it, such as who runs a deployment.
    pub kind: Text,
    /// The figures.
    pub figures: T,
}

impl<T> Clone for Capped<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Capped<T> {
    /// At most so many names.
    #[must_use]
    pub fn new(most: usize, make: fn() -> T) -> Self {
        let other = Series {
            name: Text::cut(OTHER),
            kind: Text::cut(OTHER),
            figures: make(),
        };
        Self(Arc::new(Inner {
            by_name: ArcSwap::default(),
            adding: Mutex::new(()),
            other,
            most,
            make,
        }))
    }

    /// Counts under a name. A name that is said to be of another kind than before is counted with the rest.
    pub fn with(&self, name: &Text, kind: &Text, count: impl FnOnce(&T)) {
        let known = self.0.by_name.load();
        if let Some(series) = known.get(name) {
            return count(&self.checked(series, kind).figures);
        }
        if known.len() >= self.0.most {
            return count(&self.0.other.figures);
        }
        match self.add(name, kind) {
            Some(series) => count(&self.checked(&series, kind).figures),
            None => count(&self.0.other.figures),
        }
    }

    /// Counts under a name that was seen before; else with the rest, for nobody says of what kind it is.
    pub fn with_known(&self, name: &Text, count: impl FnOnce(&T)) {
        match self.0.by_name.load().get(name) {
            Some(series) => count(&series.figures),
            None => count(&self.0.other.figures),
        }
    }

    fn checked<'a>(&'a self, series: &'a Series<T>, kind: &Text) -> &'a Series<T> {
        if series.kind == *kind {
            series
        } else {
            &self.0.other
        }
    }

    fn add(&self, name: &Text, kind: &Text) -> Option<Arc<Series<T>>> {
        let _adding = self.0.adding.lock();
        let known = self.0.by_name.load();
        if let Some(series) = known.get(name) {
            return Some(series.clone());
        }
        if known.len() >= self.0.most {
            return None;
        }
        let series = Arc::new(Series {
            name: name.clone(),
            kind: kind.clone(),
            figures: (self.0.make)(),
        });
        let mut more = FxHashMap::clone(&known);
        more.insert(name.clone(), series.clone());
        self.0.by_name.store(Arc::new(more));
        Some(series)
    }

    /// Shows every series in the order of their names, the rest last.
    pub fn try_each<E>(&self, mut show: impl FnMut(&Series<T>) -> Result<(), E>) -> Result<(), E> {
        let known = self.0.by_name.load();
        let mut all: Vec<&Arc<Series<T>>> = known.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.into_iter().try_for_each(|series| show(series))?;
        show(&self.0.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn counted(capped: &Capped<AtomicU64>) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        let shown: Result<(), ()> = capped.try_each(|series| {
            let count = series.figures.load(Ordering::Relaxed);
            all.push((series.name.to_string(), count));
            Ok(())
        });
        shown.unwrap();
        all
    }

    #[test]
    fn names_beyond_the_cap_share_one_and_nothing_is_lost() {
        let capped = Capped::new(3, AtomicU64::default);
        let add = |name: &str, kind: &str| {
            capped.with(&Text::cut(name), &Text::cut(kind), |count| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        };
        for _ in 0..10 {
            for name in ["c", "a", "b", "d", "e"] {
                add(name, "");
            }
        }
        add("a", "somebody else's");
        for name in ["a", "never seen"] {
            capped.with_known(&Text::cut(name), |count| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        let all = [("a", 11), ("b", 10), ("c", 10), (OTHER, 22)];
        let all = all.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counted(&capped), all);
    }

    #[test]
    fn many_threads_that_see_new_names_lose_no_count() {
        let capped = Capped::new(64, AtomicU64::default);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1_000 {
                        let name = Text::cut(&format!("n{}", number % 100));
                        capped.with(&name, &Text::default(), |count| {
                            count.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        let all = counted(&capped);
        assert_eq!(all.len(), 65);
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 4_000);
    }
}
