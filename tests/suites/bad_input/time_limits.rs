//! Each time limit of a call: its status or break, its code, its outcome, and never before its time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use tests::faulty::{CHAT, Carried, bearer, good_body};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig};

const CONNECT_MS: u64 = 700;
const FIRST_BYTE_MS: u64 = 4_000;
const BETWEEN_MS: u64 = 3_000;
const TOTAL_MS: u64 = 8_000;

/// A server whose queue of connections is full: whoever connects waits for ever.
struct Full {
    address: std::net::SocketAddr,
    _listener: rustix::fd::OwnedFd,
    _queued: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &any).expect("a free port");
        listen(&listener, 0).expect("a socket can listen");
        let address = getsockname(&listener).expect("a bound socket has an address");
        let address = std::net::SocketAddr::try_from(address).expect("an address of the internet");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
            assert!(queued.len() < 100, "a queue of length 0 fills up");
        }
        Self {
            address,
            _listener: listener,
            _queued: queued,
        }
    }
}

fn plan(carried: &Carried, full: &Full) -> Plan {
    let gateway = format!(
        "connect_timeout_ms = {CONNECT_MS}\nfirst_byte_timeout_ms = {FIRST_BYTE_MS}\n\
         between_chunks_timeout_ms = {BETWEEN_MS}\ntotal_timeout_ms = {TOTAL_MS}"
    );
    let full = format!("http://{}/v1", full.address);
    Plan {
        gateway,
        ..Plan::default()
    }
    .simulated(&["gpt-4o"])
    .backend("full", &full, "auth = \"none\"", &["full"])
    .tenant("acme", "", &[("acme-1", &carried.secret, "")])
}

/// What is late, model, order, stream or not, status, our code, detail of the record, billable, the limit in ms.
const LATE: &[&str] = &[
    "a connection | full | | plain | 504 | connect_timeout | connect_timeout | no | 700",
    "a head | gpt-4o | stall_head=600000 | plain | 504 | first_byte_timeout | first_byte_timeout | unclear | 4000",
    "the head of a stream | gpt-4o | stall_head=600000 | stream | 504 | first_byte_timeout | first_byte_timeout | unclear | 4000",
    "a chunk | gpt-4o | stall_mid=2:600000 | stream | 200 | | between_chunks_timeout | unclear | 3000",
    "the rest of a document | gpt-4o | stall_mid=1:600000 | plain | 200 | | between_chunks_timeout | unclear | 3000",
    "the usage | gpt-4o | stall_before_usage=600000 | stream | 200 | | between_chunks_timeout | unclear | 3000",
    "the end | gpt-4o | chunk_delay=200,big=1000000 | stream | 200 | | total_timeout | unclear | 8000",
];

#[tokio::test]
async fn each_limit_has_its_code_and_its_outcome_and_comes_not_too_soon() {
    let carried = Carried::default();
    let full = Full::new();
    let rig = Rig::start(plan(&carried, &full)).await;
    // The provider's first answer takes its time; it shall not be taken for a late one.
    let first = post(
        CHAT,
        &bearer(&carried.secret),
        good_body("gpt-4o", "", false, "hello").as_bytes(),
    );
    assert_eq!(send(rig.app(), &[&first]).await.status, 200);
    let calls = LATE.iter().map(|line| call(&rig, &carried, line));
    let answers = futures_util::future::join_all(calls).await;
    let events = rig.events().await;
    let mut faults = Vec::new();
    for (line, (answer, took)) in LATE.iter().zip(&answers) {
        let [name, .., status, code, detail, billable, limit_ms] = fields(line);
        let id = answer.header("x-request-id").unwrap_or_default();
        let of_call: Vec<_> = events
            .iter()
            .filter(|event| event["request_id"] == id)
            .collect();
        let [event] = of_call[..] else {
            faults.push(format!("{name}: {} records", of_call.len()));
            continue;
        };
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let seen = (
            answer.status.to_string(),
            answer.code(),
            text("outcome"),
            text("outcome_detail"),
            text("billable"),
        );
        let wanted = (
            status.to_owned(),
            code.to_owned(),
            "timeout".to_owned(),
            detail.to_owned(),
            billable.to_owned(),
        );
        if seen != wanted || answer.whole != (status == "504") {
            faults.push(format!(
                "{name}: {seen:?} whole: {}, wanted {wanted:?}",
                answer.whole
            ));
        }
        if *took < Duration::from_millis(limit_ms.parse().expect("a number")) {
            faults.push(format!("{name}: after {took:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(events.len(), LATE.len() + 1, "one record a call");
}

fn fields(line: &'static str) -> [&'static str; 9] {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    fields
        .try_into()
        .unwrap_or_else(|_| panic!("`{line}` has not nine fields"))
}

async fn call(rig: &Rig, carried: &Carried, line: &'static str) -> (RawAnswer, Duration) {
    let [_, model, order, kind, ..] = fields(line);
    let body = good_body(model, order, kind == "stream", &carried.prompt);
    let request = post(CHAT, &bearer(&carried.secret), body.as_bytes());
    let begun = Instant::now();
    let answer = send(rig.app(), &[&request]).await;
    (answer, begun.elapsed())
}
