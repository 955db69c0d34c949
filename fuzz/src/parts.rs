//! A slow and lenient reader of forms for the reference: needs all bytes at once, and takes what any of the parsers that
//! providers use would take.

/// A part of a form.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Every name that some parser could find.
    pub(crate) names: Vec<String>,
    pub(crate) is_file: bool,
    pub(crate) content: &'a [u8],
}

/// The places of `needle`.
fn places(text: &[u8], needle: &[u8]) -> Vec<usize> {
    (0..text.len())
        .filter(|at| text[*at..].starts_with(needle))
        .collect()
}

/// The parts of a form with CRLF before each delimiter, up to the one that closes it.
pub(crate) fn parts<'a>(form: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let delimiter = format!("\r\n--{boundary}");
    let first = &delimiter[2..];
    let mut begins = Vec::new();
    let mut ends = Vec::new();
    if form.starts_with(first.as_bytes()) {
        begins.push(first.len());
    }
    for at in places(form, delimiter.as_bytes()) {
        ends.push(at);
        begins.push(at + delimiter.len());
    }
    let mut parts = Vec::new();
    for begin in begins {
        let after = &form[begin..];
        if after.starts_with(b"--") {
            break;
        }
        let end = ends
            .iter()
            .copied()
            .find(|end| *end >= begin)
            .unwrap_or(form.len());
        parts.push(part(&form[begin..end]));
    }
    parts
}

fn part(part: &[u8]) -> Part<'_> {
    let head_end = places(part, b"\r\n\r\n").first().copied();
    let (head, content) = head_end.map_or((part, &[][..]), |end| (&part[..end], &part[end + 4..]));
    let head = String::from_utf8_lossy(head);
    let (mut names, mut is_file) = (Vec::new(), false);
    // Some parsers end a line of the head with LF or CR alone.
    for line in head.split(['\n', '\r']) {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        if !field.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        let parameters = parameters(value).unwrap_or_default();
        names.extend(values(&parameters, "name"));
        is_file |= !values(&parameters, "filename").is_empty();
    }
    Part {
        names,
        is_file,
        content,
    }
}

/// The parameters of a header's value, quotes and their escapes taken off; `None` where quotes do not close.
pub(crate) fn parameters(value: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.trim().is_empty() {
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let name = rest[..end].trim().to_ascii_lowercase();
        rest = &rest[end..];
        let Some(after) = rest.strip_prefix('=') else {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let after = after.trim_start();
        if let Some(quoted) = after.strip_prefix('"') {
            let (text, len) = unquoted(quoted)?;
            found.push((name, text));
            let after = &quoted[len..];
            rest = after.split_once(';').map_or("", |(_, rest)| rest);
        } else {
            let end = after.find(';').unwrap_or(after.len());
            found.push((name, after[..end].trim().to_owned()));
            rest = after.get(end + 1..).unwrap_or_default();
        }
    }
    Some(found)
}

/// The text up to the closing quote, and how long it was with it.
fn unquoted(quoted: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, at + 1)),
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    None
}

/// What a parameter is by any parser: as it stands, by RFC 5987 (`name*`), by RFC 2231 in pieces (`name*0`).
pub(crate) fn values(parameters: &[(String, String)], name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut pieces = String::new();
    for (given, value) in parameters {
        if given == name {
            found.push(value.clone());
        } else if let Some(piece) = given
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('*'))
        {
            let value = value.rsplit('\'').next().unwrap_or(value);
            if piece.is_empty() {
                found.push(value.to_owned());
            } else {
                pieces.push_str(value);
            }
        }
    }
    found.extend(Some(pieces).filter(|pieces| !pieces.is_empty()));
    found
}
