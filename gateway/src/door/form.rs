//! Reads of a form (`multipart/form-data`) what routing and metering need while it passes: names and short values,
//! never a file. What two parsers could read differently is refused.
//!
//! Source: RFC 7578 and RFC 2046, 5.1; stricter than both: no preamble, no padding, no encodings, no name twice among
//! those that are read.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use super::asked::{Asked, Bound, Count};
use super::error::DoorError;

/// The longest head of a part, in bytes.
const MAX_PART_HEAD_BYTES: usize = 8 << 10;
/// The longest value that is read, in bytes.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// The most parts of a form.
const MAX_PARTS: usize = 1_000;
/// RFC 2046, 5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;

/// The fields that are read.
const READ: [&str; 3] = ["model", "stream", "n"];

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &str) -> Result<String, DoorError> {
    let (kind, parameters) = content_type.split_once(';').ok_or(DoorError::NotAForm)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(DoorError::NotAForm);
    }
    let mut found = None;
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(value);
        // Where quotes hold a semicolon or an escape, and where a name comes in pieces (RFC 2231), parsers differ.
        if name.contains('"') || value.contains(['"', '\\']) || name.starts_with("boundary*") {
            return Err(DoorError::BadForm("its boundary could be read as another"));
        }
        if name != "boundary" {
            continue;
        }
        if found.replace(value).is_some() {
            return Err(DoorError::BadForm("two boundaries are named"));
        }
    }
    let found = found.ok_or(DoorError::NotAForm)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    if found.is_empty()
        || found.len() > MAX_BOUNDARY_BYTES
        || found.ends_with(' ')
        || !found.bytes().all(allowed)
    {
        return Err(DoorError::NotAForm);
    }
    Ok(found.to_owned())
}

/// What stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first boundary.
    Start,
    /// Just after a boundary.
    Delimiter,
    /// In a part's head.
    Head,
    /// In a part that passes unread.
    Unread,
    /// In the part of a field that is read, by its place in [`READ`].
    Value(usize),
    /// After the last boundary.
    End,
}

/// Reads one form, piece by piece.
#[derive(Debug)]
pub struct FormScan {
    delimiter: Vec<u8>,
    at: At,
    /// Bytes that are not decided yet.
    window: Vec<u8>,
    /// Where the window begins in the body.
    offset: u64,
    value: Vec<u8>,
    value_start: u64,
    parts: usize,
    model: Option<(String, Range<u64>)>,
    stream: Option<bool>,
    n: Option<i64>,
}

