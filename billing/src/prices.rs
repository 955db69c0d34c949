//! Price files: `.csv` or `.toml`, to a price book or to the list of all that is wrong, each with its line.
//! What a price means and which contradict each other must not live here: see `schemas::price`.

mod csv;
mod diff;
mod import;
mod list;
mod notices;
mod toml;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use schemas::price::{PriceBook, PriceError, RawPrice};

pub use self::csv::{parse_csv, write_csv};
pub use self::diff::{Change, Diff, diff};
pub use self::import::{BadMap, ImportError, Imported, Map, Refused, Request, import};
pub use self::list::{Filter, list};
pub use self::notices::{MAX_AGE_DAYS, notices};
pub use self::toml::parse_toml;

/// The largest price file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A price file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It could not be read.
    #[error("cannot read the price file {}: {source}; name another one with --prices or in the configuration", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Larger than any price list.
    #[error("the price file {} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Neither of the two kinds.
    #[error("the price file {} is neither .csv nor .toml", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// Some of its prices are wrong; all of these are told.
    #[error("the price file {} is not used, because of {} errors:{}", path.display(), errors.len(), listed(errors))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        errors: Vec<PriceError>,
    },
}

fn listed(errors: &[PriceError]) -> String {
    let mut text = String::new();
    for error in errors {
        // Writing to a string never fails.
        let _ = write!(text, "\n  {error}");
    }
    text
}

/// Reads a price file of either kind.
pub fn load(path: &Path) -> Result<PriceBook, PricesError> {
    load_with_text(path).map(|(book, _)| book)
}

