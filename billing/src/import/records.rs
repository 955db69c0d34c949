//! The records of an export, one by one: a JSON array, one object a line, objects one after another, or CSV with a header.
//!
//! Bounded by one record, not by the file. A value becomes the text that stands in the file, so a number is never read as a
//! binary fraction. What a field means must not live here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::scan::{Pieces, Scanned};
use super::tail::Tail;

/// The longest record, in bytes: a dump may hold prompts.
pub(super) const MAX_RECORD_BYTES: usize = 64 << 20;

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or broken off by the machine.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing in it.
    #[error("{0} is empty: is it the export?")]
    Empty(PathBuf),
    /// It ends in the middle.
    #[error(
        "{path} ends within the record that begins on line {line}: the export was cut off, so nothing of it is taken; export it again"
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Where the last record begins.
        line: usize,
    },
    /// A record that no memory is spent on.
    #[error(
        "{path}, line {line}: a record of more than {MAX_RECORD_BYTES} bytes; write one object a line (`jq -c '.[]'`, or '.data[]')"
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Where it begins.
        line: usize,
    },
    /// A header without the columns.
    #[error(
        "{path}: the header has no column `{column}`: is it CSV with a header, of the table that is imported?"
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
    },
}

/// One record: its line in the file, and its fields, or what is wrong with it.
pub(super) type Record = (usize, Result<Fields, String>);

/// The texts of a record's fields by name; what is null, or empty in a CSV, is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field's text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field's text; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// An object of JSON, of which only `wanted` is kept, or all where nothing is named.
    pub(super) fn of_json(text: &str, wanted: &[&str]) -> Result<Self, String> {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| no_text_of(&error))?;
        let is_wanted = |name: &str| wanted.is_empty() || wanted.contains(&name);
        let kept = members.into_iter().filter(|(name, _)| is_wanted(name));
        Ok(Self(
            kept.filter_map(|(name, value)| Some((name, plain(value)?)))
                .collect(),
        ))
    }
}

/// A JSON value as text: a string's content, anything else as it is written.
pub(super) fn plain(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        text => Some(text.to_owned()),
    }
}

/// What is wrong, without the text that it is wrong with: a dump may hold prompts and secrets.
fn no_text_of(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Eof => "not JSON: it ends too early".to_owned(),
        serde_json::error::Category::Data => "not an object with fields".to_owned(),
        _ => format!("not JSON, from column {} on", error.column()),
    }
}

/// The records of a file.
pub(super) struct Records {
    path: PathBuf,
    wanted: &'static [&'static str],
    kind: Kind,
    /// Of an answer that holds records.
    inner: std::vec::IntoIter<Record>,
    /// How many records answers held, and how many they say there are.
    held: u64,
    claimed: u64,
}

enum Kind {
    Json(Pieces<BufReader<File>>),
    Csv {
        header: Vec<String>,
        /// The reader counts a line that ends with two bytes when it sees the second, and that is in the next record.
        late_lines: usize,
        last_line: usize,
        rows: Box<csv::StringRecordsIntoIter<Tail<BufReader<File>>>>,
    },
}

impl Records {
    /// Opens an export. `wanted` are the fields that are kept; the first must be a column of a CSV.
    pub(super) fn open(path: &Path, wanted: &'static [&'static str]) -> Result<Self, FileError> {
        let unreadable = |error| FileError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
        skip_mark(&mut reader).map_err(unreadable)?;
        let kind = match first_byte(&mut reader).map_err(unreadable)? {
            None => return Err(FileError::Empty(path.to_owned())),
            Some(b'[' | b'{') => Kind::Json(Pieces::new(reader)),
            Some(_) => csv_of(reader, path, wanted)?,
        };
        Ok(Self {
            path: path.to_owned(),
            wanted,
            kind,
            inner: Vec::new().into_iter(),
            held: 0,
            claimed: 0,
        })
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, FileError> {
        if let Some(record) = self.inner.next() {
            return Ok(Some(record));
        }
        match &mut self.kind {
            Kind::Csv {
                header,
                late_lines,
                last_line,
                rows,
            } => {
                let Some(row) = rows.next() else {
                    if rows.reader().get_ref().is_whole() {
                        return Ok(None);
                    }
                    return Err(FileError::CutOff {
                        path: self.path.clone(),
                        line: *last_line,
                    });
                };
                let (line, record) = of_row(header, self.wanted, row);
                *last_line = line + *late_lines;
                Ok(Some((*last_line, record)))
            }
            Kind::Json(pieces) => {
                let Some(scanned) = pieces.next() else {
                    return Ok(self.missing());
                };
                let (line, text) = match scanned {
                    Scanned::Piece(line, text) => (line, text),
                    Scanned::Noise(line) => {
                        return Ok(Some((
                            line,
                            Err("not JSON: neither an object nor a list".into()),
                        )));
                    }
                    Scanned::CutOff(line) => {
                        return Err(FileError::CutOff {
                            path: self.path.clone(),
                            line,
                        });
                    }
                    Scanned::TooLong(line) => {
                        return Err(FileError::TooLong {
                            path: self.path.clone(),
                            line,
                        });
                    }
                    Scanned::Failed(error) => {
                        return Err(FileError::Unreadable {
                            path: self.path.clone(),
                            error,
                        });
                    }
                };
                if let Some((inner, claimed)) = held_by(&text, line, self.wanted) {
                    self.held += inner.len() as u64;
                    self.claimed = self.claimed.max(claimed);
                    self.inner = inner.into_iter();
                    return self.next();
                }
                Ok(Some((line, Fields::of_json(&text, self.wanted))))
            }
        }
    }

    /// Once, at the end: answers come in pages, and a file with some of them is no export.
    fn missing(&mut self) -> Option<Record> {
        let (held, claimed) = (self.held, std::mem::take(&mut self.claimed));
        (claimed > held).then(|| {
            let reason = format!(
                "the answer says that there are {claimed} records, and {held} are here: get every page"
            );
            (0, Err(reason))
        })
    }
}

