//! Texts that must not be seen are sent through every way a call can go wrong, and then looked for everywhere.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use sha2::Digest as _;
use store::User;
use tests::faulty::{CHAT, Carried, OddProviders, bearer, good_body, plan, refused, spoilt};
use tests::raw::{OddProvider, RawAnswer, post, send};
use tests::{Plan, Rig, eventually};

/// In every one of them, so that nothing is missed for being cut or joined; no word of ours.
const MARK: &str = "SONGBIRD";
const UPSTREAM_BY_VARIABLE: &str = "sk-SONGBIRD-upstream-by-variable";
const UPSTREAM_BY_FILE: &str = "sk-SONGBIRD-upstream-by-file";
const ANSWER: &str = "SONGBIRD-answer";

fn carried() -> Carried {
    let text = |text: &str| text.to_owned();
    Carried {
        secret: text("tg-SONGBIRD-key"),
        limited: text("tg-SONGBIRD-limited"),
        disabled: text("tg-SONGBIRD-disabled"),
        foreign: text("tg-SONGBIRD-foreign"),
        prompt: text("the SONGBIRD prompt"),
    }
}

/// What must never be seen, as it stands and as it could be written down.
fn forbidden() -> Vec<(String, Vec<u8>)> {
    let Carried {
        secret,
        limited,
        disabled,
        foreign,
        prompt,
    } = carried();
    let texts = [
        secret,
        limited,
        disabled,
        foreign,
        prompt,
        UPSTREAM_BY_VARIABLE.to_owned(),
        UPSTREAM_BY_FILE.to_owned(),
        ANSWER.to_owned(),
    ];
    let mut needles = vec![(MARK.to_owned(), MARK.as_bytes().to_vec())];
    for text in texts {
        let hash = hex::encode(sha2::Sha256::digest(&text));
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&text);
        for (how, needle) in [
            ("hex", hex::encode(&text)),
            ("SHA-256", hash),
            ("base64", base64),
        ] {
            needles.push((format!("{text} as {how}"), needle.into_bytes()));
        }
    }
    needles
}

/// Everything forbidden that stands in these bytes, however its letters are written.
fn found(place: &str, bytes: &[u8]) -> Vec<String> {
    let lower = bytes.to_ascii_lowercase();
    let stands = |needle: &[u8]| {
        lower
            .windows(needle.len())
            .position(|window| window == needle.to_ascii_lowercase())
    };
    let near = |at: usize| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())])
            .into_owned()
    };
    forbidden()
        .iter()
        .filter_map(|(what, needle)| Some(format!("{place}: {what}: …{}…", near(stands(needle)?))))
        .collect()
}

/// A plan whose answers, too, hold what must not be written down.
async fn start(folder: &Path) -> (Rig, OddProviders, [OddProvider; 2]) {
    let file = folder.join("upstream-key");
    std::fs::write(&file, format!("{UPSTREAM_BY_FILE}\n")).expect("a file can be written");
    let usage = "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}";
    let json = format!(
        "{{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"content\":\"{ANSWER}\"}},\"finish_reason\":\"stop\"}}],{usage}}}"
    );
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-secret: {ANSWER}\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    );
    let event = format!(
        "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{ANSWER}\"}},\"finish_reason\":null}}]}}\n\n"
    );
    let stream = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{}",
        event.repeat(3)
    );
    let speaking = [
        OddProvider::answering(whole).await,
        OddProvider::answering(stream).await,
    ];
    let odd = OddProviders::start(ANSWER).await;
    let plan = plan(&carried(), &odd, "api_key_env = \"TOLLGATE_TEST_UPSTREAM\"");
    let by_file = format!("api_key_file = \"{}\"\nauth = \"api-key\"", file.display());
    let plan = plan
        .backend("by-file", "{provider}", &by_file, &["gpt-4.1"])
        .backend("plain", &speaking[0].base_url(), &by_file, &["plain"])
        .backend("stream", &speaking[1].base_url(), &by_file, &["stream"]);
    let environment = vec![
        ("TOLLGATE_TEST_UPSTREAM", UPSTREAM_BY_VARIABLE.to_owned()),
        ("TOLLGATE_LOG", "trace".to_owned()),
    ];
    let top = "[log]\nrequests = true\n".to_owned();
    (
        Rig::start(Plan {
            environment,
            top,
            ..plan
        })
        .await,
        odd,
        speaking,
    )
}

