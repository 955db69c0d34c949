//! What the simulator's tests share: starting one, asking it, reading a stream.

use serde_json::{Value, json};
use simulator::{Config, Record, Simulator};

/// A simulator on a free port.
pub(crate) fn start() -> Simulator {
    Simulator::start(Config::default()).expect("a free port")
}

/// A client that follows no redirects and pools nothing between tests.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}

/// A chat body with a nonce, an order and further members.
pub(crate) fn body(nonce: &str, order: &str, more: impl Into<Value>) -> Value {
    let mut body = json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hello world"}],
        "metadata": {"nonce": nonce, "sim": order},
    });
    let object = body.as_object_mut().expect("an object");
    object.extend(more.into().as_object().expect("an object").clone());
    body
}

/// Posts a chat body.
pub(crate) async fn chat(
    simulator: &Simulator,
    body: &Value,
) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/chat/completions", simulator.base_url());
    client()
        .post(url)
        .bearer_auth("sk-test")
        .json(body)
        .send()
        .await
}

/// Posts and reads a text whole.
pub(crate) async fn text(simulator: &Simulator, body: &Value) -> String {
    chat(simulator, body)
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a whole body")
}

/// Posts and reads JSON.
pub(crate) async fn json(simulator: &Simulator, body: &Value) -> Value {
    serde_json::from_str(&text(simulator, body).await).expect("JSON")
}

/// The JSON events of a stream, without `[DONE]`.
pub(crate) fn events(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

/// The text of a stream's first choice.
pub(crate) fn content(events: &[Value]) -> String {
    let deltas = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    deltas.collect()
}

/// The answers in the truth.
pub(crate) fn answers(simulator: &Simulator) -> Vec<simulator::AnswerRecord> {
    let lines = simulator.truth().since(0).into_iter();
    lines
        .filter_map(|line| {
            if let Record::Answer(answer) = line {
                Some(answer)
            } else {
                None
            }
        })
        .collect()
}

/// Waits until the truth has so many answers.
pub(crate) async fn answers_at_least(
    simulator: &Simulator,
    count: usize,
) -> Vec<simulator::AnswerRecord> {
    let waiting = async {
        loop {
            let answers = answers(simulator);
            if answers.len() >= count {
                return answers;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
        .await
        .expect("the answers' lines")
}

/// The units of the last answer in the truth, of its only model.
pub(crate) fn units(simulator: &Simulator) -> Value {
    let answer = answers(simulator).pop().expect("an answer");
    assert_eq!(answer.lines.len(), 1, "{answer:?}");
    serde_json::to_value(&answer.lines[0].units).expect("JSON")
}