/// The records of an answer such as `{"data": […], "total": 2}`, and how many it says there are; `None` for a record itself.
fn held_by(text: &str, line: usize, wanted: &[&str]) -> Option<(Vec<Record>, u64)> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    if wanted
        .first()
        .is_some_and(|first| members.contains_key(*first))
    {
        return None;
    }
    let list = members.get("data").or_else(|| members.get("keys"))?;
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let claimed = members.get("total").or_else(|| members.get("total_count"));
    let claimed = claimed
        .and_then(|number| number.get().parse().ok())
        .unwrap_or(0);
    let records = list.into_iter().map(|record| (line, held(record, wanted)));
    Some((records.collect(), claimed))
}

/// A record of an answer: an object, or a text that is its first field.
fn held(record: &RawValue, wanted: &[&str]) -> Result<Fields, String> {
    match (record.get().starts_with('"'), wanted.first()) {
        (true, Some(first)) => {
            let text = plain(record).unwrap_or_default();
            Ok(Fields([((*first).to_owned(), text)].into()))
        }
        _ => Fields::of_json(record.get(), wanted),
    }
}

/// A byte order mark, as spreadsheets write it.
fn skip_mark(reader: &mut impl BufRead) -> std::io::Result<()> {
    if reader.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
        reader.consume("\u{feff}".len());
    }
    Ok(())
}

fn first_byte(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    let seen = reader.fill_buf()?;
    Ok(seen
        .iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace()))
}

fn csv_of(
    mut reader: BufReader<File>,
    path: &Path,
    wanted: &'static [&'static str],
) -> Result<Kind, FileError> {
    let seen = reader.fill_buf().map_err(|error| FileError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let end = seen.iter().position(|byte| *byte == b'\n');
    let late_lines = usize::from(end.is_some_and(|end| seen[..end].ends_with(b"\r")));
    let mut rows = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(Tail::new(reader));
    let header: Vec<_> = match rows.headers() {
        Ok(header) => header.iter().map(|name| name.trim().to_owned()).collect(),
        Err(_) => Vec::new(),
    };
    match wanted.first() {
        Some(first) if !header.iter().any(|name| name == first) => Err(FileError::NoColumn {
            path: path.to_owned(),
            column: first,
        }),
        _ => Ok(Kind::Csv {
            header,
            late_lines,
            last_line: 1,
            rows: Box::new(rows.into_records()),
        }),
    }
}

fn of_row(header: &[String], wanted: &[&str], row: csv::Result<csv::StringRecord>) -> Record {
    let line_of = |position: Option<&csv::Position>| {
        position
            .and_then(|position| usize::try_from(position.line()).ok())
            .unwrap_or(0)
    };
    let row = match row {
        Ok(row) => row,
        Err(error) => return (line_of(error.position()), Err("not UTF-8".to_owned())),
    };
    let line = line_of(row.position());
    if row.len() != header.len() {
        let text = format!("{} fields where the header has {}", row.len(), header.len());
        return (line, Err(text));
    }
    let pairs = header.iter().zip(row.iter());
    let kept = pairs.filter(|(name, value)| {
        !value.is_empty() && (wanted.is_empty() || wanted.contains(&name.as_str()))
    });
    let fields = kept.map(|(name, value)| (name.clone(), value.to_owned()));
    (line, Ok(Fields(fields.collect())))
}

/// A list as JSON (`["a"]`) or as Postgres writes an array in CSV (`{a,"b c"}`); `None` if it is neither.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    if text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .double_quote(false)
        .escape(Some(b'\\'))
        .from_reader(inner.as_bytes());
    let row = reader.records().next()?.ok()?;
    Some(row.iter().map(str::to_owned).collect())
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
