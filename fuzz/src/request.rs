//! Target `request`: a JSON body at the door. The first byte names the endpoint, the second what is to change; the rest
//! is the body. What is accepted says the same to a reader whose first member wins and to one whose last does, whatever
//! the case of names; what goes to the provider is the same object but for what was to change.

use bytes::Bytes;
use gateway::door::{Asked, Changes, read_json};
use gateway::endpoint::Endpoint;

use crate::json::{Member, elements, members};

/// Nesting that the door allows by default.
const MAX_DEPTH: usize = 128;
/// The model's name at the provider: one that must be escaped.
const MODEL: &str = "up\"stream";

pub(crate) fn check(data: &[u8]) {
    let [endpoint, changes, body @ ..] = data else {
        return;
    };
    let all: Vec<Endpoint> = Endpoint::all().collect();
    let endpoint = all[usize::from(*endpoint) % all.len()];
    let Ok(asked) = read_json(endpoint, body, MAX_DEPTH) else {
        return;
    };
    let Some(members) = members(body) else {
        panic!("what was accepted is no object")
    };
    agrees(endpoint, &members, &asked);
    if endpoint == Endpoint::Responses {
        names_nothing_at_the_provider(&members);
    }
    let body = Bytes::copy_from_slice(body);
    assert_eq!(
        asked.upstream_body(&body, &Changes::default()),
        body,
        "nothing was to change"
    );
    splices(endpoint, &members, &asked, &body, *changes);
}

/// The value that every reader finds: no name twice, in whatever case or with whatever escapes.
fn only<'a>(members: &[Member<'a>], name: &str) -> Option<&'a str> {
    let mut named = members
        .iter()
        .filter(|member| member.name.eq_ignore_ascii_case(name));
    let member = named.next()?;
    assert!(
        named.next().is_none(),
        "two readers find two values of `{name}`"
    );
    assert_eq!(
        member.name, name,
        "a reader that ignores case finds `{name}`"
    );
    Some(member.raw).filter(|raw| *raw != "null")
}

fn agrees(endpoint: Endpoint, members: &[Member<'_>], asked: &Asked) {
    let model = only(members, "model")
        .map(|raw| serde_json::from_str::<String>(raw).expect("a model is a text"));
    assert_eq!(asked.model, model, "model");
    let speech_streams = |format| format == "\"sse\"";
    let is_speech = endpoint == Endpoint::Speech;
    let format = is_speech.then(|| only(members, "stream_format")).flatten();
    let stream = format.map_or_else(|| only(members, "stream") == Some("true"), speech_streams);
    assert_eq!(asked.stream, stream, "stream");
    for count in &asked.counts {
        let given = only(members, count.name)
            .map(|raw| raw.parse::<i64>().expect("a count is a whole number"));
        assert_eq!(count.value, given, "{}", count.name);
        assert!(
            count.value.is_none_or(|value| value >= 0),
            "{} is below zero",
            count.name
        );
    }
    if endpoint.has_stream_options() {
        let options =
            only(members, "stream_options").and_then(|raw| crate::json::members(raw.as_bytes()));
        let wanted = options.is_some_and(|options| only(&options, "include_usage") == Some("true"));
        assert_eq!(asked.asks_usage, wanted, "include_usage");
    }
    if endpoint == Endpoint::Speech {
        let input: Option<String> =
            only(members, "input").and_then(|raw| serde_json::from_str(raw).ok());
        let characters = input.and_then(|input| i64::try_from(input.chars().count()).ok());
        assert_eq!(asked.characters, characters, "characters");
    }
}

fn names_nothing_at_the_provider(members: &[Member<'_>]) {
    for name in ["previous_response_id", "conversation"] {
        assert_eq!(only(members, name), None, "{name}");
    }
    assert_ne!(only(members, "background"), Some("true"));
    let items = only(members, "input")
        .and_then(elements)
        .unwrap_or_default();
    for item in items {
        let Some(item) = crate::json::members(item.as_bytes()) else {
            continue;
        };
        let kind = only(&item, "type").and_then(|raw| serde_json::from_str::<String>(raw).ok());
        assert_ne!(kind.as_deref(), Some("item_reference"));
        assert!(
            kind.is_some() || item.len() != 1 || only(&item, "id").is_none(),
            "a bare reference"
        );
    }
}

/// Members in their order: the name, the value.
type Shape = Vec<(String, String)>;

fn shape(members: &[Member<'_>]) -> Shape {
    members
        .iter()
        .map(|member| (member.name.clone(), member.raw.to_owned()))
        .collect()
}

fn put(shape: &mut Shape, name: &str, value: &str) {
    match shape.iter_mut().find(|(given, _)| given == name) {
        Some((_, old)) => value.clone_into(old),
        None => shape.push((name.to_owned(), value.to_owned())),
    }
}

fn splices(endpoint: Endpoint, members: &[Member<'_>], asked: &Asked, body: &Bytes, flags: u8) {
    let names: &[&'static str] = match endpoint {
        Endpoint::Chat => &["max_completion_tokens", "n"],
        Endpoint::Completions => &["max_tokens", "best_of"],
        _ => &[],
    };
    let counts: Vec<(&'static str, i64)> = names.iter().map(|name| (*name, 7)).collect();
    let changes = Changes {
        model: (flags & 1 != 0).then_some(MODEL),
        ask_usage: flags & 2 != 0 && endpoint.has_stream_options(),
        counts: if flags & 4 != 0 { &counts } else { &[] },
    };
    let mut wanted = shape(members);
    if let Some(model) = changes.model {
        put(
            &mut wanted,
            "model",
            &serde_json::Value::from(model).to_string(),
        );
    }
    for (name, bound) in changes.counts {
        put(&mut wanted, name, &bound.to_string());
    }
    let spliced = asked.upstream_body(body, &changes);
    let Some(spliced) = crate::json::members(&spliced) else {
        panic!(
            "what goes to the provider is no object: {:?}",
            String::from_utf8_lossy(&spliced)
        )
    };
    let mut found = shape(&spliced);
    if changes.ask_usage && asked.stream && !asked.asks_usage {
        asks_usage(&mut found, &mut wanted);
    }
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "what goes to the provider");
}

/// Takes the options out of both, when they ask for usage and are the same for the rest.
fn asks_usage(found: &mut Shape, wanted: &mut Shape) {
    let take = |shape: &mut Shape| {
        let at = shape
            .iter()
            .position(|(name, _)| name == "stream_options")?;
        let (_, raw) = shape.remove(at);
        members(raw.as_bytes()).map(|members| self::shape(&members))
    };
    let mut before = take(wanted).unwrap_or_default();
    let Some(mut after) = take(found) else {
        panic!("usage is not asked for")
    };
    put(&mut before, "include_usage", "true");
    before.sort();
    after.sort();
    assert_eq!(after, before, "the options of the stream");
}
