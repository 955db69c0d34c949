//! A text that was heard, in all its formats and as events.

use std::collections::VecDeque;

use super::{Ask, Format};
use crate::apis::Made;
use crate::apis::plan::{EVENTS, JSON, Plan};
use crate::apis::sound;
use crate::body::Script;
use crate::plain::{Pieces, Plain};
use crate::stream::{Ending, Event, Part, Stream};
use crate::truth::{Unit, Units, UseLine};
use crate::usage::{Usage, UsageMode, UsageShape};

const TEXT: &str = "text/plain; charset=utf-8";
/// A text that was heard stands in memory whole; so many words at the most.
const MAX_WORDS: u64 = 4 * 1024 * 1024;

/// What was heard, and what it costs.
struct Heard {
    ms: u64,
    words: u64,
    usage: Usage,
    shape: UsageShape,
}

pub(in crate::apis) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let heard = hear(plan, ask);
    let (script, content_type) = if plan.streams {
        let events = events(plan, &heard).into_iter();
        let stream = Stream::new(events, Ending::Silent, plan.fate);
        (Script::Stream(Box::new(stream)), EVENTS)
    } else {
        let json = matches!(ask.format, Format::Json | Format::VerboseJson);
        let whole = document(plan, ask, &heard);
        (Script::Plain(whole), if json { JSON } else { TEXT })
    };
    Made {
        script,
        content_type,
        usage: heard.usage,
        lines: vec![UseLine {
            model: plan.served(),
            service_tier: None,
            units: heard.units(),
        }],
    }
}

fn hear(plan: &Plan<'_>, ask: &Ask) -> Heard {
    let ms = plan.fate.content.audio_ms.unwrap_or(ask.file_ms);
    let words = plan.length(None, 1).0.min(MAX_WORDS);
    if !plan.model.served.contains("transcribe") {
        return Heard {
            ms,
            words,
            usage: Usage::default(),
            shape: UsageShape::Seconds(ms.div_ceil(1_000)),
        };
    }
    let audio = sound::in_tokens(ms);
    Heard {
        ms,
        words,
        usage: Usage {
            prompt: plan.counted.tokens + audio,
            completion: words,
            ..Usage::default()
        },
        shape: UsageShape::Transcript { audio },
    }
}

impl Heard {
    /// Whole seconds are what is reported, and what is paid.
    fn units(&self) -> Units {
        match self.shape {
            UsageShape::Transcript { audio } => Units::default()
                .with(Unit::InputText, self.usage.prompt - audio)
                .with_part(Unit::InputAudio, audio)
                .with(Unit::OutputText, self.usage.completion),
            _ => Units::default().with(Unit::AudioMs, self.ms.div_ceil(1_000) * 1_000),
        }
    }
}

fn document(plan: &Plan<'_>, ask: &Ask, heard: &Heard) -> Plain {
    let mut pieces = Pieces::default();
    let counted = heard.usage.completion > 0;
    let (before, after) = frame(ask, heard);
    pieces.bytes(before);
    if counted {
        pieces.text(plan.text(0), heard.words, 0);
    } else {
        pieces.filling(plan.text(0), heard.words, 0);
    }
    pieces.bytes(after);
    pieces.before_usage();
    if matches!(ask.format, Format::Json | Format::VerboseJson) {
        if plan.fate.usage != UsageMode::Nowhere {
            let usage = heard.usage.json(heard.shape, plan.fate.bad_usage);
            pieces.usage(format!(",\"usage\":{usage}"));
        }
        pieces.bytes("}");
    }
    Plain::new(pieces, plan.fate)
}

/// What stands before and after the text.
fn frame(ask: &Ask, heard: &Heard) -> (String, String) {
    let (ms, end) = (heard.ms, clock(heard.ms));
    match ask.format {
        Format::Json => ("{\"text\":\"".to_owned(), "\"".to_owned()),
        Format::VerboseJson => {
            let task = if ask.translate {
                "translate"
            } else {
                "transcribe"
            };
            let seconds = format!("{}.{:03}", ms / 1_000, ms % 1_000);
            let before = format!(
                "{{\"task\":\"{task}\",\"language\":\"english\",\"duration\":{seconds},\"text\":\""
            );
            let after = format!(
                "\",\"segments\":[{{\"id\":0,\"seek\":0,\"start\":0.0,\"end\":{seconds},\"text\":\"\",\"tokens\":[],\
                 \"temperature\":0.0,\"avg_logprob\":-0.3,\"compression_ratio\":1.2,\"no_speech_prob\":0.01}}]"
            );
            (before, after)
        }
        Format::Text => (String::new(), "\n".to_owned()),
        Format::Srt => {
            let end = end.replace('.', ",");
            (format!("1\n00:00:00,000 --> {end}\n"), "\n\n".to_owned())
        }
        Format::Vtt => {
            let before = format!("WEBVTT\n\n00:00:00.000 --> {end}\n");
            (before, "\n\n".to_owned())
        }
    }
}

/// `00:00:37.000`.
fn clock(ms: u64) -> String {
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!(
        "{:02}:{:02}:{seconds:02}.{ms:03}",
        minutes / 60,
        minutes % 60
    )
}

fn events(plan: &Plan<'_>, heard: &Heard) -> VecDeque<Event> {
    let each = crate::stream::tokens_per_event(&plan.fate.shape);
    let text = plan.text(0);
    let (mut events, mut start) = (VecDeque::new(), 0);
    while start < heard.words {
        let count = each.min(heard.words - start);
        let mut json = b"{\"type\":\"transcript.text.delta\",\"delta\":\"".to_vec();
        text.write(&mut json, start, count);
        json.extend_from_slice(b"\"}");
        events.push_back(Event::new(json, Part::Content).counted(count));
        start += count;
    }
    let done = format!(
        "{{\"type\":\"transcript.text.done\",\"text\":\"{}\"",
        text.string(heard.words)
    );
    events.push_back(if plan.fate.usage == UsageMode::Reported {
        let usage = heard.usage.json(heard.shape, plan.fate.bad_usage);
        Event::new(format!("{done},\"usage\":{usage}}}"), Part::Usage)
    } else {
        Event::new(format!("{done}}}"), Part::Close)
    });
    events
}
