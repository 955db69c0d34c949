//! `audio/speech`: how it is asked and answered, as bytes of sound or as events.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::plan::{self, EVENTS, Made, Plan, Request};
use super::{member, sound};
use crate::body::Script;
use crate::errors::Refusal;
use crate::plain::{Pieces, Plain};
use crate::prompt::Prompt;
use crate::stream::{Ending, Event, Part, Stream};
use crate::truth::{Unit, Units, UseLine};
use crate::usage::{Usage, UsageMode, UsageShape};
use crate::words::Text;

/// Sound is handed over in blocks of this size.
const BLOCK_BYTES: u64 = 16_384;
/// Words of Base64 in an event: 3 KiB of sound.
const EVENT_WORDS: u64 = 1_024;

/// What is asked of a speaker.
#[derive(Debug)]
pub(crate) struct Ask {
    content_type: &'static str,
}

#[derive(Deserialize)]
struct Body {
    input: Option<String>,
    voice: Option<serde_json::Value>,
    response_format: Option<Format>,
    stream_format: Option<StreamFormat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Mp3,
    Opus,
    Aac,
    Flac,
    Wav,
    Pcm,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum StreamFormat {
    Audio,
    Sse,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body = member::own(body)?;
    let input = read.input.ok_or_else(|| Refusal::missing("input"))?;
    if read.voice.is_none() {
        return Err(Refusal::missing("voice"));
    }
    let stream = read.stream_format == Some(StreamFormat::Sse);
    if stream
        && said
            .model
            .as_deref()
            .is_some_and(|m| m.starts_with("tts-1"))
    {
        let message = "stream_format 'sse' is not supported for this model";
        return Err(Refusal::unsupported("stream_format", message));
    }
    let content_type = match read.response_format.unwrap_or(Format::Mp3) {
        Format::Mp3 => "audio/mpeg",
        Format::Opus => "audio/opus",
        Format::Aac => "audio/aac",
        Format::Flac => "audio/flac",
        Format::Wav => "audio/wav",
        Format::Pcm => "audio/pcm",
    };
    Ok(Request {
        model: said.model,
        stream,
        orders: said.orders,
        prompt: Prompt::Text(input),
        ask: plan::Ask::Speech(Ask { content_type }),
    })
}

pub(super) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let ms = sound::out_ms(plan.counted.characters);
    let by_characters = plan.model.served.starts_with("tts-1");
    let usage = if by_characters {
        Usage::default()
    } else {
        Usage {
            prompt: plan.counted.tokens,
            completion: sound::out_tokens(ms),
            ..Usage::default()
        }
    };
    let units = if by_characters {
        Units::default().with(Unit::Characters, plan.counted.characters)
    } else {
        Units::default()
            .with(Unit::InputText, usage.prompt)
            .with(Unit::OutputAudio, usage.completion)
    };
    let bytes = plan.fate.shape.big_bytes.unwrap_or(sound::out_bytes(ms));
    let (script, content_type) = if plan.streams {
        let stream = Stream::new(Events::new(plan, usage, bytes), Ending::Silent, plan.fate);
        (Script::Stream(Box::new(stream)), EVENTS)
    } else {
        let whole = Plain::new(noise(usage, bytes), plan.fate).without_length();
        (Script::Plain(whole), ask.content_type)
    };
    Made {
        script,
        content_type,
        usage,
        lines: vec![UseLine {
            model: plan.served(),
            service_tier: None,
            units,
        }],
    }
}

/// Bytes that are neither text nor anything that can be heard.
fn noise(usage: Usage, bytes: u64) -> Pieces {
    let block: Bytes = (0..=u8::MAX)
        .cycle()
        .take(16_384)
        .collect::<Vec<u8>>()
        .into();
    let (mut pieces, mut left) = (Pieces::default(), bytes);
    while left > BLOCK_BYTES {
        pieces.bytes(block.clone());
        left -= BLOCK_BYTES;
    }
    let rest = usize::try_from(left).unwrap_or(0);
    pieces.counted(block.slice(..rest), usage.completion);
    pieces
}

/// The events of spoken sound.
#[derive(Debug)]
struct Events {
    words: Text,
    start: u64,
    end: u64,
    tokens: u64,
    usage_json: Option<String>,
    over: bool,
}

impl Events {
    fn new(plan: &Plan<'_>, usage: Usage, bytes: u64) -> Self {
        let told = plan.fate.usage == UsageMode::Reported;
        Self {
            words: Text::of_base64(plan.fate.draw),
            start: 0,
            end: bytes.div_ceil(3),
            tokens: usage.completion,
            usage_json: told.then(|| usage.json(UsageShape::Speech, plan.fate.bad_usage)),
            over: false,
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.start < self.end {
            let count = EVENT_WORDS.min(self.end - self.start);
            let mut json = b"{\"type\":\"speech.audio.delta\",\"audio\":\"".to_vec();
            self.words.write(&mut json, self.start, count);
            json.extend_from_slice(b"\"}");
            self.start += count;
            let event = Event::new(json, Part::Content);
            return Some(event.counted(std::mem::take(&mut self.tokens)));
        }
        if std::mem::replace(&mut self.over, true) {
            return None;
        }
        let done = "{\"type\":\"speech.audio.done\"";
        Some(match &self.usage_json {
            Some(usage) => Event::new(format!("{done},\"usage\":{usage}}}"), Part::Usage),
            None => Event::new(format!("{done}}}"), Part::Close),
        })
    }
}
