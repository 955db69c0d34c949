//! Choosing lines of a price book.

use schemas::price::{Entry, Item};
use schemas::{Micros, PriceBook};

/// Which lines are asked for; nothing asked gives all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider: Option<String>,
    /// What a model of this name is priced by: its own lines, and those of the name that it stands for.
    pub model: Option<String>,
    /// Those that hold at this instant.
    pub at: Option<Micros>,
}

/// The lines that a filter lets through, in the order of the file.
#[must_use]
pub fn list<'a>(book: &'a PriceBook, filter: &Filter, now: Micros) -> Vec<&'a Entry> {
    let holding = filter.at.map(|at| book.lines_at(at));
    let entries = book.entries().iter();
    entries
        .filter(|entry| {
            let of_provider = filter.provider.as_ref();
            of_provider.is_none_or(|provider| *provider == entry.raw.provider)
        })
        .filter(|entry| {
            let lines = holding.as_ref();
            lines.is_none_or(|lines| lines.contains(&entry.raw.line))
        })
        .filter(|entry| {
            let model = filter.model.as_ref();
            model.is_none_or(|model| concerns(book, entry, model, filter.at.unwrap_or(now)))
        })
        .collect()
}

/// Whether a line is about a model: under the name itself, or under the one whose prices it has at that time.
fn concerns(book: &PriceBook, entry: &Entry, model: &str, at: Micros) -> bool {
    let priced_as = book.priced_name(&entry.raw.provider, model, at);
    let is_named = |name: &str| name == model || Some(name) == priced_as;
    match &entry.item {
        Item::Price(price) => is_named(&price.full_name()) || price.model == model,
        Item::Uplift(uplift) => is_named(&uplift.model),
        Item::Alias(alias) => alias.name == model || alias.target == model,
        Item::Hours(_) | Item::Holiday(_) => false,
    }
}
