//! The tokenizer against counts that others published.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use simulator::Encoding;

use crate::common::{body, json, start};

#[derive(Deserialize)]
struct Table {
    sources: BTreeMap<String, String>,
    texts: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    source: String,
    text: String,
    cl100k_base: Option<u64>,
    o200k_base: Option<u64>,
}

#[test]
fn published_counts_are_ours() {
    let table: Table = serde_json::from_str(include_str!("token_counts.json")).expect("the table");
    assert!(table.texts.len() >= 50);
    let mut compared = 0;
    for row in &table.texts {
        assert!(table.sources.contains_key(&row.source), "{}", row.source);
        for (encoding, published) in [
            (Encoding::Cl100kBase, row.cl100k_base),
            (Encoding::O200kBase, row.o200k_base),
        ] {
            if let Some(published) = published {
                assert_eq!(
                    encoding.count(&row.text),
                    published,
                    "{encoding:?}: {:?}",
                    row.text
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 90, "{compared}");
}

/// The conversation of the `OpenAI` Cookbook, "How to count tokens with tiktoken", section 6, and what the API
/// itself reported for it there: 129 for gpt-3.5-turbo and gpt-4, 124 for gpt-4o and gpt-4o-mini.
#[tokio::test]
async fn the_chat_template_counts_what_the_real_api_reported() {
    let simulator = start();
    let messages = json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
        {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
        {"role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ]);
    for (model, reported) in [
        ("gpt-3.5-turbo", 129),
        ("gpt-4-0613", 129),
        ("gpt-4", 129),
        ("gpt-4o", 124),
        ("gpt-4o-mini", 124),
    ] {
        let more = json!({"model": model, "messages": messages, "max_tokens": 1});
        let answer = json(&simulator, &body("n", "", more)).await;
        assert_eq!(answer["usage"]["prompt_tokens"], reported, "{model}");
    }
}

/// Special tokens written in a prompt are text like any other.
#[test]
fn the_name_of_a_special_token_is_text() {
    assert!(Encoding::O200kBase.count("<|endoftext|>") > 1);
}
