//! Every recorded answer of the corpus, through the whole gateway at many cuttings: the app gets it byte for byte, and
//! its record says what it must.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::{Api, Line, UsageEvent, UsageSource};
use serde_json::{Value, json};
use simulator::{Framing, Recorded};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig, read_journal};

const SECRET: &str = "tg-corpus-key";
/// Bodies up to this long are also sent byte by byte.
const SMALL_BYTES: usize = 3_000;
/// Answers on their way at once.
const AT_ONCE: usize = 16;

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dress {
    Plain,
    /// Said to be text.
    Mislabelled,
    /// Compressed, though nobody asked for it.
    Packed,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

struct Entry {
    name: String,
    dialect: String,
    kind: &'static str,
    body: Vec<u8>,
    /// What a client gets that did not ask for usage.
    stripped: Option<Vec<u8>>,
    expected: Value,
}

impl Entry {
    fn text(&self, field: &str) -> &str {
        self.expected[field].as_str().unwrap_or_default()
    }

    /// The path below `/v1/`.
    fn endpoint(&self) -> &str {
        self.text("endpoint")
    }

    fn status(&self) -> u16 {
        let status = self.expected["status"].as_u64().unwrap_or(200);
        u16::try_from(status).expect("a status is small")
    }

    /// The answer as a provider sends it, perhaps with a wrong label, perhaps packed.
    fn recorded(&self, framing: Framing, dress: Dress) -> Recorded {
        let kind = match self.kind {
            _ if dress == Dress::Mislabelled => "text/plain",
            "sse" => "text/event-stream",
            "html" => "text/html",
            _ => "application/json",
        };
        Recorded {
            status: self.status(),
            headers: match dress {
                Dress::Packed => vec![
                    ("content-type".to_owned(), kind.to_owned()),
                    ("content-encoding".to_owned(), "gzip".to_owned()),
                ],
                Dress::Plain | Dress::Mislabelled => {
                    vec![("content-type".to_owned(), kind.to_owned())]
                }
            },
            body: match dress {
                Dress::Packed => gzip(&self.body).into(),
                Dress::Plain | Dress::Mislabelled => self.body.clone().into(),
            },
            framing,
            pieces: Vec::new(),
            gap_ms: 0,
            reset: false,
        }
    }
}

fn corpus() -> Vec<Entry> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/corpus");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let found = std::fs::read_dir(path).expect("a folder can be read");
        found
            .map(|entry| entry.expect("an entry can be read").path())
            .collect()
    };
    let mut entries: Vec<Entry> = folders(&root)
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|folder| folders(folder))
        .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
        .map(|path| load(&path))
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn load(file: &Path) -> Entry {
    let folder = file.parent().expect("a file lies in a folder");
    let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
    let dialect = name(folder).expect("a folder has a name");
    let stem = name(file).expect("a file has a name");
    let stem = stem.trim_end_matches(".expected.json");
    let bytes = |end: &str| std::fs::read(folder.join(format!("{stem}.{end}"))).ok();
    let kinds = ["json", "sse", "html"];
    let kind = kinds.into_iter().find(|kind| bytes(kind).is_some());
    let kind = kind.unwrap_or_else(|| panic!("{dialect}/{stem} has an answer"));
    let expected = std::fs::read(file).expect("an expectation can be read");
    Entry {
        name: format!("{dialect}/{stem}"),
        kind,
        body: bytes(kind).unwrap_or_default(),
        stripped: bytes("stripped.sse"),
        expected: serde_json::from_slice(&expected).expect("an expectation is JSON"),
        dialect,
    }
}

/// One call: the answer it is to get, how that is cut, whether its client asks for usage.
struct Case {
    entry: Arc<Entry>,
    cut: String,
    asks: bool,
    dress: Dress,
    replay: u64,
}

impl Case {
    fn name(&self) -> String {
        let dress = self.dress;
        format!(
            "{} {} {dress:?} asks={}",
            self.entry.name, self.cut, self.asks
        )
    }

