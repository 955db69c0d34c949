//! What the gateway and its store promise to programs that are not ours: the official clients work unchanged, and a
//! client gets byte for byte what a direct call would have given it.

use simulator::Settings;
use store::{Credentials, DataDir, Endpoint, User};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig, printed, python};

const SECRET: &str = "tg-contract-key";

/// One tenant whose key may use two of the three models.
fn plan() -> Plan {
    let models = ", models = [\"gpt-4o-mini\", \"gpt-4o\"]";
    Plan::default()
        .simulated(&["gpt-4o-mini", "gpt-4o", "gpt-4.1-mini"])
        .tenant("acme", "", &[("acme-1", SECRET, models)])
}

#[tokio::test]
async fn the_official_client_of_the_api_works_unchanged() {
    let rig = Rig::start(plan()).await;
    let mut suite = python("test_sdk.py");
    suite
        .env("TOLLGATE_BASE_URL", rig.url("/v1"))
        .env("TOLLGATE_PROVIDER_URL", rig.simulator.base_url())
        .env("TOLLGATE_API_KEY", SECRET)
        .env("TOLLGATE_MODELS", "gpt-4o-mini,gpt-4o")
        .env("TOLLGATE_FORBIDDEN_MODEL", "gpt-4.1-mini");
    let output = tokio::task::spawn_blocking(move || suite.output()).await;
    let output = output
        .expect("a task ends")
        .expect("the interpreter starts");
    assert!(output.status.success(), "{}", printed(&output));
    let events = rig.events().await;
    let untrue = events.iter().filter(|event| {
        event["outcome"] == "unknown" || event["tenant"] == "" && event["status"] != 401
    });
    assert_eq!(
        untrue.count(),
        0,
        "every call of the suite has a true record"
    );
}

#[tokio::test]
async fn the_official_client_of_the_store_reads_and_changes_nothing() {
    let rig = Rig::start(plan()).await;
    rig.engine(User::Reader).await;
    let data_dir = DataDir::new(rig.data_dir());
    let endpoint = Endpoint::of_running(&data_dir).expect("the engine runs");
    let credentials = Credentials::open_or_create(&data_dir).expect("passwords lie there");
    let mut suite = python("test_clickhouse_connect.py");
    suite
        .env("TOLLGATE_ENGINE_URL", endpoint.url)
        .env("TOLLGATE_ENGINE_USER", User::Reader.name())
        .env(
            "TOLLGATE_ENGINE_PASSWORD",
            credentials.of(User::Reader).expose(),
        );
    let output = tokio::task::spawn_blocking(move || suite.output()).await;
    let output = output
        .expect("a task ends")
        .expect("the interpreter starts");
    assert!(output.status.success(), "{}", printed(&output));
}

/// Every outward form of a stream that the simulator knows, alone and together.
fn shapes() -> Vec<String> {
    let mut shapes = Vec::new();
    for ends in [
        "",
        "crlf",
        "no_done",
        "no_final_blank",
        "crlf,no_done",
        "crlf,no_final_blank",
        "no_done,no_final_blank",
        "crlf,no_done,no_final_blank",
    ] {
        for middle in [
            "",
            "ping=1",
            "ping=3",
            "coalesce",
            "tokens_per_chunk=4",
            "ping=2,coalesce,tokens_per_chunk=2",
        ] {
            shapes.push(
                [ends, middle]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
        for bytes in [1, 2, 3, 5, 7, 16, 61, 256] {
            shapes.push(
                [ends, &format!("write_bytes={bytes}")]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
    }
    // Not `usage=null`: a provider that answers our question by a chunk without choices and without a figure has sent
    // something that a direct call does not have, and it cannot be told from a chunk that one has.
    shapes.extend(
        [
            "finish=stop",
            "finish=length",
            "no_usage",
            "no_stream_usage",
            "json_for_stream",
            "html200",
            "html502",
            "status=400",
            "status=429",
            "status=500",
            "error_event=0",
            "error_event=2",
            "reset_mid=2",
            "reset_before_usage",
            "usage=negative",
            "usage=extra",
            "usage=huge",
            "usage=text",
            "big=300000",
        ]
        .map(str::to_owned),
    );
    shapes
}

/// Status, headers, and whether it ended well.
type Frame = (u16, Vec<(String, String)>, bool);

/// What a client may compare: all but the ids and times that differ from call to call.
fn comparable(answer: &RawAnswer) -> (Frame, String) {
    let own = [
        "date",
        "x-request-id",
        "openai-processing-ms",
        "transfer-encoding",
        "content-length",
        "connection",
    ];
    let is_own = |name: &str| own.contains(&name);
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !is_own(name));
    headers.sort();
    let text = without(&answer.text(), "\"id\":\"chatcmpl-", '"');
    let text = without(&text, "\"created\":", ',');
    ((answer.status, headers, answer.whole), text)
}

/// Takes out what stands between a mark and the next end.
fn without(text: &str, mark: &str, end: char) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(mark);
        out.push_str(part.find(end).map_or(part, |at| &part[at..]));
    }
    out
}

#[tokio::test]
async fn a_client_gets_byte_for_byte_what_a_direct_call_gives() {
    let rig = Rig::start(Plan {
        simulator: Settings {
            default_completion_tokens: 9,
            ..Settings::default()
        },
        ..plan()
    })
    .await;
    let provider = rig.simulator.addr();
    let asks = [
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":null",
        "\"stream\":true, \"stream_options\" : {\"include_usage\": false}",
        "\"stream\":true,\"stream_options\":{}",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
        "\"stream\":true,\"n\":3",
        "\"stream\":false",
    ];
    let (mut compared, mut differing) = (0, Vec::new());
    for (number, shape) in shapes().iter().enumerate() {
        // Every shape is met by a plain stream, and by one of the other ways of asking in turn.
        for ask in [asks[0], asks[1 + number % (asks.len() - 1)]] {
            let body = format!(
                "{{\"model\":\"gpt-4o-mini\",{ask},\"messages\":[{{\"role\":\"user\",\"content\":\"\\u0048ello\"}}],\
                 \"metadata\":{{\"nonce\":\"{number}\",\"sim\":\"{shape}\"}}}}"
            );
            let request = post(
                "/v1/chat/completions",
                &format!("authorization: Bearer {SECRET}\r\ncontent-type: application/json\r\n"),
                body.as_bytes(),
            );
            let direct = send(provider, &[&request]).await;
            let through = send(rig.app(), &[&request]).await;
            let (ours, theirs) = (comparable(&through), comparable(&direct));
            // After a reset the kernel may throw away what was not read yet: then one is the other's beginning.
            let same_text = if shape.starts_with("reset") {
                ours.1.starts_with(&theirs.1) || theirs.1.starts_with(&ours.1)
            } else {
                ours.1 == theirs.1
            };
            if !same_text || ours.0 != theirs.0 {
                differing.push(format!("{shape} asked with {ask}:\n{ours:?}\n{theirs:?}\n"));
            }
            assert!(direct.status > 0, "{shape}: the provider answers");
            compared += 1;
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {compared} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
    let events = rig.events().await;
    assert_eq!(events.len(), compared, "one record a call");
}
