//! What reasoning and tools leave behind in a response: items, settings, usage of their own.

use serde_json::json;

use crate::apis::plan::Plan;
use crate::fate::Tools;
use crate::truth::{Unit, Units, UseLine};
use crate::usage::Usage;
use std::sync::Arc;

/// The model that makes pictures, and what one costs it: words of ours, pictures of the guide's smallest quality.
const IMAGE_MODEL: &str = "gpt-image-1";
const IMAGE_IN_TOKENS: u64 = 20;
const IMAGE_OUT_TOKENS: u64 = 272;

/// An item that is no message.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    /// Finished.
    pub(super) json: String,
    /// Just begun.
    pub(super) begun: String,
    /// Events between its begin and its end, by name.
    pub(super) events: &'static [&'static str],
}

/// Reasoning and tool calls, in the order in which they happen.
pub(super) fn items(plan: &Plan<'_>, usage: Usage) -> Vec<Item> {
    let mut items = Vec::new();
    let id = |prefix: &str, place: u64| format!("{}{place:02}", plan.id(prefix, 46));
    if usage.reasoning > 0 {
        let id = id("rs_", 0);
        let json = json!({"id": id, "type": "reasoning", "summary": []}).to_string();
        items.push(Item {
            id,
            begun: json.clone(),
            json,
            events: &[],
        });
    }
    let tools = plan.fate.content.tools;
    let container = plan.id("cntr_", 40);
    for call in 0..tools.web_search {
        let action = json!({"action": {"type": "search", "query": "the water"}});
        items.push(item(
            id("ws_", call),
            "web_search_call",
            &action,
            &WEB_SEARCH,
        ));
    }
    for call in 0..tools.file_search {
        let found = json!({"queries": ["the water"], "results": null});
        items.push(item(
            id("fs_", call),
            "file_search_call",
            &found,
            &FILE_SEARCH,
        ));
    }
    for call in 0..tools.code_interpreter {
        let code = json!({"code": "1 + 1", "container_id": container, "outputs": null});
        items.push(item(id("ci_", call), "code_interpreter_call", &code, &CODE));
    }
    for call in 0..tools.image_generation {
        let picture = json!({"quality": "low", "size": "1024x1024", "result": "aW1hZ2U="});
        items.push(item(
            id("ig_", call),
            "image_generation_call",
            &picture,
            &IMAGE,
        ));
    }
    for call in 0..tools.function {
        let made = json!({"call_id": id("call_", call), "name": "look", "arguments": "{}"});
        items.push(item(id("fc_", call), "function_call", &made, &[]));
    }
    items
}

const WEB_SEARCH: [&str; 3] = [
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
    "response.web_search_call.completed",
];
const FILE_SEARCH: [&str; 3] = [
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
];
const CODE: [&str; 3] = [
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.code_interpreter_call.completed",
];
const IMAGE: [&str; 3] = [
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.completed",
];

fn item(id: String, kind: &str, more: &serde_json::Value, events: &'static [&'static str]) -> Item {
    let begun = json!({"id": id, "type": kind, "status": "in_progress"}).to_string();
    let mut done = json!({"id": id, "type": kind, "status": "completed"});
    if let (Some(done), Some(more)) = (done.as_object_mut(), more.as_object()) {
        done.extend(more.clone());
    }
    Item {
        id,
        json: done.to_string(),
        begun,
        events,
    }
}

/// The tools as the response repeats them.
pub(super) fn settings(tools: Tools) -> String {
    let mut settings = Vec::new();
    if tools.web_search > 0 {
        settings.push(json!({"type": "web_search", "search_context_size": "medium"}));
    }
    if tools.file_search > 0 {
        settings.push(json!({"type": "file_search", "vector_store_ids": ["vs_1"]}));
    }
    if tools.code_interpreter > 0 {
        settings.push(json!({"type": "code_interpreter", "container": {"type": "auto"}}));
    }
    if tools.image_generation > 0 {
        settings.push(json!({"type": "image_generation", "model": IMAGE_MODEL, "quality": "low"}));
    }
    if tools.function > 0 {
        settings
            .push(json!({"type": "function", "name": "look", "parameters": {}, "strict": true}));
    }
    json!(settings).to_string()
}

/// The usage that tools report beside the model's.
pub(super) fn usage_member(tools: Tools) -> String {
    if tools.image_generation == 0 && tools.web_search == 0 {
        return String::new();
    }
    let (input, output) = image_tokens(tools);
    let usage = json!({
        "image_gen": {
            "input_tokens": input, "input_tokens_details": {"image_tokens": 0, "text_tokens": input},
            "output_tokens": output, "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
            "total_tokens": input + output,
        },
        "web_search": {"num_requests": tools.web_search},
    });
    format!(",\"tool_usage\":{usage}")
}

/// What was used: the model with its tools, and the model that makes pictures.
pub(super) fn lines(plan: &Plan<'_>, usage: Usage) -> Vec<UseLine> {
    let tools = plan.fate.content.tools;
    let own = UseLine {
        model: plan.served(),
        service_tier: Some(Arc::from(plan.fate.content.service_tier)),
        units: Units::default()
            .with(Unit::InputText, usage.prompt - usage.cached)
            .with_part(Unit::InputCached, usage.cached)
            .with(Unit::OutputText, usage.completion - usage.reasoning)
            .with_part(Unit::OutputReasoning, usage.reasoning)
            .with_part(Unit::WebSearchCalls, tools.web_search)
            .with_part(Unit::FileSearchCalls, tools.file_search)
            .with_part(
                Unit::CodeInterpreterSessions,
                u64::from(tools.code_interpreter > 0),
            ),
    };
    let mut lines = vec![own];
    if tools.image_generation > 0 {
        let (input, output) = image_tokens(tools);
        lines.push(UseLine {
            model: Arc::from(IMAGE_MODEL),
            service_tier: None,
            units: Units::default()
                .with(Unit::InputText, input)
                .with(Unit::OutputText, 0)
                .with(Unit::OutputImage, output),
        });
    }
    lines
}

fn image_tokens(tools: Tools) -> (u64, u64) {
    (
        tools.image_generation * IMAGE_IN_TOKENS,
        tools.image_generation * IMAGE_OUT_TOKENS,
    )
}
