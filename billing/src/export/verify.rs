//! Reading an export back: whether the file is the one that its manifest names, and whether its own records add up to
//! what the manifest states. It needs neither the ledger nor the price book.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use schemas::Money;
use serde_json::{Map, Value as Json};

use crate::BillingError;
use crate::export::column::{Column, Kind as Width, Role};
use crate::export::target::Digesting;
use crate::export::{ExportError, ExportFormat, Manifest, Sums, measures};

/// A file that holds what its manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
}

/// Checks length, SHA-256, number of records and every sum of a file against its manifest.
///
/// # Errors
/// Where a file cannot be read, or is not what its manifest says.
pub fn verify(path: &Path) -> Result<Verified, ExportError> {
    let manifest = Manifest::beside(path)?;
    let changed = |what: &str, found: String, said: String| ExportError::Changed {
        path: path.to_owned(),
        what: what.to_owned(),
        found,
        said,
    };
    let mut digest = Digesting::new(io::sink());
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut digest));
    copied.map_err(|error| io_failed(path, error))?;
    if digest.bytes != manifest.bytes {
        let said = manifest.bytes.to_string();
        return Err(changed("its length", digest.bytes.to_string(), said));
    }
    if digest.sha256() != manifest.sha256 {
        return Err(changed("its SHA-256", digest.sha256(), manifest.sha256));
    }
    let mut read = Reading::of(path);
    match manifest.format {
        ExportFormat::Csv => read.csv()?,
        ExportFormat::Json => read.json()?,
        ExportFormat::Parquet => read.parquet()?,
    }
    if read.records != manifest.records {
        let said = manifest.records.to_string();
        return Err(changed(
            "its number of records",
            read.records.to_string(),
            said,
        ));
    }
    if let Some((what, found, said)) = read.sums.difference(&manifest.sums) {
        return Err(changed(&what, found, said));
    }
    Ok(Verified { manifest })
}

fn io_failed(path: &Path, error: io::Error) -> ExportError {
    ExportError::Io {
        path: path.to_owned(),
        error,
    }
}

struct Reading<'a> {
    path: &'a Path,
    columns: Vec<Column>,
    records: u64,
    sums: Sums,
}

impl<'a> Reading<'a> {
    fn of(path: &'a Path) -> Self {
        let adds_up = |column: &Column| column.role != Role::Fact;
        let columns = measures::columns(Width::Wide).into_iter();
        Self {
            path,
            columns: columns.filter(adds_up).collect(),
            records: 0,
            sums: Sums::default(),
        }
    }

    fn unreadable(&self, error: &impl ToString) -> ExportError {
        ExportError::Unreadable {
            path: self.path.to_owned(),
            record: self.records + 1,
            error: error.to_string(),
        }
    }

    fn csv(&mut self) -> Result<(), ExportError> {
        let reader = ::csv::Reader::from_path(self.path);
        let mut reader = reader.map_err(|error| self.unreadable(&error))?;
        let header = reader.headers().map_err(|error| self.unreadable(&error))?;
        let places: BTreeMap<_, _> = header.iter().map(str::to_owned).zip(0..).collect();
        let mut record = ::csv::StringRecord::new();
        while reader
            .read_record(&mut record)
            .map_err(|error| self.unreadable(&error))?
        {
            let cell = |name: &str| {
                record
                    .get(*places.get(name)?)
                    .filter(|text| !text.is_empty())
            };
            self.take(|name| cell(name).map(|text| Json::String(text.to_owned())))?;
        }
        Ok(())
    }

    fn json(&mut self) -> Result<(), ExportError> {
        let file = File::open(self.path).map_err(|error| io_failed(self.path, error))?;
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|error| self.unreadable(&error))?;
            let object: Map<String, Json> =
                serde_json::from_str(&line).map_err(|error| self.unreadable(&error))?;
            self.take(|name| object.get(name).filter(|value| !value.is_null()).cloned())?;
        }
        Ok(())
    }

    fn parquet(&mut self) -> Result<(), ExportError> {
        let file = File::open(self.path).map_err(|error| io_failed(self.path, error))?;
        let reader = SerializedFileReader::new(file).map_err(|error| self.unreadable(&error))?;
        for row in reader
            .get_row_iter(None)
            .map_err(|error| self.unreadable(&error))?
        {
            let row = row.map_err(|error| self.unreadable(&error))?;
            let fields = row.get_column_iter();
            let fields: BTreeMap<_, _> =
                fields.map(|(name, field)| (name.as_str(), field)).collect();
            self.take(|name| json_of(fields.get(name)?))?;
        }
        Ok(())
    }

    /// Adds a record's cells: texts or numbers, maps as objects or as their text.
    fn take(&mut self, cell: impl Fn(&str) -> Option<Json>) -> Result<(), ExportError> {
        let mut sums = std::mem::take(&mut self.sums);
        let currency = cell("currency")
            .map(|text| plain(&text))
            .unwrap_or_default();
        for column in &self.columns {
            let Some(value) = cell(&column.name) else {
                continue;
            };
            let added = add(&mut sums, column, &currency, &value);
            added.map_err(|error| self.unreadable(&format!("{}: {error}", column.name)))?;
        }
        self.sums = sums;
        self.records += 1;
        Ok(())
    }
}

fn add(sums: &mut Sums, column: &Column, currency: &str, value: &Json) -> Result<(), String> {
    let told = |error: BillingError| error.to_string();
    let number = |value: &Json| {
        let text = plain(value);
        text.parse::<i128>()
            .map_err(|_| format!("`{text}` is not a count"))
    };
    match (column.role, column.kind) {
        (Role::SumByCurrency, _) => {
            let money: Money = plain(value).parse().map_err(|error| format!("{error}"))?;
            sums.add_money(&column.name, currency, money).map_err(told)
        }
        (_, Width::Counts) => {
            let read = match value {
                Json::String(text) => {
                    serde_json::from_str(text).map_err(|error| error.to_string())?
                }
                other => other.clone(),
            };
            let map = read.as_object().ok_or("this is not a map")?;
            for (unit, count) in map {
                let name = format!("{}.{unit}", column.name);
                sums.add_count(&name, number(count)?).map_err(told)?;
            }
            Ok(())
        }
        (Role::Sum | Role::SumOfUnit, _) => {
            sums.add_count(&column.name, number(value)?).map_err(told)
        }
        _ => Ok(()),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A Parquet cell; a decimal as its exact text, from its own scale.
fn json_of(field: &Field) -> Option<Json> {
    Some(match field {
        Field::Long(number) => Json::from(*number),
        Field::Str(text) => Json::from(text.as_str()),
        Field::Decimal(decimal) => {
            let bytes: [u8; 16] = decimal.data().try_into().ok()?;
            let number = i128::from_be_bytes(bytes);
            match decimal.scale() {
                0 => Json::from(number.to_string()),
                _ => Json::from(Money::from_atto(number).to_string()),
            }
        }
        Field::MapInternal(map) => {
            let entries = map.entries().iter();
            let entry =
                |(key, value): &(Field, Field)| Some((plain(&json_of(key)?), json_of(value)?));
            Json::Object(entries.filter_map(entry).collect())
        }
        _ => return None,
    })
}
