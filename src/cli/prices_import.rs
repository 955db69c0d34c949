//! `tollgate prices import`: a public price map becomes a price book and a list of what was not taken.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use billing::prices::{self, ImportError, Imported, Map};
use billing::render::{self, Format};

use super::prices::write;
use super::report::{parse, usage};

/// The largest price map, in bytes.
const MAX_MAP_BYTES: u64 = 64 << 20;

/// What to import.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The kind of map: litellm, genai-prices, models-dev or portkey
    #[arg(long, value_name = "MAP")]
    from: String,
    /// The map's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where it was read, such as a repository and a commit: the source of every line
    #[arg(long)]
    source: String,
    /// The day on which it was read; today if absent
    #[arg(long, value_name = "DAY")]
    read_on: Option<String>,
    /// Only this provider; for portkey, whose file it is
    #[arg(long)]
    provider: Option<String>,
    /// The deployment class of all lines, for a provider that prices by it: global, datazone, regional
    #[arg(long, value_name = "CLASS", default_value = "")]
    region_class: String,
    /// Where the price book is written; standard output if absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the list of what was not taken is written, .csv or .json; standard error if absent
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

impl Import {
    /// Reads the map and writes both.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let map: Map = parse(&self.from)?;
        let text = self.read()?;
        let request = prices::Request {
            map,
            source: self.source.clone(),
            read_on: self.read_on.clone().unwrap_or_else(today),
            provider: self.provider.clone(),
            region_class: self.region_class.clone(),
        };
        let imported = prices::import(&text, &request).map_err(|error| match error {
            error @ (ImportError::Shape(_) | ImportError::NoProvider) => usage(error),
        })?;
        self.write(&imported)?;
        eprintln!(
            "{} prices taken, {} entries or fields not",
            imported.rows.len(),
            imported.refused.len()
        );
        Ok(if imported.rows.is_empty() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn read(&self) -> anyhow::Result<String> {
        let path = self.file.display();
        let size = std::fs::metadata(&self.file)
            .map_err(|error| usage(format!("cannot read the price map {path}: {error}")))?
            .len();
        if size > MAX_MAP_BYTES {
            let text = format!("the price map {path} is larger than {MAX_MAP_BYTES} bytes");
            return Err(usage(text).into());
        }
        std::fs::read_to_string(&self.file).with_context(|| format!("reading {path}"))
    }

    fn write(&self, imported: &Imported) -> anyhow::Result<()> {
        let book = prices::write_csv(&imported.rows)?;
        match &self.out {
            Some(path) => write(path, &book)?,
            None => print!("{book}"),
        }
        let Some(path) = &self.refused else {
            eprint!(
                "{}",
                render::refusals(&imported.refused, Format::Table, None)?
            );
            return Ok(());
        };
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let format = if is_json { Format::Json } else { Format::Csv };
        write(path, &render::refusals(&imported.refused, format, None)?)
    }
}

fn today() -> String {
    let now = chrono::DateTime::from_timestamp_micros(runtime::clock::now_us()).unwrap_or_default();
    now.format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(folder: &std::path::Path, map: &str) -> anyhow::Result<ExitCode> {
        let file = folder.join("map.json");
        std::fs::write(&file, map)?;
        let asked = Import {
            from: "litellm".into(),
            file,
            source: "a map @ 1234".into(),
            read_on: Some("2026-11-24".into()),
            provider: None,
            region_class: String::new(),
            out: Some(folder.join("book.csv")),
            refused: Some(folder.join("refused.json")),
        };
        asked.run()
    }

    #[test]
    fn the_book_that_is_written_loads_and_the_list_beside_it_says_what_is_not_in_it() {
        let folder = std::env::temp_dir().join(format!("tollgate-import-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let map = r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 0}}"#;
        assert_eq!(import(&folder, map).unwrap(), ExitCode::SUCCESS);
        let book = prices::load(&folder.join("book.csv")).unwrap();
        let rates: Vec<_> = book
            .prices()
            .map(|price| price.rate_text.as_str())
            .collect();
        assert_eq!(rates, ["0.15"]);
        let refused = std::fs::read_to_string(folder.join("refused.json")).unwrap();
        assert!(
            refused.contains("output_cost_per_token") && refused.contains("zero"),
            "{refused}"
        );
        // nothing that could be taken is no success, and what cannot be read is the caller's fault
        assert_eq!(import(&folder, "{}").unwrap(), ExitCode::FAILURE);
        let error = import(&folder, "[]").unwrap_err();
        assert!(error.is::<super::super::Usage>(), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