impl FormScan {
    /// A scan of a form with this boundary.
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            at: At::Start,
            window: Vec::new(),
            offset: 0,
            value: Vec::new(),
            value_start: 0,
            parts: 0,
            model: None,
            stream: None,
            n: None,
        }
    }

    /// The model that a field names, and where its name stands in the body.
    #[must_use]
    pub fn model(&self) -> Option<(&str, Range<u64>)> {
        let (model, place) = self.model.as_ref()?;
        Some((model, place.clone()))
    }

    /// Whether a stream is asked for.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// What it asks, as far as it has come. Its counts stand in no place: they can be refused, not changed.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let count = self.n.map(|n| Count {
            bound: Bound::N,
            name: "n",
            value: Some(n),
            place: 0..0,
        });
        Asked {
            model: self.model.as_ref().map(|(model, _)| model.clone()),
            stream: self.stream(),
            counts: count.into_iter().collect(),
            ..Asked::default()
        }
    }

    /// A field in the form's own way, to stand before its first.
    #[must_use]
    pub fn part(&self, name: &str, value: &str) -> Bytes {
        let mut part = self.delimiter[2..].to_vec();
        let head =
            format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        part.extend_from_slice(head.as_bytes());
        part.into()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), DoorError> {
        self.window.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// The form must be whole by now.
    pub fn finish(&self) -> Result<(), DoorError> {
        if self.at == At::End {
            return Ok(());
        }
        Err(DoorError::BadForm("it ends before its last boundary"))
    }

    fn consume(&mut self, bytes: usize) {
        self.window.drain(..bytes);
        self.offset += bytes as u64;
    }

    /// Decides what it can. `false` where more bytes are needed.
    fn step(&mut self) -> Result<bool, DoorError> {
        match self.at {
            At::Start => self.start(),
            At::Delimiter => self.after_delimiter(),
            At::Head => self.head(),
            At::Unread | At::Value(_) => self.content(),
            At::End => {
                let rest = std::mem::take(&mut self.window);
                self.offset += rest.len() as u64;
                if rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                    return Err(DoorError::BadForm("something follows its last boundary"));
                }
                Ok(false)
            }
        }
    }

    fn start(&mut self) -> Result<bool, DoorError> {
        let first = &self.delimiter[2..];
        let have = first.len().min(self.window.len());
        if self.window[..have] != first[..have] {
            return Err(DoorError::BadForm("it does not begin with its boundary"));
        }
        if have < first.len() {
            return Ok(false);
        }
        self.consume(have);
        self.at = At::Delimiter;
        Ok(true)
    }

    fn after_delimiter(&mut self) -> Result<bool, DoorError> {
        match self.window.get(..2) {
            None => return Ok(false),
            Some(b"--") => self.at = At::End,
            Some(b"\r\n") => self.at = At::Head,
            Some(_) => {
                return Err(DoorError::BadForm(
                    "its boundary is the start of something else",
                ));
            }
        }
        self.consume(2);
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, DoorError> {
        let Some(end) = memmem::find(&self.window, b"\r\n\r\n") else {
            if self.window.len() > MAX_PART_HEAD_BYTES {
                return Err(DoorError::BadForm("the head of a part is too long"));
            }
            return Ok(false);
        };
        if end > MAX_PART_HEAD_BYTES {
            return Err(DoorError::BadForm("the head of a part is too long"));
        }
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(DoorError::BadForm("it has too many parts"));
        }
        let head = &self.window[..end];
        // Some parsers look for a boundary in every line: there a part, or the form, would end.
        if head.starts_with(&self.delimiter[2..]) || memmem::find(head, &self.delimiter).is_some() {
            return Err(DoorError::BadForm("a part ends within its head"));
        }
        let (name, is_file) = part_name(head)?;
        self.at = self.field(&name, is_file)?;
        self.consume(end + 4);
        self.value.clear();
        self.value_start = self.offset;
        Ok(true)
    }

    fn field(&self, name: &str, is_file: bool) -> Result<At, DoorError> {
        let Some(index) = READ.iter().position(|read| read.eq_ignore_ascii_case(name)) else {
            return Ok(At::Unread);
        };
        let read = READ[index];
        if name != read {
            let given = name.chars().take(64).collect();
            return Err(DoorError::OtherCase { given, read });
        }
        if is_file {
            return Err(DoorError::WrongType {
                name: read,
                wanted: "a field, not a file",
            });
        }
        let is_again = match index {
            0 => self.model.is_some(),
            1 => self.stream.is_some(),
            _ => self.n.is_some(),
        };
        if is_again {
            return Err(DoorError::Duplicate(read.to_owned()));
        }
        Ok(At::Value(index))
    }

    /// In a part: up to the next boundary, or as far as no boundary can begin.
    fn content(&mut self) -> Result<bool, DoorError> {
        // Some parsers end an empty part here, others take it for content. Nothing is consumed before this can be told.
        if self.offset == self.value_start && self.window.starts_with(&self.delimiter[2..]) {
            return Err(DoorError::BadForm("a part ends within its head"));
        }
        let found = memmem::find(&self.window, &self.delimiter);
        let safe =
            found.unwrap_or_else(|| self.window.len().saturating_sub(self.delimiter.len() - 1));
        if let At::Value(index) = self.at {
            if self.value.len() + safe > MAX_VALUE_BYTES {
                return Err(DoorError::WrongType {
                    name: READ[index],
                    wanted: "shorter",
                });
            }
            self.value.extend_from_slice(&self.window[..safe]);
        }
        self.consume(safe);
        if found.is_none() {
            return Ok(false);
        }
        if let At::Value(index) = self.at {
            self.end_value(index)?;
        }
        self.consume(self.delimiter.len());
        self.at = At::Delimiter;
        Ok(true)
    }

    fn end_value(&mut self, index: usize) -> Result<(), DoorError> {
        let wrong = |wanted| DoorError::WrongType {
            name: READ[index],
            wanted,
        };
        let value = std::str::from_utf8(&self.value).map_err(|_| wrong("UTF-8 text"))?;
        match index {
            0 => self.model = Some((value.to_owned(), self.value_start..self.offset)),
            1 if value.eq_ignore_ascii_case("true") || value == "1" => self.stream = Some(true),
            1 if matches!(value, "" | "0") || value.eq_ignore_ascii_case("false") => {
                self.stream = Some(false);
            }
            1 => return Err(wrong("true or false")),
            _ => {
                let count = value.parse().ok().filter(|count| *count >= 0);
                self.n = Some(count.ok_or_else(|| wrong("a whole number of at least 0"))?);
            }
        }
        Ok(())
    }
}

