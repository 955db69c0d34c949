//! Connections as bytes, cut anywhere, against what is said of each of their chunked requests.

use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

const PLAIN: &str = "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello";
const BARE: &str = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";
const CHUNKED: &str = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\n";
const BOTH: &str =
    "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n";

/// What is said of each of `count` chunked requests on a connection that brings these pieces.
fn said<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, count: usize) -> Vec<Option<Fault>> {
    let heads = Arc::new(Heads::new());
    let mut follower = Follower::new(heads.clone());
    for piece in pieces {
        follower.follow(piece);
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        header::TRANSFER_ENCODING,
        HeaderValue::from_static("chunked"),
    );
    (0..count).map(|_| heads.take(&headers)).collect()
}

fn said_of(text: &str, count: usize) -> Vec<Option<Fault>> {
    said([text.as_bytes()], count)
}

#[test]
fn two_lengths_are_seen_in_any_order_case_and_shape() {
    for (head, fault) in [
        (
            "transfer-encoding: chunked\r\ncontent-length: 5",
            Fault::TwoLengths,
        ),
        (
            "content-length: 5\r\ntransfer-encoding: chunked",
            Fault::TwoLengths,
        ),
        (
            "tRANSFER-encoding:chunked\r\nCONTENT-length:\t5 ",
            Fault::TwoLengths,
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length:",
            Fault::TwoLengths,
        ),
        (
            "transfer-encoding: chunked\ncontent-length: 5",
            Fault::TwoLengths,
        ),
        (
            "transfer-encoding: gzip, chunked\r\ncontent-length: 5",
            Fault::TwoLengths,
        ),
        ("transfer-encoding: gzip, chunked", Fault::Lost),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            Fault::Lost,
        ),
        ("transfer-encoding: chunked;a=b", Fault::Lost),
    ] {
        let text = format!("POST /a HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n0\r\n\r\n");
        assert_eq!(said_of(&text, 1), [Some(fault)], "{head}");
        let behind = format!("{PLAIN}{CHUNKED}\r\n{text}");
        assert_eq!(said_of(&behind, 3), [None, None, Some(fault)], "{head}");
    }
}

#[test]
fn what_is_no_field_of_the_head_is_none() {
    let looks_alike = format!(
        "POST /content-length:5 HTTP/1.1\r\nx: content-length: 5\r\nx-content-length: 5\r\ncontent-length-x: 5\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{BOTH}\r\n0\r\n\r\n",
        BOTH.len()
    );
    assert_eq!(said_of(&looks_alike, 1), [None]);
    assert_eq!(
        said_of(&format!("{looks_alike}{BOTH}"), 2),
        [None, Some(Fault::TwoLengths)]
    );
}

#[test]
fn behind_what_is_not_followed_nothing_is() {
    for strange in [
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "0\r\nx: y\r\n\r\n",
        "1000000000000000\r\n",
        "\r\n",
        "-1\r\n",
    ] {
        let text =
            format!("POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{strange}{CHUNKED}");
        assert_eq!(said_of(&text, 2), [None, Some(Fault::Lost)], "{strange:?}");
    }
    let odd = "POST /a HTTP/1.1\r\ncontent-length: 5x\r\n\r\n";
    assert_eq!(said_of(&format!("{odd}{CHUNKED}"), 2)[1], Some(Fault::Lost));
}

#[test]
fn a_request_that_is_not_chunked_is_none_of_its_business() {
    let heads = Heads::new();
    assert_eq!(heads.take(&HeaderMap::new()), None);
}

#[test]
fn nothing_is_kept_between_requests() {
    let mut follower = Follower::new(Arc::new(Heads::new()));
    for piece in CHUNKED.as_bytes().chunks(3) {
        follower.follow(piece);
    }
    follower.follow(PLAIN.as_bytes());
    assert_eq!((follower.place, follower.line.capacity()), (Place::Head, 0));
}

proptest! {
    #[test]
    fn any_cutting_says_the_same(
        kinds in proptest::collection::vec(0_usize..4, 0..6),
        sizes in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        let text: String = kinds.iter().map(|kind| [PLAIN, BARE, CHUNKED, BOTH][*kind]).collect();
        let whole = said_of(&text, kinds.len());
        let first = kinds.iter().position(|kind| *kind == 3).unwrap_or(kinds.len());
        let wanted: Vec<_> = (0..kinds.len())
            .map(|at| match at.cmp(&first) {
                std::cmp::Ordering::Less => None,
                std::cmp::Ordering::Equal => Some(Fault::TwoLengths),
                std::cmp::Ordering::Greater => Some(Fault::Lost),
            })
            .collect();
        prop_assert_eq!(&whole, &wanted);
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, others) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        prop_assert_eq!(said(pieces, kinds.len()), wanted);
    }
}
