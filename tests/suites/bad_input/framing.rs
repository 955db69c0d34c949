//! How requests are framed on a connection: two lengths are refused wherever they stand, and honest chunks pass.

use simulator::Record;
use tests::faulty::{CHAT, Carried, good_body};
use tests::raw::read_to_close;
use tests::{Plan, Rig};

async fn start() -> (Rig, Requests) {
    let carried = Carried::default();
    let plan = Plan::default().simulated(&["gpt-4o-mini"]).tenant(
        "acme",
        "",
        &[("acme-1", &carried.secret, "")],
    );
    let body = good_body("gpt-4o-mini", "", false, "Say something.");
    let requests = Requests {
        key: format!("authorization: Bearer {}\r\n", carried.secret),
        body,
    };
    (Rig::start(plan).await, requests)
}

struct Requests {
    key: String,
    body: String,
}

impl Requests {
    fn with(&self, fields: &str, body: &str) -> Vec<u8> {
        let key = &self.key;
        format!("POST {CHAT} HTTP/1.1\r\nhost: gateway\r\n{key}{fields}\r\n\r\n{body}").into_bytes()
    }

    fn chunks(&self) -> String {
        let (first, second) = self.body.split_at(self.body.len() / 2);
        format!(
            "{:x}\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        )
    }

    fn chunked(&self, fields: &str) -> Vec<u8> {
        let fields = format!("transfer-encoding: chunked{fields}");
        self.with(&fields, &self.chunks())
    }

    fn plain(&self) -> Vec<u8> {
        self.with(&format!("content-length: {}", self.body.len()), &self.body)
    }
}

/// The statuses of the answers on a connection that brings these pieces, and all that was answered.
async fn exchange(rig: &Rig, pieces: &[&[u8]]) -> (Vec<u16>, String) {
    let text = read_to_close(rig.app(), pieces).await;
    let answers = text.split("HTTP/1.1 ").skip(1);
    let statuses = answers.filter_map(|answer| answer.get(..3)?.parse().ok());
    (statuses.collect(), text)
}

/// How many calls reached the provider.
fn upstream_calls(rig: &Rig) -> usize {
    let truth = rig.simulator.truth().since(0);
    let calls = truth.iter();
    calls
        .filter(|record| matches!(record, Record::Request(_)))
        .count()
}

#[tokio::test]
async fn two_lengths_are_refused_in_any_order_and_cut_anywhere() {
    let (rig, requests) = start().await;
    let length = requests.body.len();
    let mut calls = 0;
    for fields in [
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("TRANSFER-ENCODING:chunked\r\nx-between: 1\r\nCoNtEnT-LeNgTh:\t {length} "),
        "transfer-encoding: chunked\r\ncontent-length: 0".to_owned(),
        format!("content-length: {length}\r\ntransfer-encoding: gzip, chunked"),
    ] {
        let request = requests.with(&fields, &requests.chunks());
        let head_end = request.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = request.split_at(head_end.expect("a head ends") + 4);
        let mut bytes: Vec<&[u8]> = head.chunks(1).collect();
        bytes.push(body);
        for pieces in [vec![&request[..]], bytes] {
            calls += 1;
            let (statuses, text) = exchange(&rig, &pieces).await;
            assert_eq!(statuses, [400], "{fields}: {text}");
            assert!(text.contains("two_body_lengths"), "{fields}: {text}");
        }
    }
    let events = rig.events().await;
    assert_eq!(events.len(), calls, "one record a call");
    for event in &events {
        assert_eq!(event["outcome"], "refused_invalid", "{event}");
        assert_eq!(event["outcome_detail"], "two_body_lengths", "{event}");
        assert_eq!(
            (&event["status"], &event["key_id"]),
            (&400.into(), &"acme-1".into())
        );
    }
    assert!(
        rig.simulator.truth().since(0).is_empty(),
        "no provider was called"
    );
}

#[tokio::test]
async fn folded_and_spaced_fields_are_no_request() {
    let (rig, requests) = start().await;
    for fields in [
        "transfer-encoding: chunked\r\n content-length: 5",
        "transfer-encoding: chunked\r\ncontent-length : 5",
        "transfer-encoding : chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\nx: y\r\n\tcontent-length: 5",
    ] {
        let (statuses, text) = exchange(&rig, &[&requests.chunked(fields)]).await;
        assert_eq!(statuses, [400], "{fields}: {text}");
    }
    assert!(
        rig.events().await.is_empty(),
        "what is no request has no record"
    );
    assert!(
        rig.simulator.truth().since(0).is_empty(),
        "no provider was called"
    );
}

#[tokio::test]
async fn a_second_request_of_a_connection_is_held_to_the_same() {
    let (rig, requests) = start().await;
    let both = requests.chunked("\r\ncontent-length: 5");
    for first in [requests.plain(), requests.chunked("")] {
        let together = [&first[..], &both].concat();
        for pieces in [vec![&together[..]], together.chunks(7).collect()] {
            let (statuses, text) = exchange(&rig, &pieces).await;
            assert_eq!(statuses, [200, 400], "{text}");
            assert!(text.contains("two_body_lengths"), "{text}");
        }
    }
    assert_eq!(upstream_calls(&rig), 4, "the first one each time");
    assert_eq!(rig.events().await.len(), 8, "one record a call");
}

#[tokio::test]
async fn honest_chunks_pass_one_behind_the_other_and_what_is_not_followed_is_refused() {
    let (rig, requests) = start().await;
    let last = requests.chunked("\r\nconnection: close");
    let honest = [
        requests.chunked(""),
        requests.plain(),
        requests.chunked(""),
        last.clone(),
    ]
    .concat();
    for pieces in [vec![&honest[..]], honest.chunks(11).collect()] {
        let (statuses, text) = exchange(&rig, &pieces).await;
        assert_eq!(statuses, [200; 4], "{text}");
    }
    let length = requests.body.len();
    let extended = format!("{length:x};a=b\r\n{}\r\n0\r\n\r\n", requests.body);
    let extended = requests.with("transfer-encoding: chunked", &extended);
    let behind = [&extended[..], &requests.plain(), &last].concat();
    let (statuses, text) = exchange(&rig, &[&behind]).await;
    assert_eq!(statuses, [200, 200, 400], "{text}");
    assert!(text.contains("body_framing_not_followed"), "{text}");
    assert_eq!(rig.events().await.len(), 11, "one record a call");
    assert_eq!(upstream_calls(&rig), 10);
}
