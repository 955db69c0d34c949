//! Reading multipart forms (RFC 7578), as strictly as is needed to tell fields and files apart.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

use crate::carrier::{self, Orders};
use crate::errors::Refusal;

/// No form has more parts.
const MAX_PARTS: usize = 64;

/// The parts of a form, in their order.
#[derive(Debug, Default)]
pub(super) struct Form {
    parts: Vec<(String, Bytes)>,
}

impl Form {
    /// The text of a field; the last one of several.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().rfind(|(known, _)| known == name);
        part.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = |text: &str| {
            let message = format!("Invalid value for '{name}': expected a whole number.");
            text.parse().map_err(|_| Refusal::invalid(name, &message))
        };
        self.text(name).map(number).transpose()
    }

    /// The bytes of all parts of a name, with or without `[]`.
    pub(super) fn files<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        let same = move |known: &str| known.strip_suffix("[]").unwrap_or(known) == name;
        let parts = self.parts.iter().filter(move |(known, _)| same(known));
        parts.map(|(_, bytes)| bytes)
    }

    pub(super) fn orders(&self, headers: &HeaderMap) -> Result<Orders, Refusal> {
        carrier::read(headers, self.text("user"), None)
    }
}

/// Reads a form whole.
pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Form, Refusal> {
    let boundary = boundary(headers).ok_or_else(|| Refusal::bad_form("there is no boundary"))?;
    let open = format!("--{boundary}");
    if !body.starts_with(open.as_bytes()) {
        return Err(Refusal::bad_form("it does not begin with its boundary"));
    }
    let line = format!("\r\n{open}");
    let finder = memmem::Finder::new(line.as_bytes());
    let (mut form, mut at) = (Form::default(), open.len());
    loop {
        if body[at..].starts_with(b"--") {
            return Ok(form);
        }
        let cut_off = || Refusal::bad_form("it is cut off");
        let len = finder.find(&body[at..]).ok_or_else(cut_off)?;
        form.parts.push(part(&body.slice(at..at + len))?);
        if form.parts.len() > MAX_PARTS {
            return Err(Refusal::bad_form("it has too many parts"));
        }
        at += len + line.len();
    }
}

fn part(bytes: &Bytes) -> Result<(String, Bytes), Refusal> {
    let no_head = || Refusal::bad_form("a part has no head");
    let end = memmem::find(bytes, b"\r\n\r\n").ok_or_else(no_head)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| no_head())?;
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    });
    let name = disposition.and_then(|line| parameter(line, "name"));
    let no_name = || Refusal::bad_form("a part has no name");
    Ok((name.ok_or_else(no_name)?, bytes.slice(end + 4..)))
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if !value
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
    {
        return None;
    }
    parameter(value, "boundary").filter(|boundary| !boundary.is_empty())
}

/// `name=value` or `name="value"` behind a semicolon.
fn parameter(line: &str, name: &str) -> Option<String> {
    line.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::read;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = "multipart/form-data; boundary=\"x y\""
            .parse()
            .expect("a value");
        headers.insert("content-type", value);
        headers
    }

    #[test]
    fn fields_and_files_are_told_apart() {
        let body = Bytes::from_static(
            b"--x y\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n3\r\n--x y\r\ncontent-disposition: \
              form-data; name=\"image[]\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\xff\r\n\xfe\r\n--x y--\r\n",
        );
        let form = read(&headers(), &body).expect("a form");
        assert_eq!(form.number("n"), Ok(Some(3)));
        let files: Vec<_> = form.files("image").collect();
        assert_eq!(files, [&Bytes::from_static(b"\xff\r\n\xfe")]);
        assert_eq!(form.text("image[]"), None, "no text");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [
            "",
            "--x y",
            "--x y\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n3",
            "--x y\r\n\r\n\r\n--x y--",
            "--x y\r\nContent-Disposition: form-data\r\n\r\n3\r\n--x y--",
            "{}",
        ] {
            assert!(read(&headers(), &Bytes::from(body)).is_err(), "{body:?}");
        }
        assert!(read(&HeaderMap::new(), &Bytes::from("--x y--")).is_err());
    }
}
