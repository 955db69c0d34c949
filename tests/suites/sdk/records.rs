//! Whether the record of each call says what the provider says that it did.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use simulator::{AnswerRecord, Record, RequestRecord, Simulator};

use crate::table::{Call, Case, Figures, Line};

const UNITS: [&str; 24] = [
    "input_text",
    "input_cached",
    "input_cached_audio",
    "input_cached_image",
    "cache_write_5m",
    "cache_write_30m",
    "cache_write_1h",
    "cache_write",
    "input_audio",
    "input_image",
    "input_video",
    "input_tool_use",
    "output_text",
    "output_reasoning",
    "output_audio",
    "output_image",
    "requests",
    "images",
    "audio_ms",
    "characters",
    "pages",
    "web_search_calls",
    "file_search_calls",
    "code_interpreter_sessions",
];

/// What the provider did for the gateway, by nonce. Direct calls carry a key; the gateway's carry none.
#[derive(Debug, Default)]
pub struct Truth {
    requests: BTreeMap<String, Vec<RequestRecord>>,
    answers: BTreeMap<String, AnswerRecord>,
}

impl Truth {
    pub fn of(simulator: &Simulator) -> Self {
        let mut truth = Self::default();
        for record in simulator.truth().since(0) {
            match record {
                Record::Request(request) if request.api_key_sha256_8.is_none() => {
                    let nonce = request.nonce.as_deref().unwrap_or_default().to_owned();
                    truth.requests.entry(nonce).or_default().push(request);
                }
                Record::Answer(answer) if answer.api_key_sha256_8.is_none() => {
                    let nonce = answer.nonce.as_deref().unwrap_or_default().to_owned();
                    truth.answers.insert(nonce, answer);
                }
                _ => {}
            }
        }
        truth
    }
}

/// Events by what names their call; one each is what a test wants.
pub type Events = BTreeMap<String, Vec<Value>>;

/// The events by nonce; of callers whom nobody knows, by the request's id.
pub fn by_nonce(events: Vec<Value>) -> Events {
    let mut sorted = Events::new();
    for event in events {
        let name = event["labels"]["nonce"]
            .as_str()
            .or(event["request_id"].as_str());
        let name = name.expect("an event has a request's id").to_owned();
        sorted.entry(name).or_default().push(event);
    }
    sorted
}

/// Collects what is not as it should be.
#[derive(Debug, Default)]
struct Faults(Vec<String>);

impl Faults {
    fn expect(&mut self, what: &str, found: &Value, wanted: &Value) {
        if number(found) != *wanted {
            self.0.push(format!("{what} is {found}, not {wanted}"));
        }
    }
}

/// Everything in which the record of a call is wrong.
pub fn faults(line: &Line, call: &Call, case: &Case, event: &Value, truth: &Truth) -> Vec<String> {
    let mut faults = Faults::default();
    let want = &case.record;
    faults.expect("api", &event["api"], &json!(call.recorded));
    faults.expect("outcome", &event["outcome"], &json!(want.outcome));
    faults.expect("status", &event["status"], &json!(want.status));
    faults.expect("count", &event["count"], &json!(1));
    // Values do not always carry their head, and an app that lost patience may have seen none.
    let shows_head = line.kind == "bytes" && want.outcome != "client_aborted";
    if shows_head || line.request_id.is_some() {
        faults.expect("request_id", &event["request_id"], &json!(line.request_id));
    }
    let was_read = want.outcome != "refused_auth" && call.recorded != "models";
    if was_read {
        faults.expect(
            "model_requested",
            &event["model_requested"],
            &json!(line.model),
        );
    }
    // A form that is refused for its model is not read to its end.
    let was_sent = was_read && want.outcome != "refused_invalid";
    if was_sent {
        faults.expect("stream", &event["stream"], &json!(call.streams()));
    }
    let requests = truth.requests.get(&line.nonce).map_or(0, Vec::len);
    let calls = usize::from(was_sent);
    faults.expect("calls to the provider", &json!(requests), &json!(calls));
    let told = told(line, call, truth.answers.get(&line.nonce));
    figures(&mut faults, call, want.units, event, &told);
    if !faults.0.is_empty() {
        faults
            .0
            .push(format!("its detail is {}", event["outcome_detail"]));
    }
    faults.0
}

