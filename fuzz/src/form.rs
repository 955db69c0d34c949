//! Target `form`: bytes of a form with the boundary `xyz`. The cutting makes no difference; what is accepted names the
//! model, the stream and the count that any other parser finds, once each.

use gateway::door::{Asked, Bound, DoorError, FormScan};

use crate::cuttings::cuttings;
use crate::parts::{Part, parts};

const BOUNDARY: &str = "xyz";

pub(crate) fn check(data: &[u8]) {
    let whole = read(&[data]);
    for cut in cuttings(data) {
        assert_eq!(read(&cut), whole, "cut as {cut:?}");
    }
    let Ok(read) = whole else { return };
    let parts = parts(data, BOUNDARY);
    assert_eq!(field(&parts, "model"), read.asked.model, "model");
    assert_eq!(
        read.model.as_ref().map(|(model, _)| model),
        read.asked.model.as_ref()
    );
    if let Some((model, place)) = &read.model {
        assert_eq!(
            &data[place.clone()],
            model.as_bytes(),
            "the place of the model"
        );
    }
    let stream = field(&parts, "stream");
    let is_true =
        stream.is_some_and(|stream| ["true", "1"].contains(&stream.to_lowercase().as_str()));
    assert_eq!(read.asked.stream, is_true, "stream");
    let n = field(&parts, "n").map(|n| n.parse::<i64>().expect("`n` is a number"));
    assert_eq!(read.asked.count(Bound::N), n, "n");
    assert!(n.is_none_or(|n| n >= 0), "n is negative");
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    asked: Asked,
    model: Option<(String, std::ops::Range<usize>)>,
}

fn read(cut: &[&[u8]]) -> Result<Read, DoorError> {
    let mut scan = FormScan::new(BOUNDARY);
    for part in cut {
        scan.feed(part)?;
    }
    scan.finish()?;
    let place = |at: u64| usize::try_from(at).expect("a place in the bytes given");
    let model = scan
        .model()
        .map(|(model, at)| (model.to_owned(), place(at.start)..place(at.end)));
    Ok(Read {
        asked: scan.asked(),
        model,
    })
}

/// The one value of a field, by whatever parser.
fn field(parts: &[Part<'_>], name: &str) -> Option<String> {
    let is_named = |part: &&Part<'_>| {
        part.names
            .iter()
            .any(|given| given.eq_ignore_ascii_case(name))
    };
    let mut named = parts.iter().filter(is_named);
    let part = named.next()?;
    assert!(named.next().is_none(), "two parts are `{name}`");
    assert_eq!(part.names, [name], "the part has more than one name");
    assert!(!part.is_file, "`{name}` is a file");
    Some(String::from_utf8(part.content.to_vec()).expect("a value that is read is text"))
}
