//! Every answer of the corpus, read by the real readers at many cuttings, gives the record it must give; and
//! each known way to misprice one has a test of its own.
//!
//! `corpus/README.md` says how an entry is written.

mod support;

use gateway::endpoint::Endpoint;
use gateway::meter::dialect::Dialect;
use gateway::meter::stream::UsageFor;
use schemas::Api;
use serde_json::json;
use support::coverage::Coverage;
use support::{Entry, corpus, cuttings, read_whole, units_of};

#[test]
fn the_corpus_is_large_and_every_entry_names_its_source() {
    let corpus = corpus();
    assert!(corpus.len() >= 60, "only {} entries", corpus.len());
    for entry in &corpus {
        assert!(!entry.source().is_empty(), "{} has no source", entry.name);
    }
    for dialect in Dialect::all() {
        let own = corpus.iter().filter(|e| e.dialect == dialect).count();
        assert!(own >= 3, "{} has only {own} entries", dialect.as_str());
    }
}

#[test]
fn every_answer_gives_its_record_at_every_cutting() {
    let mut wrong = Vec::new();
    for entry in corpus() {
        for parts in cuttings(&entry.body) {
            let (passed, told) = entry.read(&parts, UsageFor::Client);
            assert_eq!(passed, entry.body, "{}: a byte was changed", entry.name);
            if told != entry.expected() {
                wrong.push(format!(
                    "{}\n  gives   {told}\n  must be {}",
                    entry.name,
                    entry.expected()
                ));
                break;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Damaged answers: nothing panics, and the cutting still makes no difference.
#[test]
fn a_damaged_answer_gives_the_same_at_every_cutting() {
    for entry in corpus() {
        for seed in 1..=8 {
            let damaged = entry.damaged(seed);
            let whole = damaged.read(&[&damaged.body], UsageFor::UsOnly);
            for parts in cuttings(&damaged.body).into_iter().take(6) {
                assert_eq!(
                    damaged.read(&parts, UsageFor::UsOnly),
                    whole,
                    "{} damaged with seed {seed}:\n{}",
                    entry.name,
                    String::from_utf8_lossy(&damaged.body)
                );
            }
        }
    }
}

#[test]
fn whoever_did_not_ask_gets_the_bytes_of_a_direct_call() {
    let mut stripped = 0;
    for entry in corpus() {
        let Some(direct) = &entry.stripped else {
            continue;
        };
        stripped += 1;
        for parts in cuttings(&entry.body) {
            let (passed, told) = entry.read(&parts, entry.usage_for());
            assert_eq!(
                String::from_utf8_lossy(&passed),
                String::from_utf8_lossy(direct),
                "{}",
                entry.name
            );
            assert_eq!(told, entry.expected(), "{}", entry.name);
        }
    }
    assert!(stripped >= 15, "only {stripped} entries are stripped");
}

/// Endpoint × dialect × mode: what the corpus covers is written down, and what is written down is covered.
#[test]
fn the_coverage_is_written_down() {
    let coverage = Coverage::of_the_corpus();
    for (name, text) in [
        ("COVERAGE.md", coverage.table()),
        ("coverage.json", coverage.json()),
    ] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        if std::env::var_os("TOLLGATE_WRITE_COVERAGE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == text,
            "{name} is old: run the test with TOLLGATE_WRITE_COVERAGE=1 to write it anew"
        );
    }
}

/// No endpoint without answers that show how it is metered.
#[test]
fn every_endpoint_has_answers_in_each_of_its_modes() {
    let coverage = Coverage::of_the_corpus();
    for endpoint in Endpoint::all() {
        let count = coverage.count(endpoint, Dialect::OpenAi);
        let path = endpoint.path();
        assert!(count.plain > 0, "{path} has no document in the corpus");
        assert_eq!(
            count.stream > 0,
            endpoint.streams(),
            "{path} has {} streams in the corpus",
            count.stream
        );
    }
    for entry in corpus() {
        assert_eq!(entry.api(), entry.endpoint().api(), "{}", entry.name);
    }
}

/// The units of the one line of an entry of the corpus.
fn units(name: &str) -> serde_json::Value {
    units_of(&Entry::find(name))
}

#[test]
fn mispricing_cached_tokens_twice() {
    // A million in, of which 910,000 cached: 90,000 at the full price and 910,000 at the cached one.
    let usage = json!({"prompt_tokens": 1_000_000, "completion_tokens": 10, "total_tokens": 1_000_010,
        "prompt_tokens_details": {"cached_tokens": 910_000}});
    let units = read_whole("openai", Api::Chat, &json!({ "usage": usage }));
    assert_eq!(
        units,
        json!([{"input_text": 90_000, "input_cached": 910_000, "output_text": 10}])
    );
    // Told under two names it is still one.
    assert_eq!(units_of(&Entry::find("deepseek/chat"))["input_cached"], 320);
}

#[test]
fn mispricing_reasoning_tokens_twice() {
    let told = units("openai/chat-reasoning");
    assert_eq!(
        told["output_text"].as_i64().unwrap() + told["output_reasoning"].as_i64().unwrap(),
        735
    );
}

#[test]
fn mispricing_reasoning_tokens_never() {
    assert_eq!(units("xai/chat")["output_reasoning"], 228);
    assert_eq!(units("google/chat-thinking")["output_reasoning"], 30);
}

#[test]
fn mispricing_missing_as_zero() {
    for name in [
        "openai/usage-absent",
        "openai/usage-null",
        "openai/usage-empty",
    ] {
        let entry = Entry::find(name);
        assert_eq!(entry.told()["lines"], json!([]), "{name}");
        assert_eq!(entry.told()["quality"], "missing", "{name}");
    }
    assert_eq!(units("openai/usage-one-side"), json!({"input_text": 4}));
}

#[test]
fn mispricing_zero_as_missing() {
    assert_eq!(
        units("openai/usage-zero"),
        json!({"input_text": 0, "output_text": 0})
    );
}

#[test]
fn mispricing_the_first_tier_instead_of_the_last() {
    let entry = Entry::find("openai/chat-tier-changes");
    assert_eq!(entry.told()["lines"][0]["service_tier"], "default");
}

#[test]
fn mispricing_audio_as_text() {
    assert_eq!(
        units("openai/chat-audio-in"),
        json!({"input_text": 12, "input_audio": 69, "output_text": 72})
    );
    assert_eq!(units("openai/transcription-undivided")["input_audio"], 14);
    assert_eq!(units("openai/speech-stream")["output_audio"], 101);
}

#[test]
fn mispricing_several_models_at_one_price() {
    let told = Entry::find("groq/compound").told();
    let models: Vec<_> = told["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["model"].clone())
        .collect();
    assert_eq!(
        models,
        [
            "llama-3.3-70b-versatile",
            "meta-llama/llama-4-scout-17b-16e-instruct"
        ]
    );
    let told = Entry::find("openai/response-image").told();
    assert_eq!(told["lines"][1]["model"], "gpt-image-2");
}

#[test]
fn mispricing_tool_calls_forgotten() {
    assert_eq!(
        units("openai/response-web-search-stream")["web_search_calls"],
        2
    );
    assert_eq!(units("openai/response-file-search")["file_search_calls"], 1);
    let sessions = &units("openai/response-code-interpreter")["code_interpreter_sessions"];
    assert_eq!(*sessions, 1);
    assert_eq!(units("openrouter/web-search")["web_search_calls"], 1);
}

#[test]
fn mispricing_a_cache_write_at_the_read_price() {
    let told = units("openrouter/chat-cache");
    assert_eq!(
        (&told["input_cached"], &told["cache_write"]),
        (&json!(3211), &json!(115))
    );
    assert_eq!(
        units("openai/chat-cache-write")["input_cached"],
        json!(null)
    );
}

#[test]
fn mispricing_an_output_of_an_embedding() {
    assert_eq!(units("openai/embedding"), json!({"input_text": 12}));
}

#[test]
fn mispricing_images_by_token_and_by_piece() {
    assert_eq!(units("openai/image")["images"], json!(null));
    assert_eq!(units("openai/image-by-piece"), json!({"images": 2}));
    assert_eq!(
        Entry::find("openai/response-image").told()["lines"][1]["units"]["images"],
        json!(null)
    );
}

#[test]
fn mispricing_growing_figures_added_up() {
    assert_eq!(units("vllm/stream-continuous")["output_text"], 3);
    assert_eq!(units("openai/stream-two-usages")["output_text"], 336);
}

#[test]
fn mispricing_an_estimate_over_a_report_after_a_verdict() {
    // The usage that follows the filter's verdicts is the report.
    assert_eq!(
        units("azure/verdicts-after-finish"),
        json!({"input_text": 12, "output_text": 3})
    );
}