    fn request(&self) -> Vec<u8> {
        let entry = &self.entry;
        let model = format!("m-{}", entry.dialect);
        let streams = entry.kind == "sse";
        let path = entry.endpoint();
        let mut body = match path {
            "chat/completions" => json!({"model": model, "messages": []}),
            "completions" | "images/generations" => json!({"model": model, "prompt": "x"}),
            "audio/speech" => json!({"model": model, "input": "x", "voice": "alloy"}),
            _ => json!({"model": model, "input": "x"}),
        };
        let knows_option = matches!(path, "chat/completions" | "completions");
        if path == "audio/speech" && streams {
            body["stream_format"] = "sse".into();
        } else if streams {
            body["stream"] = true.into();
        }
        if knows_option && streams && self.asks {
            body["stream_options"] = json!({"include_usage": true});
        }
        let is_form = path.starts_with("audio/tr") || path == "images/edits";
        let (kind, body) = if is_form {
            ("multipart/form-data; boundary=b", form(&model, streams))
        } else {
            ("application/json", body.to_string())
        };
        let comma = if self.cut.is_empty() { "" } else { "," };
        let headers = format!(
            "authorization: Bearer {SECRET}\r\ncontent-type: {kind}\r\nx-stainless-sim: replay={}{comma}{}\r\n",
            self.replay, self.cut
        );
        post(&format!("/v1/{path}"), &headers, body.as_bytes())
    }

    /// The bytes that the app must get.
    fn passes(&self) -> Vec<u8> {
        match &self.entry.stripped {
            Some(stripped) if !self.asks => stripped.clone(),
            _ if self.dress == Dress::Packed && !self.is_unpacked() => gzip(&self.entry.body),
            _ => self.entry.body.clone(),
        }
    }

    /// Whether something may have to be taken out: then it must be unpacked.
    fn is_unpacked(&self) -> bool {
        self.entry.kind == "sse" && !self.asks
    }
}

fn form(model: &str, streams: bool) -> String {
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = |name: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n\0\r\n"
        )
    };
    let stream = if streams { "true" } else { "false" };
    format!(
        "{}{}{}{}{}--b--\r\n",
        file("file"),
        file("image"),
        field("prompt", "x"),
        field("model", model),
        field("stream", stream)
    )
}

/// A backend and a model of each dialect that the corpus has.
fn plan(entries: &[Arc<Entry>]) -> Plan {
    let mut plan = Plan::default();
    let mut dialects: Vec<&str> = entries.iter().map(|entry| entry.dialect.as_str()).collect();
    dialects.dedup();
    for dialect in dialects {
        let settings = format!("auth = \"none\"\ndialect = \"{dialect}\"");
        let model = format!("m-{dialect}");
        plan = plan.backend(dialect, "{provider}", &settings, &[&model]);
    }
    plan.tenant("acme", "", &[("acme-1", SECRET, "")])
}

fn cases(entries: &[Arc<Entry>], rig: &Rig) -> Vec<Case> {
    let replays = rig.simulator.replays();
    let mut cases = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let framing = [Framing::Length, Framing::Chunked, Framing::Close][number % 3];
        let mut cuts: Vec<String> = ["", "cut=2", "cut=3", "cut=7", "cut=64"]
            .map(str::to_owned)
            .to_vec();
        cuts.extend((1..=12).map(|seed| format!("cut_drawn={}", seed * 1_000 + number)));
        if entry.body.len() <= SMALL_BYTES {
            cuts.push("cut=1".to_owned());
        }
        // Without `stripped` it is not known what a client gets that did not ask.
        let ways: &[bool] = if entry.stripped.is_some() {
            &[true, false]
        } else {
            &[true]
        };
        for dress in [Dress::Plain, Dress::Mislabelled, Dress::Packed] {
            // Text that is called text is text.
            let is_text = entry.endpoint().starts_with("audio/tr") || entry.kind == "html";
            if dress == Dress::Mislabelled && is_text {
                continue;
            }
            let recorded = entry.recorded(framing, dress);
            let replay = replays.keep(recorded).expect("it can be kept");
            let cuts = if dress == Dress::Plain {
                &cuts[..]
            } else {
                &cuts[..4]
            };
            for (cut, asks) in cuts
                .iter()
                .flat_map(|cut| ways.iter().map(move |w| (cut, *w)))
            {
                cases.push(Case {
                    entry: entry.clone(),
                    cut: cut.clone(),
                    asks,
                    dress,
                    replay,
                });
            }
        }
    }
    cases
}

