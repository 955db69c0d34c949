//! Pictures as an answer: one JSON object, or events that show them while they are painted.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::{Ask, IN_TOKENS, PARTIAL_TOKENS, by_tokens};
use crate::apis::Made;
use crate::apis::plan::{EVENTS, JSON, Plan};
use crate::body::Script;
use crate::plain::{Pieces, Plain};
use crate::stream::{Ending, Event, Part, Stream};
use crate::truth::{Unit, Units, UseLine};
use crate::usage::{Usage, UsageMode, UsageShape};
use crate::verdict;
use crate::words::Text;

/// Words of Base64 of a picture, where nobody orders a big one.
const WORDS: u64 = 64;
/// A picture in a stream stands in memory whole; so many words at the most.
const MAX_STREAM_WORDS: u64 = 16 * 1024 * 1024;

pub(in crate::apis) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let streams = plan.streams && by_tokens(plan);
    let shown = if streams { ask.partial_images } else { 0 };
    let each = ask.tokens().unwrap_or(0);
    let usage = if by_tokens(plan) {
        Usage {
            prompt: plan.counted.tokens + ask.images_in * IN_TOKENS,
            completion: ask.images * each + shown * PARTIAL_TOKENS,
            ..Usage::default()
        }
    } else {
        Usage::default()
    };
    let (script, content_type) = if streams {
        let events = events(plan, ask, usage).into_iter();
        let stream = Stream::new(events, Ending::Silent, plan.fate);
        (Script::Stream(Box::new(stream)), EVENTS)
    } else {
        (Script::Plain(plain(plan, ask, usage)), JSON)
    };
    Made {
        script,
        content_type,
        usage,
        lines: vec![UseLine {
            model: plan.served(),
            service_tier: None,
            units: units(plan, ask, usage),
        }],
    }
}

fn units(plan: &Plan<'_>, ask: &Ask, usage: Usage) -> Units {
    if !by_tokens(plan) {
        return Units::default().with(Unit::Images, ask.images);
    }
    let image = ask.images_in * IN_TOKENS;
    Units::default()
        .with(Unit::InputText, usage.prompt - image)
        .with_part(Unit::InputImage, image)
        .with(Unit::OutputImage, usage.completion)
}

fn usage_json(plan: &Plan<'_>, ask: &Ask, usage: Usage) -> Option<String> {
    let image = ask.images_in * IN_TOKENS;
    let told = by_tokens(plan) && plan.fate.usage != UsageMode::Nowhere;
    told.then(|| usage.json(UsageShape::Images { image }, plan.fate.bad_usage))
}

fn plain(plan: &Plan<'_>, ask: &Ask, usage: Usage) -> Plain {
    let mut pieces = Pieces::default();
    let mut pending = format!("{{\"created\":{},\"data\":[", plan.created());
    for image in 0..ask.images {
        pending.push_str(if image == 0 { "{" } else { ",{" });
        if ask.as_url && !by_tokens(plan) {
            let name = plan.id("img-", 24);
            let _ = write!(
                pending,
                "\"url\":\"https://images.example.com/{name}-{image}.png\""
            );
        } else {
            pending.push_str("\"b64_json\":\"");
            pieces.bytes(std::mem::take(&mut pending));
            let tokens = usage.completion / ask.images;
            pieces.filling(picture(plan, image), words(plan, ask.images), tokens);
            pending.push('"');
        }
        pending.push_str(&verdicts(plan));
        pending.push('}');
    }
    pending.push(']');
    if by_tokens(plan) {
        pending.push_str(&look(ask));
    }
    pieces.bytes(pending);
    pieces.before_usage();
    if let Some(usage) = usage_json(plan, ask, usage) {
        pieces.usage(format!(",\"usage\":{usage}"));
    }
    pieces.bytes("}");
    Plain::new(pieces, plan.fate)
}

/// Azure's verdicts on a picture.
fn verdicts(plan: &Plan<'_>) -> String {
    if !plan.is_azure() {
        return String::new();
    }
    format!(
        ",\"prompt_filter_results\":{},\"content_filter_results\":{}",
        verdict::of_prompt(false),
        verdict::of_answer(false)
    )
}

fn look(ask: &Ask) -> String {
    format!(
        ",\"background\":\"opaque\",\"output_format\":\"png\",\"quality\":\"{}\",\"size\":\"{}\"",
        ask.quality, ask.size
    )
}

fn events(plan: &Plan<'_>, ask: &Ask, usage: Usage) -> VecDeque<Event> {
    let kind = if ask.edit {
        "image_edit"
    } else {
        "image_generation"
    };
    let names: [&'static str; 2] = if ask.edit {
        ["image_edit.partial_image", "image_edit.completed"]
    } else {
        [
            "image_generation.partial_image",
            "image_generation.completed",
        ]
    };
    let (created, look) = (plan.created(), look(ask));
    let words = words(plan, ask.images + ask.partial_images).min(MAX_STREAM_WORDS);
    let mut events = VecDeque::new();
    for index in 0..ask.partial_images {
        let json = format!(
            "{{\"type\":\"{kind}.partial_image\",\"b64_json\":\"{}\",\"created_at\":{created},\
             \"partial_image_index\":{index}{look}}}",
            picture(plan, index).string(words)
        );
        let event = Event::new(json, Part::Content).named(names[0]);
        events.push_back(event.counted(PARTIAL_TOKENS));
    }
    let usage_json =
        usage_json(plan, ask, usage).filter(|_| plan.fate.usage == UsageMode::Reported);
    for image in 0..ask.images {
        let last = image + 1 == ask.images;
        let told = usage_json.as_deref().filter(|_| last);
        let usage = told.map_or_else(String::new, |usage| format!(",\"usage\":{usage}"));
        let json = format!(
            "{{\"type\":\"{kind}.completed\",\"b64_json\":\"{}\",\"created_at\":{created}{look}{usage}}}",
            picture(plan, image).string(words)
        );
        let part = if told.is_some() {
            Part::Usage
        } else {
            Part::Close
        };
        let event = Event::new(json, part).named(names[1]);
        events.push_back(event.counted(ask.tokens().unwrap_or(0)));
    }
    events
}

fn picture(plan: &Plan<'_>, image: u64) -> Text {
    Text::of_base64(plan.fate.draw.wrapping_add(image))
}

fn words(plan: &Plan<'_>, images: u64) -> u64 {
    let ordered = plan.fate.shape.big_bytes;
    ordered.map_or(WORDS, |bytes| bytes / images / 4)
}