/// The field's name in a part's head, and whether the part is a file.
fn part_name(head: &[u8]) -> Result<(String, bool), DoorError> {
    let head = std::str::from_utf8(head)
        .map_err(|_| DoorError::BadForm("the head of a part is not UTF-8"))?;
    let mut found = None;
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else {
            return Err(DoorError::BadForm(
                "a line in the head of a part has no colon",
            ));
        };
        if line
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return Err(DoorError::BadForm(
                "a line in the head of a part ends in its middle",
            ));
        }
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_whitespace()) {
            return Err(DoorError::BadForm("a line in the head of a part is folded"));
        }
        if name.eq_ignore_ascii_case("content-transfer-encoding") {
            return Err(DoorError::BadForm("a part is encoded"));
        }
        if name.eq_ignore_ascii_case("content-disposition")
            && found.replace(disposition(value)?).is_some()
        {
            return Err(DoorError::BadForm("a part has two dispositions"));
        }
    }
    found.ok_or(DoorError::BadForm("a part has no name"))
}

/// `form-data; name="…"; filename="…"`
fn disposition(value: &str) -> Result<(String, bool), DoorError> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(DoorError::BadForm("a part is not form-data"));
    }
    let (mut name, mut is_file) = (None, false);
    while !rest.trim().is_empty() {
        let (parameter, value, after) = parameter(rest)?;
        match parameter.to_ascii_lowercase().as_str() {
            "name" if value.contains('\\') => {
                return Err(DoorError::BadForm("a name is written with escapes"));
            }
            "name" if name.is_some() => return Err(DoorError::BadForm("a part has two names")),
            "name" => name = Some(value.to_owned()),
            // RFC 5987, and RFC 2231 in pieces.
            name if name.starts_with("name*") => {
                return Err(DoorError::BadForm("a name is encoded"));
            }
            name if name == "filename" || name.starts_with("filename*") => is_file = true,
            _ => {}
        }
        rest = after;
    }
    let name = name.ok_or(DoorError::BadForm("a part has no name"))?;
    Ok((name, is_file))
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let is_of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_of_token)
}

/// The first parameter of `rest`: its name, its value as it stands between the quotes, and what follows.
fn parameter(rest: &str) -> Result<(&str, &str, &str), DoorError> {
    let broken = DoorError::BadForm("the disposition of a part is broken");
    let Some((name, after)) = rest.split_once('=') else {
        return Err(broken);
    };
    let (name, after) = (name.trim(), after.trim_start());
    if !is_token(name) {
        return Err(broken);
    }
    let Some(quoted) = after.strip_prefix('"') else {
        let (value, after) = after.split_once(';').unwrap_or((after, ""));
        return Ok((name, value.trim(), after));
    };
    let mut is_escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let Some(end) = end else { return Err(broken) };
    let after = quoted[end + 1..].trim_start();
    match after.strip_prefix(';') {
        Some(after) => Ok((name, &quoted[..end], after)),
        None if after.is_empty() => Ok((name, &quoted[..end], "")),
        None => Err(broken),
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