/// The figures, where they are from, and whether they add up.
fn figures(faults: &mut Faults, call: &Call, want: Figures, event: &Value, told: &[Value]) {
    let (source, lines) = (&event["usage_source"], lines_of(event));
    let (source_wanted, quality_wanted) = match want {
        Figures::None => ("none", None),
        Figures::NotTold => {
            let source = source.as_str().unwrap_or_default();
            let counts = ["chat", "completions", "responses", "embeddings"];
            let fine = match source {
                "estimated" | "partial" => true,
                "none" => !counts.contains(&call.recorded.as_str()),
                _ => false,
            };
            faults.expect(
                &format!("the source {source} right"),
                &json!(fine),
                &json!(true),
            );
            return;
        }
        Figures::Told | Figures::Drained if call.untold.is_some() => ("estimated", Some("missing")),
        // Nothing is charged, so nothing is told.
        Figures::Told | Figures::Drained if told.is_empty() => ("none", None),
        Figures::Told => ("provider", Some("ok")),
        Figures::Drained => ("drained", Some("ok")),
    };
    faults.expect("usage_source", source, &json!(source_wanted));
    if let Some(quality) = quality_wanted {
        faults.expect("usage_quality", &event["usage_quality"], &json!(quality));
    }
    let wanted = if want == Figures::None { &[] } else { told };
    faults.expect("lines", &json!(lines), &json!(wanted));
}

/// What an answer used, as the provider says; and what is counted where it says nothing.
fn told(line: &Line, call: &Call, answer: Option<&AnswerRecord>) -> Vec<Value> {
    if let Some(untold) = &call.untold {
        return vec![json!({"model": line.model, "tier": null, "units": untold.units})];
    }
    let lines = answer.map(|answer| answer.lines.as_slice());
    let lines = lines.unwrap_or_default().iter().map(|used| {
        // These answers name no model, so it is the one that was asked for.
        let is_named = !["images", "audio"].contains(&call.recorded.as_str());
        let model = if is_named {
            Some(&*used.model)
        } else {
            line.model.as_deref()
        };
        json!({"model": model, "tier": used.service_tier, "units": used.units})
    });
    lines.collect()
}

/// What an event says was used, in the same form.
fn lines_of(event: &Value) -> Vec<Value> {
    let units: Map<String, Value> = UNITS
        .iter()
        .filter(|unit| !event[**unit].is_null())
        .map(|unit| ((*unit).to_owned(), number(&event[*unit])))
        .collect();
    if units.is_empty() {
        return Vec::new();
    }
    let mut lines =
        vec![json!({"model": event["model"], "tier": event["service_tier"], "units": units})];
    for (place, units) in event["extra_units"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let units = units.as_object().into_iter().flatten();
        let units: Map<String, Value> = units
            .map(|(unit, count)| (unit.clone(), number(count)))
            .collect();
        let tier = event["extra_service_tiers"][place]
            .as_str()
            .filter(|tier| !tier.is_empty());
        lines.push(json!({"model": event["extra_models"][place], "tier": tier, "units": units}));
    }
    lines
}

/// The engine may put numbers of 64 bits in quotes.
fn number(value: &Value) -> Value {
    let quoted = value.as_str().and_then(|text| text.parse::<i64>().ok());
    quoted.map_or_else(|| value.clone(), |number| json!(number))
}

impl Call {
    fn streams(&self) -> bool {
        self.params["stream"] == true || self.params["stream_format"] == "sse"
    }
}