/// Calls that go well, and whose every header and text is one to look for.
fn well() -> Vec<Vec<u8>> {
    let headers = format!(
        "{}cookie: {MARK}\r\nx-secret: {MARK}\r\nuser-agent: {MARK}\r\nreferer: http://{MARK}/\r\nx-client-request-id: {MARK}\r\n\
         proxy-authorization: Basic {MARK}\r\nopenai-organization: {MARK}\r\ntraceparent: {MARK}\r\n",
        bearer(&carried().secret)
    );
    let calls = [
        ("gpt-4o-mini", false),
        ("gpt-4o-mini", true),
        ("gpt-4.1", false),
        ("gpt-4.1", true),
        ("plain", false),
        ("stream", true),
    ];
    let bodies = calls.map(|(model, stream)| good_body(model, "", stream, &carried().prompt));
    bodies
        .iter()
        .map(|body| post(&format!("{CHAT}?key={MARK}"), &headers, body.as_bytes()))
        .collect()
}

/// What an app gets holds no key, neither its own nor the provider's.
fn leaked_to_app(name: &str, answer: &RawAnswer) -> Vec<String> {
    let shown = format!("{:?} {}", answer.headers, answer.text()).to_ascii_lowercase();
    let Carried {
        secret,
        limited,
        disabled,
        foreign,
        prompt,
    } = carried();
    let texts = [
        secret,
        limited,
        disabled,
        foreign,
        prompt,
        UPSTREAM_BY_VARIABLE.to_owned(),
        UPSTREAM_BY_FILE.to_owned(),
    ];
    let seen = texts
        .into_iter()
        .filter(|text| shown.contains(&text.to_ascii_lowercase()));
    seen.map(|text| format!("{name}: the app is told {text}"))
        .collect()
}