/// What differs between the bytes that came and those that must.
fn bytes_differ(case: &Case, answer: &RawAnswer) -> Option<String> {
    let same = answer.status == case.entry.status() && answer.body == case.passes();
    (!same).then(|| {
        format!(
            "{}: status {}, body {:?}\n  must be {:?}",
            case.name(),
            answer.status,
            answer.text(),
            String::from_utf8_lossy(&case.passes())
        )
    })
}

/// What differs between a record and what it must say. A side that the provider did not report is counted here, and
/// then the record says that it is not the provider's.
fn record_differs(case: &Case, event: &UsageEvent) -> Option<String> {
    let expected = &case.entry.expected;
    let reported: Vec<Value> = expected["lines"].as_array().cloned().unwrap_or_default();
    let is_by_provider = matches!(event.usage_source, UsageSource::Provider);
    let lines: Vec<Value> = event.lines.iter().map(line).collect();
    let mut faults = Vec::new();
    if is_by_provider == reported.is_empty() && event.usage_source != UsageSource::Partial {
        faults.push(format!("source {}", event.usage_source));
    }
    let upstream = json!(format!("m-{}", case.entry.dialect));
    for (number, mut wanted) in reported.into_iter().enumerate() {
        if wanted["model"].is_null() {
            wanted["model"] = upstream.clone();
        }
        let is_said = |got: &Value| {
            let figures = wanted["units"].as_object().into_iter().flatten();
            let mut units = figures.map(|(unit, count)| got["units"][unit] == *count);
            got["model"] == wanted["model"]
                && got["service_tier"] == wanted["service_tier"]
                && units.all(|same| same)
                && (!is_by_provider || got["units"] == wanted["units"])
        };
        if !lines.get(number).is_some_and(is_said) {
            faults.push(format!(
                "line {number}: {:?}, wanted {wanted}",
                lines.get(number)
            ));
        }
    }
    let quality = expected["quality"].as_str().unwrap_or_default();
    let is_answered = event.status.is_some_and(|status| status < 300) && case.entry.kind != "html";
    if is_answered && event.usage_quality.as_str() != quality {
        faults.push(format!("quality {}, wanted {quality}", event.usage_quality));
    }
    if event.api != case.entry.text("api").parse::<Api>().expect("an API") {
        faults.push(format!("api {}", event.api));
    }
    (!faults.is_empty()).then(|| format!("{}: {}", case.name(), faults.join("; ")))
}

fn line(line: &Line) -> Value {
    json!({"model": line.model, "service_tier": line.service_tier, "units": line.units})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_answer_gives_its_bytes_and_its_record_at_every_cutting() {
    let entries: Vec<Arc<Entry>> = corpus().into_iter().map(Arc::new).collect();
    assert!(entries.len() >= 60, "only {} entries", entries.len());
    let rig = Rig::start(plan(&entries)).await;
    let cases = cases(&entries, &rig);
    let mut differing = Vec::new();
    let mut by_request_id = BTreeMap::new();
    for cases in cases.chunks(AT_ONCE) {
        let sent = cases.iter().map(async |case| {
            let request = case.request();
            send(rig.app(), &[&request]).await
        });
        let answers = futures_util::future::join_all(sent).await;
        for (case, answer) in cases.iter().zip(answers) {
            differing.extend(bytes_differ(case, &answer));
            let id = answer.header("x-request-id").unwrap_or_default().to_owned();
            by_request_id.insert(id, case);
        }
    }
    assert_eq!(
        by_request_id.len(),
        cases.len(),
        "each has an id of its own"
    );
    let stored = rig.events().await;
    assert_eq!(stored.len(), cases.len(), "one record a call in the store");
    let events = read_journal(&rig.data_dir()).events;
    assert_eq!(events.len(), cases.len(), "one record a call in the log");
    for event in &events {
        let case = by_request_id[event.request_id.as_str()];
        differing.extend(record_differs(case, event));
    }
    let shown: Vec<&str> = differing.iter().map(String::as_str).take(12).collect();
    assert!(
        differing.is_empty(),
        "{} of {} differ:\n{}",
        differing.len(),
        cases.len(),
        shown.join("\n")
    );
    println!("{} answers, {} calls", entries.len(), cases.len());
}
