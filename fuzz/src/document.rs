//! Target `document`: bytes of an answer through the scan. The cutting makes no difference; of a whole document, `model`,
//! `service_tier`, `usage` and its place are those that a slow reader finds; of doubled names the last wins, and of
//! doubled figures a total is never less than the first of them.

use gateway::meter::findings::{Findings, MAX_USAGE_BYTES, TextTally};
use gateway::meter::scan::{MAX_USAGE_PLACES, Scan};
use gateway::meter::strip::{Stripped, strip};

use crate::cuttings::cuttings;
use crate::json::{Member, members};

/// Longer names are not kept.
const MAX_NAME_BYTES: usize = 256;

pub(crate) fn check(data: &[u8]) {
    let (scan, found, whole) = run(&[data]);
    for parts in cuttings(data) {
        assert_eq!(run(&parts).2, whole, "cut as {parts:?}");
    }
    if let Some(members) = members(data) {
        assert!(scan.is_whole(), "a whole document must be one");
        values(&members, &found);
        usage_places(data, &members, &scan);
    }
}

fn run(parts: &[&[u8]]) -> (Scan, Findings, String) {
    let mut scan = Scan::default();
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    for part in parts {
        scan.feed(part, &mut found, &mut tally);
    }
    let is_whole = scan.is_whole();
    scan.finish(&mut found);
    let place = (scan.usage_places(), scan.is_only_usage(), is_whole);
    let told = format!("{} {place:?}", told(&found, &tally));
    (scan, found, told)
}

/// All that was found, without what is scratch.
pub(crate) fn told(found: &Findings, tally: &TextTally) -> String {
    let mut text = format!("{found:?}");
    if let Some((before, after)) = text.split_once(", pending: [") {
        let after = after.split_once(']').map_or("", |(_, after)| after);
        text = format!(
            "{before}{}",
            after.replace(", pending_too_long: true", ", pending_too_long: false")
        );
    }
    format!(
        "{text} {:?} {} {}",
        tally.text(),
        tally.bytes(),
        tally.rough_tokens()
    )
}

/// The members of the document and of the response that an event wraps, in their order.
fn answer<'a>(document: &[Member<'a>]) -> Vec<Member<'a>> {
    let mut all = Vec::new();
    for member in document {
        all.push(member.clone());
        if member.is("response") {
            all.extend(members(member.raw.as_bytes()).unwrap_or_default());
        }
    }
    all
}

fn values(document: &[Member<'_>], found: &Findings) {
    let all = answer(document);
    let last_text = |name: &str| {
        let texts = all
            .iter()
            .filter(|member| member.is(name) && member.raw.len() <= MAX_NAME_BYTES + 2);
        texts
            .filter_map(Member::text)
            .rfind(|text| !text.is_empty())
            .map(String::into_bytes)
    };
    // A longer one is cut.
    let is_long = |member: &Member<'_>| member.is("model") && member.raw.len() > MAX_NAME_BYTES + 2;
    if !all.iter().any(is_long) {
        assert_eq!(found.model, last_text("model"), "model");
    }
    let model_bytes = found.model.as_ref().map_or(0, Vec::len);
    assert!(model_bytes <= MAX_NAME_BYTES, "{model_bytes} of a model");
    assert_eq!(
        found.service_tier,
        last_text("service_tier"),
        "service_tier"
    );
    let usages = || {
        all.iter()
            .filter(|member| member.is("usage") && member.raw != "null")
    };
    if usages().all(|usage| usage.raw.len() <= MAX_USAGE_BYTES) {
        let mut told = usages();
        let first = told.next().map(|usage| usage.raw.as_bytes());
        match told.next() {
            None => assert_eq!(found.usage.as_deref(), first, "usage"),
            Some(_) => assert!(
                total_of(found.usage.as_deref()) >= total_of(first),
                "a total became less"
            ),
        }
    }
}

/// What an object of figures says of its input, where it says it once.
fn total_of(usage: Option<&[u8]>) -> Option<f64> {
    let mut named = members(usage?)?;
    named.retain(|member| member.name == "prompt_tokens");
    match named.as_slice() {
        [one] => serde_json::from_str(one.raw).ok(),
        _ => None,
    }
}

fn usage_places(document: &[u8], members: &[Member<'_>], scan: &Scan) {
    let places = scan.usage_places();
    let usages = members.iter().filter(|member| member.is("usage")).count();
    assert_eq!(
        places.len(),
        usages.min(MAX_USAGE_PLACES + 1),
        "each usage has a place"
    );
    if usages == 0 || usages > MAX_USAGE_PLACES {
        return;
    }
    let Stripped::Without(gaps) = strip(document, places, false, |_| true) else {
        panic!("usage must be taken out")
    };
    let mut without = document.to_owned();
    for gap in gaps.into_iter().rev() {
        without.drain(gap);
    }
    let shape = |member: &Member<'_>| (member.name.clone(), member.raw.to_owned());
    let others = members.iter().filter(|member| !member.is("usage"));
    let left: Vec<_> = others.map(shape).collect();
    let found =
        crate::json::members(&without).map(|members| members.iter().map(shape).collect::<Vec<_>>());
    assert_eq!(found, Some(left), "what is left without usage");
}
