//! Target `stream`: bytes of a streamed answer through the meter. The cutting makes no difference; whoever asked for
//! usage gets every byte; whoever did not gets no `usage` member of a whole document and everything else. What follows
//! `[DONE]` passes and means nothing.

use bytes::Bytes;
use gateway::meter::findings::{Findings, TextTally};
use gateway::meter::scan::MAX_USAGE_PLACES;
use gateway::meter::stream::{StreamMeter, UsageFor};

use crate::cuttings::cuttings;
use crate::document::told;
use crate::events::events;
use crate::json::{Member, elements, members};

/// Members that a chunk of usage has beside it. What a chunk has of others must pass.
const ENVELOPE: &[&str] = &[
    "usage",
    "model",
    "service_tier",
    "object",
    "id",
    "created",
    "system_fingerprint",
    "obfuscation",
    "latency_checkpoint",
    "routing",
];

pub(crate) fn check(data: &[u8]) {
    let asked = run(&[data], UsageFor::Client);
    let unasked = run(&[data], UsageFor::UsOnly);
    let apart = run(&[data], UsageFor::UsApart);
    assert_eq!(asked.told, unasked.told, "stripping changes what is found");
    assert_eq!(asked.told, apart.told, "taking apart changes what is found");
    let nulls = run(&[data], UsageFor::UsApartAndNulls);
    assert_eq!(asked.told, nulls.told, "taking nulls changes what is found");
    for (usage_for, whole) in [
        (UsageFor::Client, &asked),
        (UsageFor::UsOnly, &unasked),
        (UsageFor::UsApart, &apart),
        (UsageFor::UsApartAndNulls, &nulls),
    ] {
        for parts in cuttings(data) {
            let cut = run(&parts, usage_for);
            assert_eq!(cut.told, whole.told, "{usage_for:?}, cut as {parts:?}");
            assert!(
                cut.passed.concat() == whole.passed.concat(),
                "{usage_for:?}: what passes differs, cut as {parts:?}"
            );
        }
    }
    assert!(
        asked.passed.concat() == data,
        "a byte was changed for a client that asked"
    );
    let passed = unasked.passed.concat();
    assert!(is_subsequence(&passed, data), "a byte was invented");
    event_by_event(data, &passed);
}

struct Run {
    /// What passed after each part, and at the end.
    passed: Vec<Vec<u8>>,
    told: String,
}

fn run(parts: &[&[u8]], usage_for: UsageFor) -> Run {
    let mut meter = StreamMeter::new(usage_for);
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut passed = Vec::new();
    for part in parts {
        let chunk = Bytes::copy_from_slice(part);
        passed.push(meter.feed(&chunk, &mut found, &mut tally).concat());
    }
    passed.push(meter.finish(&mut found).concat());
    let told = format!("{} cut off: {}", told(&found, &tally), meter.is_cut_off());
    Run { passed, told }
}

fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}

/// Feeds the events that the reference cuts, and judges what passes of each.
fn event_by_event(data: &[u8], passed: &[u8]) {
    let events = events(data);
    let parts: Vec<&[u8]> = events
        .iter()
        .map(|event| &data[event.range.clone()])
        .collect();
    let over = events
        .iter()
        .position(|event| event.data.as_deref().is_some_and(is_done));
    let all = run(&parts, UsageFor::UsOnly);
    assert!(all.passed.concat() == passed, "cut by events");
    let apart = run(&parts, UsageFor::UsApart);
    let nulls = run(&parts, UsageFor::UsApartAndNulls);
    // What ends with CR is told with the next, for LF may belong to it.
    let ends_clean = |at: usize| at == 0 || parts[at - 1].ends_with(b"\n");
    for (at, event) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        if !ends_clean(at) || !(is_last || ends_clean(at + 1)) {
            continue;
        }
        let of = |run: &Run| {
            let last = run.passed.get(at + 1).filter(|_| is_last);
            [run.passed[at].as_slice(), last.map_or(&[], Vec::as_slice)].concat()
        };
        let (passed, apart, nulls) = (of(&all), of(&apart), of(&nulls));
        assert!(
            apart == if passed.is_empty() { &[] } else { parts[at] },
            "an event passes whole or not at all"
        );
        assert!(
            is_subsequence(&passed, &nulls) && is_subsequence(&nulls, &apart),
            "without its nulls an event is between the two"
        );
        if over.is_some_and(|over| at > over) {
            assert!(passed == parts[at], "what follows the end was changed");
            let until_end = run(&parts[..at], UsageFor::UsOnly);
            assert_eq!(until_end.told, all.told, "what follows the end was read");
        } else {
            judge(parts[at], event.data.as_deref(), &passed);
        }
    }
}

/// Whether an event says that the stream is over.
fn is_done(data: &[u8]) -> bool {
    data[..data.len().min(8)].trim_ascii() == b"[DONE]"
}

/// What passed of an event.
fn judge(event: &[u8], document: Option<&[u8]>, passed: &[u8]) {
    let shown = || {
        format!(
            "{:?} became {:?}",
            String::from_utf8_lossy(event),
            String::from_utf8_lossy(passed)
        )
    };
    let Some(document) = document else {
        assert!(
            passed == event,
            "an event without data was changed: {}",
            shown()
        );
        return;
    };
    let Some(members) = members(document) else {
        let is_about_usage = document.windows(7).any(|bytes| bytes == b"\"usage\"");
        assert!(
            is_about_usage || passed == event,
            "an event without usage was changed: {}",
            shown()
        );
        return;
    };
    let others: Vec<&Member<'_>> = members
        .iter()
        .filter(|member| !member.is("usage"))
        .collect();
    if others.len() == members.len() {
        assert!(
            passed == event,
            "an event without usage was changed: {}",
            shown()
        );
        return;
    }
    if passed.is_empty() {
        let has_usage = members
            .iter()
            .any(|member| member.is("usage") && member.raw != "null");
        assert!(
            has_usage && others.iter().all(|other| may_go(other)),
            "an event with more than usage was lost: {}",
            shown()
        );
        return;
    }
    let left = events(passed);
    let [left] = left.as_slice() else {
        panic!("one event must become one event: {}", shown())
    };
    let left = left.data.as_deref().and_then(crate::json::members);
    let Some(left) = left else {
        panic!("a whole document must stay one: {}", shown())
    };
    let shape = |member: &Member<'_>| (member.name.clone(), member.raw.to_owned());
    // No provider is known to send two; of as many as are told, all go.
    let usages = members.len() - others.len();
    let wanted: Vec<_> = if usages > MAX_USAGE_PLACES {
        members.iter().map(shape).collect()
    } else {
        others.into_iter().map(shape).collect()
    };
    let left: Vec<_> = left.iter().map(shape).collect();
    assert_eq!(left, wanted, "{}", shown());
}

/// A member that is lost with a chunk of usage.
fn may_go(member: &Member<'_>) -> bool {
    let is_empty = |raw: &str| match raw.as_bytes().first() {
        Some(b'[') => elements(raw).is_some_and(|elements| elements.is_empty()),
        Some(b'{') => members(raw.as_bytes()).is_some_and(|members| members.is_empty()),
        _ => true,
    };
    member.raw == "null"
        || ENVELOPE.iter().any(|name| member.is(name))
        || member.is("choices") && is_empty(member.raw)
}