async fn send_everything(rig: &Rig) -> Vec<String> {
    let mut leaks = Vec::new();
    for case in refused(&carried()).into_iter().chain(spoilt(&carried())) {
        let pieces: Vec<&[u8]> = case.pieces.iter().map(Vec::as_slice).collect();
        let answer = send(rig.app(), &pieces).await;
        assert_eq!(answer.status, case.status, "{}", case.name);
        leaks.extend(leaked_to_app(case.name, &answer));
    }
    for request in well() {
        let answer = send(rig.app(), &[&request]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        leaks.extend(leaked_to_app("a good call", &answer));
    }
    leaks
}

/// A bad reload with a secret on the bad line, and an app that hangs up.
async fn hurt(rig: &Rig) {
    use tokio::io::AsyncWriteExt as _;
    let body = good_body("gpt-4o-mini", "chunk_delay=20", true, &carried().prompt);
    let request = post(CHAT, &bearer(&carried().secret), body.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(rig.app())
        .await
        .expect("somebody listens");
    stream
        .write_all(&request)
        .await
        .expect("a request can be sent");
    drop(stream);
    let good = std::fs::read_to_string(rig.config()).expect("a configuration can be read");
    let bad = format!("{good}\n[[tenants]]\nid = \"x\"\nsecret = \"{MARK}\"\n");
    std::fs::write(rig.config(), bad).expect("a file can be written");
    eventually("the reload is refused", async || {
        rig.log()
            .contains("new configuration refused")
            .then_some(())
    })
    .await;
    std::fs::write(rig.config(), good).expect("a file can be written");
}

/// Every text of every table, and the files of the data directory, but for the folder of secrets.
async fn look_at_rest(rig: &Rig) -> Vec<String> {
    let mut leaks = found("the journal", &rig.journal_bytes());
    let reader = rig.engine(User::Reader).await;
    let tables = rig
        .rows("SELECT name FROM system.tables WHERE database = 'tollgate'")
        .await;
    assert!(tables.len() >= 3, "{tables:?}");
    for table in tables {
        let name = table["name"].as_str().expect("a name").to_owned();
        let rows = reader
            .query_bytes(&format!("SELECT * FROM {name}"), "JSONEachRow")
            .await
            .expect("a table can be read");
        leaks.extend(found(&name, &rows));
    }
    let records = rig
        .rows("SELECT bytes FROM audit_log WHERE fate = 'event'")
        .await;
    assert!(records.len() > 80, "{} records are searched", records.len());
    let mut folders = vec![rig.data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .expect("a folder can be listed")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() && path != rig.data_dir().join("secrets") {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                leaks.extend(found(&path.display().to_string(), &bytes));
            }
        }
    }
    leaks
}

/// What people are shown.
async fn look_at_outputs(rig: &Rig) -> Vec<String> {
    let mut leaks = found("the log", rig.log().as_bytes());
    for format in ["table", "csv", "json"] {
        for command in [
            &[
                "report",
                "chargeback",
                "--by",
                "tenant,project,key,model,provider,deployment,route,api,outcome,label:client_request_id",
            ][..],
            &["audit", "query", "--limit", "1000"],
            &["doctor"],
        ] {
            let output = rig.tollgate(&[command, &["--format", format]].concat());
            assert!(!output.stdout.is_empty(), "{command:?}: {output:?}");
            leaks.extend(found(
                &format!("{command:?}"),
                &[output.stdout, output.stderr].concat(),
            ));
        }
    }
    for path in ["/metrics", "/readyz", "/livez"] {
        let answer = rig
            .http()
            .get(rig.ops_url(path))
            .send()
            .await
            .expect("an answer");
        leaks.extend(found(path, &answer.bytes().await.expect("a body")));
    }
    let journal = rig.data_dir().join("journal");
    let inspected = std::process::Command::new(tests::tollgate())
        .args(["journal", "inspect"])
        .arg(&journal)
        .output();
    let inspected = inspected.expect("the program under test starts");
    assert!(inspected.status.success(), "{inspected:?}");
    leaks.extend(found("journal inspect", &inspected.stdout));
    leaks.extend(found(
        "the command line",
        &std::fs::read(format!("/proc/{}/cmdline", rig.pid())).expect("it runs"),
    ));
    leaks
}

#[tokio::test]
async fn no_key_prompt_or_answer_is_in_any_log_record_table_report_or_error() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (rig, _odd, _speaking) = start(folder.path()).await;
    let mut leaks = send_everything(&rig).await;
    hurt(&rig).await;
    rig.settled().await;
    leaks.extend(look_at_rest(&rig).await);
    leaks.extend(look_at_outputs(&rig).await);
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
}

/// The search finds what it looks for: it is no test otherwise.
#[test]
fn the_search_finds_a_leak_however_it_is_written() {
    for text in [
        "… tg-SONGBIRD-key …".to_owned(),
        "tg-songbird-key".to_owned(),
        hex::encode("tg-SONGBIRD-key"),
        hex::encode(sha2::Sha256::digest("the SONGBIRD prompt")).to_uppercase(),
        base64::engine::general_purpose::STANDARD.encode(UPSTREAM_BY_FILE),
    ] {
        assert!(!found("here", text.as_bytes()).is_empty(), "{text}");
    }
    assert_eq!(found("here", b"nothing of interest"), Vec::<String>::new());
}

#[tokio::test]
async fn the_serving_process_leaves_no_core_dump() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (rig, _odd, _speaking) = start(folder.path()).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", rig.pid())).expect("it runs");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a limit of cores");
    let numbers: Vec<&str> = core
        .split_whitespace()
        .filter(|word| word.chars().all(|c| c.is_ascii_digit()))
        .collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    // The kernel gives the files of such a process to root, so that nobody else of its user reads its memory.
    let owner = std::fs::metadata(format!("/proc/{}/mem", rig.pid()))
        .expect("it runs")
        .uid();
    assert_eq!(owner, 0, "its memory belongs to root");
}
