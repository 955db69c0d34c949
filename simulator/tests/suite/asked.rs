//! Requests of every API, ready to be sent.

use serde_json::{Value, json};
use simulator::{Api, Simulator};

use crate::common::client;

/// A request of one API: its path under the base, its type and body.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: &'static str,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A JSON body.
    pub(crate) fn json(path: &'static str, body: &Value) -> Self {
        Self {
            path,
            content_type: "application/json".to_owned(),
            body: serde_json::to_vec(body).expect("JSON"),
        }
    }

    /// A form of fields and one file.
    pub(crate) fn form(path: &'static str, fields: &[(&str, &str)], file: (&str, &[u8])) -> Self {
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend_from_slice(
                format!(
                    "--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .as_bytes(),
            );
        }
        let (name, bytes) = file;
        body.extend_from_slice(
            format!(
                "--cut\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.bin\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        Self {
            path,
            content_type: "multipart/form-data; boundary=cut".to_owned(),
            body,
        }
    }

    /// Posts it to a base (`http://…/v1`) with an order and a nonce.
    pub(crate) async fn post(
        &self,
        base: &str,
        nonce: &str,
        order: &str,
    ) -> reqwest::Result<reqwest::Response> {
        client()
            .post(format!("{base}{}", self.path))
            .bearer_auth("sk-test")
            .header("content-type", &self.content_type)
            .header("x-client-request-id", nonce)
            .header("x-stainless-sim", order)
            .body(self.body.clone())
            .send()
            .await
    }

    /// Posts to a simulator and reads the text of an answer that is whole.
    pub(crate) async fn text(&self, simulator: &Simulator, order: &str) -> String {
        let response = self.post(&simulator.base_url(), "n", order).await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200, "{} {order}", self.path);
        response.text().await.expect("a whole body")
    }

    /// Posts to a simulator and reads JSON.
    pub(crate) async fn value(&self, simulator: &Simulator, order: &str) -> Value {
        serde_json::from_str(&self.text(simulator, order).await).expect("JSON")
    }
}

impl Asked {
    /// Posts to a simulator and reads an answer whole, text or not.
    pub(crate) async fn text_or_sound(&self, simulator: &Simulator, order: &str) -> Vec<u8> {
        let response = self.post(&simulator.base_url(), "n", order).await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200, "{} {order}", self.path);
        response.bytes().await.expect("a whole body").to_vec()
    }
}

/// One plain request of each API that is posted to.
pub(crate) fn plain() -> Vec<(Api, Asked)> {
    let image = ("image", &b"\x89PNG"[..]);
    let sound = ("file", &[7_u8; 3_200][..]);
    vec![
        (Api::Chat, chat(json!({}))),
        (Api::Completions, completion(json!({}))),
        (
            Api::Embeddings,
            Asked::json(
                "/embeddings",
                &json!({"model": "text-embedding-3-small", "input": "hello world"}),
            ),
        ),
        (Api::Responses, response(json!({}))),
        (Api::ImageGenerations, picture(json!({}))),
        (
            Api::ImageEdits,
            Asked::form(
                "/images/edits",
                &[("model", "gpt-image-1"), ("prompt", "hello world")],
                image,
            ),
        ),
        (
            Api::Transcriptions,
            Asked::form(
                "/audio/transcriptions",
                &[("model", "gpt-4o-transcribe")],
                sound,
            ),
        ),
        (
            Api::Translations,
            Asked::form("/audio/translations", &[("model", "whisper-1")], sound),
        ),
        (Api::Speech, speech(json!({}))),
        (
            Api::Moderations,
            Asked::json("/moderations", &json!({"input": "hello world"})),
        ),
    ]
}

/// One stream of each API that has them.
pub(crate) fn streams() -> Vec<(Api, Asked)> {
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let image = ("image", &b"\x89PNG"[..]);
    let painted = [
        ("model", "gpt-image-1"),
        ("prompt", "a"),
        ("stream", "true"),
        ("partial_images", "2"),
    ];
    let heard = [("model", "gpt-4o-transcribe"), ("stream", "true")];
    vec![
        (Api::Chat, chat(usage.clone())),
        (Api::Completions, completion(usage)),
        (Api::Responses, response(json!({"stream": true}))),
        (
            Api::ImageGenerations,
            picture(json!({"stream": true, "partial_images": 2})),
        ),
        (
            Api::ImageEdits,
            Asked::form("/images/edits", &painted, image),
        ),
        (
            Api::Transcriptions,
            Asked::form("/audio/transcriptions", &heard, ("file", &[7; 3_200])),
        ),
        (Api::Speech, speech(json!({"stream_format": "sse"}))),
    ]
}

pub(crate) fn with(path: &'static str, body: Value, more: Value) -> Asked {
    let (mut body, mut more) = (body, more);
    let members = more.as_object_mut().expect("an object");
    body.as_object_mut().expect("an object").append(members);
    Asked::json(path, &body)
}

pub(crate) fn chat(more: Value) -> Asked {
    let messages = json!([{"role": "user", "content": "hello world"}]);
    with(
        "/chat/completions",
        json!({"model": "gpt-4o", "messages": messages}),
        more,
    )
}

pub(crate) fn completion(more: Value) -> Asked {
    let body = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "hello world"});
    with("/completions", body, more)
}

pub(crate) fn response(more: Value) -> Asked {
    with(
        "/responses",
        json!({"model": "gpt-5", "input": "hello world"}),
        more,
    )
}

pub(crate) fn picture(more: Value) -> Asked {
    with(
        "/images/generations",
        json!({"model": "gpt-image-1", "prompt": "hello world"}),
        more,
    )
}

pub(crate) fn speech(more: Value) -> Asked {
    let body = json!({"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "hello world"});
    with("/audio/speech", body, more)
}
