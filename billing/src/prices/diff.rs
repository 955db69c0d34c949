//! What changed between two price books, by what is priced and not by where a line stands.

use std::collections::BTreeMap;

use schemas::PriceBook;
use schemas::price::Entry;
use serde::Serialize;

/// The difference of two books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Only in the new book.
    pub added: Vec<Change>,
    /// Only in the old book.
    pub removed: Vec<Change>,
    /// In both, with another price or another end.
    pub changed: Vec<Change>,
}

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What is priced, and from when on.
    pub key: String,
    /// In the old book.
    pub old: Option<String>,
    /// In the new book.
    pub new: Option<String>,
}

impl Diff {
    /// Whether the two price everything alike.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// All changes, each with what it is.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Change)> {
        let of = |name| move |change| (name, change);
        let added = self.added.iter().map(of("added"));
        let removed = self.removed.iter().map(of("removed"));
        let changed = self.changed.iter().map(of("changed"));
        added.chain(removed).chain(changed)
    }
}

/// Compares two books. A rate for a thousand and the same for a million are alike; so are two sources.
#[must_use]
pub fn diff(old: &PriceBook, new: &PriceBook) -> Diff {
    let (old, new) = (values(old), values(new));
    let mut diff = Diff::default();
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let change = Change {
            key: key.clone(),
            old: old.get(key).cloned(),
            new: new.get(key).cloned(),
        };
        match (&change.old, &change.new) {
            (None, _) => diff.added.push(change),
            (_, None) => diff.removed.push(change),
            (old, new) if old != new => diff.changed.push(change),
            _ => {}
        }
    }
    diff
}

fn values(book: &PriceBook) -> BTreeMap<String, String> {
    let value = |entry: &Entry| {
        let end = &entry.raw.valid_to;
        let until = if end.is_empty() {
            String::new()
        } else {
            format!(" until {end}")
        };
        (entry.key(), format!("{}{until}", entry.value()))
    };
    book.entries().iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::parse_csv;

    fn book(lines: &[&str]) -> PriceBook {
        const HEADER: &str =
            "provider,model,unit,service_tier,per,rate,currency,valid_from,valid_to,source,read_on";
        let csv: Vec<_> = std::iter::once(&HEADER).chain(lines).copied().collect();
        PriceBook::new(&parse_csv(&(csv.join("\n") + "\n")).unwrap()).unwrap()
    }

    #[test]
    fn what_is_added_removed_and_changed_is_told_by_key() {
        let old = book(&[
            "openai,gone,input_text,default,1000,1,USD,,,page,2026-11-24",
            "openai,same,input_text,default,1000,0.15,USD,,,page,2026-11-24",
            "openai,dearer,input_text,default,1000000,2,USD,2026-01-01,,page,2026-11-24",
            "openai,ending,input_text,default,1,2,USD,,,page,2026-11-24",
        ]);
        let new = book(&[
            "openai,ending,input_text,default,1,2,USD,,2026-12-01,page,2026-11-24",
            "openai,same,input_text,default,1000000,150,USD,,,another page,2026-11-25",
            "openai,dearer,input_text,default,1000000,3,USD,2026-01-01T00:00Z,,page,2026-11-24",
            "openai,new,input_text,default,1,2,USD,,,page,2026-11-24",
        ]);
        let diff = diff(&old, &new);
        let told: Vec<_> = diff
            .all()
            .map(|(what, c)| format!("{what} {}: {:?} {:?}", c.key, c.old, c.new))
            .collect();
        assert_eq!(
            told,
            [
                "added price openai new input_text default USD: None Some(\"2.00 USD a unit\")",
                "removed price openai gone input_text default USD: Some(\"0.001 USD a unit\") None",
                "changed price openai dearer input_text default USD from 2026-01-01T00:00:00Z: Some(\"0.000002 USD a unit\") \
                 Some(\"0.000003 USD a unit\")",
                "changed price openai ending input_text default USD: Some(\"2.00 USD a unit\") Some(\"2.00 USD a unit until 2026-12-01\")",
            ]
        );
        assert!(super::diff(&new, &new).is_empty());
    }

    /// One text may stand in several columns.
    #[test]
    fn a_factor_for_a_region_class_is_not_the_one_for_a_geography() {
        const HEADER: &str = "kind,provider,model,unit,service_tier,region_class,geography,per,rate,currency,source,read_on";
        let book = |of_class: &str| {
            let of_class = format!("uplift,openai,m,tokens,,us,,,{of_class},,page,2026-11-24");
            let of_geography = "uplift,openai,m,tokens,,,us,,1.1,,page,2026-11-24";
            let csv = [HEADER, &of_class, of_geography, ""].join("\n");
            PriceBook::new(&parse_csv(&csv).unwrap()).unwrap()
        };
        let diff = diff(&book("1.1"), &book("1.2"));
        let changed: Vec<_> = diff.changed.iter().map(|change| &change.key).collect();
        assert_eq!(changed, ["uplift openai m tokens region_class=us"]);
    }
}
