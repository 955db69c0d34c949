//! Heads of HTTP/1.1 (RFC 9112): that of a request as it is written, and that of an answer out of what has come. Pure.

use std::mem::MaybeUninit;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header,
};
use bytes::Bytes;

use super::decode::{Decoder, Malformed};

/// An answer with more headers is none.
const MOST_HEADERS: usize = 100;
/// So long is a line of a head, more or less.
const LINE_BYTES: usize = 48;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub response: Response<()>,
    pub body: Decoder,
    /// The connection may serve another call when the body has come.
    pub keeps: bool,
}

/// What begins with what has come.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is not whole.
    Part,
    /// So many bytes that say nothing of the answer: it is still to come (1xx).
    Interim(usize),
    /// The head, in so many bytes.
    Whole(usize, Box<Head>),
}

/// Reads what has come of an answer.
pub(super) fn parse(came: &[u8]) -> Result<Begun, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let length = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, came, &mut headers)
        .map_err(|_| Malformed)?;
    let httparse::Status::Complete(length) = length else {
        return Ok(Begun::Part);
    };
    let status = parsed.code.ok_or(Malformed)?;
    let status = StatusCode::from_u16(status).map_err(|_| Malformed)?;
    // Nobody asked for another protocol.
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Malformed);
    }
    if status.is_informational() {
        return Ok(Begun::Interim(length));
    }
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = owned(came, length, parsed.headers)?;
    let body = body_of(&response)?;
    // A length beside chunks says nothing, and whoever believes it sees another end (RFC 9112, 6.3).
    let is_ambiguous = response.headers().contains_key(header::TRANSFER_ENCODING)
        && response
            .headers_mut()
            .remove(header::CONTENT_LENGTH)
            .is_some();
    let keeps = keeps(version, response.headers()) && !is_ambiguous && body != Decoder::UntilClose;
    Ok(Begun::Whole(
        length,
        Box::new(Head {
            response,
            body,
            keeps,
        }),
    ))
}

/// The headers, all of them in one copy of the head.
fn owned(
    came: &[u8],
    length: usize,
    parsed: &[httparse::Header<'_>],
) -> Result<HeaderMap, Malformed> {
    let head = Bytes::copy_from_slice(came.get(..length).ok_or(Malformed)?);
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for line in parsed {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
        let begin = (line.value.as_ptr() as usize).wrapping_sub(came.as_ptr() as usize);
        let value = match begin.checked_add(line.value.len()) {
            Some(end) if end <= head.len() => head.slice(begin..end),
            // An empty one may stand anywhere.
            _ => Bytes::copy_from_slice(line.value),
        };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// How the body of an answer to a POST ends (RFC 9112, 6.3).
fn body_of(response: &Response<()>) -> Result<Decoder, Malformed> {
    if matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        return Ok(Decoder::Length(0));
    }
    let headers = response.headers();
    if let Some(last) = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .next_back()
    {
        // That version has no chunks: where the body ends, two readers would see differently.
        if response.version() == Version::HTTP_10 {
            return Err(Malformed);
        }
        let is_chunked = words(last)
            .next_back()
            .is_some_and(|word| word.eq_ignore_ascii_case("chunked"));
        return Ok(if is_chunked {
            Decoder::chunked()
        } else {
            Decoder::UntilClose
        });
    }
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for word in value.as_bytes().split(|byte| *byte == b',') {
            let said = digits(word.trim_ascii()).ok_or(Malformed)?;
            if *length.get_or_insert(said) != said {
                return Err(Malformed);
            }
        }
    }
    Ok(length.map_or(Decoder::UntilClose, Decoder::Length))
}

fn digits(text: &[u8]) -> Option<u64> {
    let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_digits)?;
    text.parse().ok()
}

/// The words of a list.
fn words(value: &HeaderValue) -> impl DoubleEndedIterator<Item = &str> {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(str::trim)
}

/// Whether a connection may be used again.
fn keeps(version: Version, headers: &HeaderMap) -> bool {
    if closes(headers) {
        return false;
    }
    version == Version::HTTP_11 || connection(headers, "keep-alive")
}

fn closes(headers: &HeaderMap) -> bool {
    connection(headers, "close")
}

fn connection(headers: &HeaderMap, wanted: &str) -> bool {
    let mut said = headers.get_all(header::CONNECTION).iter();
    said.any(|value| words(value).any(|word| word.eq_ignore_ascii_case(wanted)))
}

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
}

