//! Large bodies are sent again byte for byte, and are not held in memory for it.

use schemas::{Billable, Outcome};
use sha2::{Digest as _, Sha256};
use tests::raw::{RawAnswer, post, send};
use tests::{Rig, eventually};

use super::plan::{AGAIN, PLAYED, SECRET, SERVED, calls, failed, plan, record};
use super::provider::{Act, Provider};

pub const MIB: usize = 1 << 20;
pub const KIND: &str = "multipart/form-data; boundary=b";

/// A form whose file is no repetition of anything, and the same as the provider must get it.
pub fn form(file_bytes: usize) -> (Vec<u8>, String) {
    let make = |model: &str| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhello\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"f\"\r\nContent-Type: image/png\r\n\r\n"
        );
        let mut form = head.into_bytes();
        let mut state = 1_u32;
        form.extend(
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0] | 0x80
            })
            .take(file_bytes),
        );
        form.extend_from_slice(b"\r\n--b--\r\n");
        form
    };
    let sent = Sha256::digest(make("gpt-4o-mini"));
    (make(PLAYED), hex::encode(sent))
}

pub async fn edit(rig: &Rig, kind: &str, path: &str, body: &[u8]) -> RawAnswer {
    let headers = format!("api-key: {SECRET}\r\ncontent-type: {kind}\r\n");
    send(rig.app(), &[&post(path, &headers, body)]).await
}

/// Peak of the serving process's memory, in KiB.
fn peak_kib(rig: &Rig) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid()));
    let status = status.expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.expect("it has a peak")
}

/// Files of the data directory that are open under no name, and names in it that nobody knows.
fn kept_files(rig: &Rig) -> (usize, Vec<String>) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", rig.pid())).expect("its files");
    let is_nameless = |link: std::path::PathBuf| {
        let text = link.to_string_lossy().into_owned();
        link.starts_with(rig.data_dir()) && text.ends_with("(deleted)")
    };
    let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let names = std::fs::read_dir(rig.data_dir()).expect("a data directory");
    let names = names.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    (
        open.filter(|link| is_nameless(link.clone())).count(),
        names.filter(|name| name.starts_with("replay")).collect(),
    )
}

/// P10: an image of 20 MiB passes, is sent again, and memory stays within its cap.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_form_is_sent_again_byte_for_byte_and_is_not_held() {
    let provider = Provider::start(vec![Act::Answer(429), Act::Answer(503), Act::Answer(200)]);
    let rig = Rig::start(plan("", &provider.base_url())).await;
    let (small, _) = form(1_000);
    assert_eq!(
        edit(&rig, KIND, "/v1/images/edits", &small).await.status,
        200
    );
    let before = peak_kib(&rig);
    let (large, sha256) = form(20 * MIB);
    let calling = (0..8).map(async |_| edit(&rig, KIND, "/v1/images/edits", &large).await);
    let answers = futures_util::future::join_all(calling).await;
    let grown = peak_kib(&rig) - before;
    assert!(
        grown < 48 << 10,
        "eight times three calls of 20 MiB took {grown} KiB"
    );
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let event = record(&rig, answer).await;
        let both = [failed(429, Billable::No), failed(503, Billable::Unclear)];
        assert_eq!(calls(&event), [&both[..], &[SERVED]].concat());
        assert_eq!(
            event.request_bytes,
            i64::try_from(large.len()).expect("few")
        );
    }
    let bodies = provider.bodies();
    let large: Vec<_> = bodies.iter().filter(|body| body.bytes > MIB).collect();
    assert_eq!(large.len(), 8 * 3);
    for body in large {
        assert!(body.whole && body.sha256 == sha256, "{body:?}");
    }
    eventually("nothing of them is left", async || {
        (kept_files(&rig) == (0, Vec::new())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_refused_half_way_is_sent_again_from_its_beginning() {
    let acts = vec![
        Act::Early(MIB, 429),
        Act::Early(3 * MIB, 503),
        Act::Answer(200),
    ];
    let provider = Provider::start(acts);
    let rig = Rig::start(plan("", &provider.base_url())).await;
    let (body, sha256) = form(20 * MIB);
    let answer = edit(&rig, KIND, "/v1/images/edits", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(record(&rig, &answer).await.attempts.len(), 3);
    let bodies = eventually("all three calls ended", async || {
        Some(provider.bodies()).filter(|bodies| bodies.len() == 3)
    })
    .await;
    let whole: Vec<_> = bodies
        .iter()
        .filter(|body| body.whole && body.sha256 == sha256)
        .collect();
    assert!(!whole.is_empty(), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_room_passes_once_and_that_is_no_failure() {
    let provider = Provider::start(vec![Act::Answer(429), Act::Answer(200)]);
    let rig = Rig::start(plan("max_replay_mib = 1", &provider.base_url())).await;
    let (large, sha256) = form(8 * MIB);
    let refused = edit(&rig, KIND, "/v1/images/edits", &large).await;
    assert_eq!(refused.status, 429, "the provider's answer passes on");
    assert_eq!(refused.code(), "c");
    let event = record(&rig, &refused).await;
    assert_eq!(calls(&event), [failed(429, Billable::No)]);
    assert_eq!(event.outcome, Outcome::UpstreamError);
    assert_eq!(provider.bodies()[0].sha256, sha256);
    let metrics = rig
        .http()
        .get(rig.ops_url("/metrics"))
        .send()
        .await
        .expect("metrics");
    let metrics = metrics.text().await.expect("text");
    assert!(
        metrics.contains("tollgate_unkept_forms_total 1"),
        "{metrics}"
    );
    // What is small enough is kept still.
    let (small, _) = form(1_000);
    let answer = edit(&rig, KIND, "/v1/images/edits", &small).await;
    assert_eq!(record(&rig, &answer).await.attempts.len(), 2);
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_chat_is_sent_again_too() {
    let provider = Provider::start(vec![Act::Answer(503), Act::Answer(200)]);
    let rig = Rig::start(plan("", &provider.base_url())).await;
    let picture = "QUJD".repeat(5 * MIB);
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]}}]}}"#
        )
    };
    let answer = edit(
        &rig,
        "application/json",
        "/v1/chat/completions",
        body(PLAYED).as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let event = record(&rig, &answer).await;
    assert_eq!(calls(&event), [failed(503, Billable::Unclear), SERVED]);
    let expected = hex::encode(Sha256::digest(body("gpt-4o-mini")));
    let bodies = provider.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies.iter().all(|body| body.sha256 == expected),
        "{bodies:?}"
    );
    let small = edit(
        &rig,
        "application/json",
        "/v1/chat/completions",
        super::plan::chat(AGAIN, false).as_bytes(),
    )
    .await;
    assert_eq!(small.status, 200, "and others are served");
}