/// The same, and the text that was read, as it stands in the file.
pub(crate) fn load_with_text(path: &Path) -> Result<(PriceBook, String), PricesError> {
    let parse: fn(&str) -> Result<Vec<RawPrice>, Vec<PriceError>> =
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => parse_csv,
            Some("toml") => parse_toml,
            _ => {
                return Err(PricesError::UnknownKind {
                    path: path.to_owned(),
                });
            }
        };
    let read = |source| PricesError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE_BYTES {
        return Err(PricesError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let book = book(text.trim_start_matches('\u{feff}'), parse);
    let book = book.map_err(|errors| PricesError::Invalid {
        path: path.to_owned(),
        errors,
    })?;
    Ok((book, text))
}

/// A book of all lines, or the errors of reading and of meaning together.
fn book(
    text: &str,
    parse: fn(&str) -> Result<Vec<RawPrice>, Vec<PriceError>>,
) -> Result<PriceBook, Vec<PriceError>> {
    PriceBook::new(&parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Unit;
    use schemas::price::Query;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn both_kinds_of_file_give_the_same_book() {
        let csv = "provider,model,model_version,unit,service_tier,region_class,context_over,per,rate,currency,valid_from,source,read_on,confirmed_by\n\
                   openai,gpt-4o,,input_text,default,,,1000000,2.50,USD,2026-01-01,\"a page, with a comma\",2026-11-24,another\n";
        let toml = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"\nunit = \"input_text\"\nper = 1000000\nrate = \"2.50\"\n\
                    currency = \"USD\"\nvalid_from = 2026-01-01\nsource = \"a page, with a comma\"\nread_on = 2026-11-24\n";
        let (_one, csv) = file("p.csv", csv);
        let (_two, toml) = file("p.toml", toml);
        assert_eq!(
            load(&csv).unwrap().version(),
            load(&toml).unwrap().version()
        );
    }

    #[test]
    fn every_error_is_told_at_once_with_its_line_and_the_file() {
        let csv = "provider,model,unit,service_tier,per,rate,currency,source,read_on\n\
                   openai,a,input_text,default,1000000,1e-6,USD,page,2026-11-24\n\
                   openai,b,input_text,default,1000000,1,USD,,2026-11-24\n\
                   openai,c,input_text,default,1000000,1,USD,page,2026-11-24\n\
                   openai,c,input_text,default,1000000,2,USD,page,2026-11-24\n\
                   openai,d,input_text\n";
        let (_folder, path) = file("p.csv", csv);
        let text = load(&path).unwrap_err().to_string();
        for part in [
            "p.csv",
            "line 2: rate",
            "line 3: no `source`",
            "line 5: holds at the same time as line 4",
            "line 6: ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_of_another_kind_is_named() {
        let missing = load(Path::new("nowhere.csv")).unwrap_err().to_string();
        assert!(
            missing.contains("nowhere.csv") && missing.contains("--prices"),
            "{missing}"
        );
        assert!(matches!(
            load(Path::new("prices.json")),
            Err(PricesError::UnknownKind { .. })
        ));
    }

    #[test]
    fn the_sample_book_prices_the_sample_models() {
        let book = load(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../prices.csv"
        )))
        .unwrap();
        for model in [
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-4.1-mini",
            "gpt-4o-mini-2024-07-18",
        ] {
            for unit in [
                Unit::InputText,
                Unit::InputCached,
                Unit::OutputText,
                Unit::OutputReasoning,
            ] {
                let at = schemas::Micros(1_796_000_000_000_000);
                let query = Query::new("openai", model, unit, at);
                assert!(book.lookup(&query).is_some(), "{model} {unit}");
            }
        }
        assert!(
            book.prices()
                .any(|price| price.provider == "azure" && price.per == 1_000)
        );
    }

    /// Facts of the list that a reader would get wrong: each is said where it was read.
    #[test]
    fn the_starting_book_knows_places_hours_bands_and_dates() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../prices.csv");
        let book = load(Path::new(path)).unwrap();
        let a_million = |provider, model, unit, at, change: fn(&mut Query<'_>)| {
            let at = schemas::price::parse_instant(at).unwrap();
            let mut query = Query::new(provider, model, unit, at);
            change(&mut query);
            let priced = book.lookup(&query)?;
            Some(priced.rate.times(1_000_000).unwrap().to_string())
        };
        let deepseek = |at| a_million("deepseek", "deepseek-flash", Unit::InputText, at, |_| {});
        assert_eq!(deepseek("2026-11-24T02:00Z").as_deref(), Some("0.30")); // a Tuesday's peak
        assert_eq!(deepseek("2026-11-24T05:00Z").as_deref(), Some("0.15"));
        assert_eq!(deepseek("2026-10-01T02:00Z").as_deref(), Some("0.15")); // a holiday
        assert_eq!(deepseek("2026-08-01"), None); // the flat price of before is not in the list
        assert_eq!(deepseek("2027-01-04T02:00Z"), None); // nor are the holidays of 2027
        let sol = |at, change| a_million("openai", "gpt-5.6-sol", Unit::OutputText, at, change);
        assert_eq!(sol("2026-08-20", |_| {}).as_deref(), Some("30.00"));
        assert_eq!(sol("2026-08-21", |_| {}).as_deref(), Some("20.00"));
        let long = |q: &mut Query<'_>| q.context_tokens = 272_001;
        assert_eq!(sol("2026-11-24", long).as_deref(), Some("30.00"));
        let in_europe = |q: &mut Query<'_>| q.region_class = "eu";
        assert_eq!(sol("2026-11-24", in_europe).as_deref(), Some("22.00"));
        // older than the uplift: whether Europe costs more is not known
        let old = a_million(
            "openai",
            "gpt-4o",
            Unit::OutputText,
            "2026-11-24",
            in_europe,
        );
        assert_eq!(old, None);
        let in_the_us = |q: &mut Query<'_>| q.geography = "us";
        let opus = a_million(
            "anthropic",
            "claude-opus-4-8",
            Unit::CacheWrite1h,
            "2026-11-24",
            in_the_us,
        );
        assert_eq!(opus.as_deref(), Some("11.00"));
        // capacity by the hour has no price of use, and a fast answer none that is known
        let on_ptu = |q: &mut Query<'_>| (q.region_class, q.capacity) = ("global", "ptu");
        assert_eq!(
            a_million(
                "azure",
                "gpt-4o-2024-11-20",
                Unit::InputText,
                "2026-11-24",
                on_ptu
            ),
            None
        );
        let fast = |q: &mut Query<'_>| q.speed = "fast";
        assert_eq!(
            a_million(
                "anthropic",
                "claude-opus-4-8",
                Unit::InputText,
                "2026-11-24",
                fast
            ),
            None
        );
        assert!(
            book.prices()
                .all(|price| price.rate.per_unit() != schemas::Money::ZERO)
        );
    }
}