/// The bytes of a request's head, with room for `more`; and whether it asks for the end of the connection.
pub(super) fn write<B>(request: &Request<B>, length: Length, more: usize) -> (Vec<u8>, bool) {
    let headers = request.headers();
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let before = if path.starts_with('/') { "" } else { "/" };
    let mut head = Vec::with_capacity(path.len() + (headers.len() + 3) * LINE_BYTES + more);
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(before.as_bytes());
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        // Its length is said here alone.
        if matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match length {
        Length::Known(bytes) => {
            head.extend_from_slice(b"content-length: ");
            head.extend_from_slice(HeaderValue::from(bytes).as_bytes());
        }
        Length::Chunked => head.extend_from_slice(b"transfer-encoding: chunked"),
    }
    head.extend_from_slice(b"\r\n\r\n");
    (head, closes(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Option<(usize, Head)> {
        match parse(text.as_bytes()) {
            Ok(Begun::Whole(length, head)) => Some((length, *head)),
            _ => None,
        }
    }

    fn framing(lines: &str) -> Result<(Decoder, bool), Malformed> {
        match parse(format!("{lines}\r\n\r\n").as_bytes())? {
            Begun::Whole(_, head) => Ok((head.body, head.keeps)),
            other => panic!("{lines:?}: {other:?}"),
        }
    }

    #[test]
    fn a_head_is_read_with_all_its_lines_and_no_byte_more() {
        let text =
            "HTTP/1.1 429 Slow Down\r\nA: 1\r\nb:\r\na:  two \r\ncontent-length: 2\r\n\r\n{}";
        let (length, head) = whole(text).expect("a head");
        assert_eq!(&text[length..], "{}");
        assert_eq!(head.response.status(), 429);
        assert_eq!((head.body, head.keeps), (Decoder::Length(2), true));
        let headers = head.response.headers();
        let all: Vec<_> = headers.get_all("a").iter().collect();
        assert_eq!(all, ["1", "two"]);
        assert_eq!(headers["b"], "");
        for cut in 0..length {
            let part = parse(&text.as_bytes()[..cut]);
            assert!(matches!(part, Ok(Begun::Part)), "{cut}: {part:?}");
        }
    }

    #[test]
    fn what_is_said_of_the_body_decides_where_it_ends_and_whether_the_connection_goes_on() {
        let of = |length| Decoder::Length(length);
        for (lines, body, keeps) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 7", of(7), true),
            (
                "HTTP/1.1 200\r\ncontent-length: 7, 7\r\ncontent-length: 07",
                of(7),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nConnection: x, Close",
                of(7),
                false,
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 7", of(7), false),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: Keep-Alive",
                of(7),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\nconnection: keep-alive",
                of(7),
                false,
            ),
            ("HTTP/1.1 204 No Content", of(0), true),
            (
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 9",
                of(0),
                true,
            ),
            ("HTTP/1.1 200 OK", Decoder::UntilClose, false),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked",
                Decoder::chunked(),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\ncontent-length: 3",
                Decoder::chunked(),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 3",
                Decoder::UntilClose,
                false,
            ),
        ] {
            assert_eq!(framing(lines), Ok((body, keeps)), "{lines:?}");
        }
        for lines in [
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ncontent-length: 8",
            "HTTP/1.1 200 OK\r\ncontent-length: -1",
            "HTTP/1.1 200 OK\r\ncontent-length: +1",
            "HTTP/1.1 200 OK\r\ncontent-length: 0x1",
            "HTTP/1.1 200 OK\r\ncontent-length: ",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x",
            "HTTP/1.1 200 OK\r\na: b\r\n folded",
            "HTTP/1.1 200 OK\r\na b: c",
            "HTTP/2 200 OK",
            "SSH-2.0-x",
        ] {
            assert_eq!(framing(lines), Err(Malformed), "{lines:?}");
        }
        let many = format!("HTTP/1.1 200 OK{}", "\r\na: b".repeat(MOST_HEADERS + 1));
        assert_eq!(framing(&many), Err(Malformed));
    }

    #[test]
    fn interim_answers_are_no_answers() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let mut rest = text.as_bytes();
        let mut interim = 0;
        let status = loop {
            match parse(rest).expect("well formed") {
                Begun::Interim(length) => rest = &rest[length..],
                Begun::Whole(_, head) => break head.response.status(),
                Begun::Part => panic!("it is all there"),
            }
            interim += 1;
        };
        assert_eq!((interim, status), (2, StatusCode::OK));
    }

    #[test]
    fn a_request_says_its_length_once_and_whether_it_is_the_last() {
        let mut request = Request::post("/v1/x?y=z").body(()).expect("a request");
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("provider"));
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_static("2"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("9"));
        let (head, closes) = write(&request, Length::Known(3), 0);
        assert_eq!(
            String::from_utf8(head).expect("text"),
            "POST /v1/x?y=z HTTP/1.1\r\nhost: provider\r\na: 1\r\na: 2\r\ncontent-length: 3\r\n\r\n"
        );
        assert!(!closes);
        let last = HeaderValue::from_static("close");
        request.headers_mut().insert(header::CONNECTION, last);
        let (head, closes) = write(&request, Length::Chunked, 0);
        let head = String::from_utf8(head).expect("text");
        assert!(
            head.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"),
            "{head}"
        );
        assert!(!head.contains("content-length"), "{head}");
        assert!(closes);
    }
}
