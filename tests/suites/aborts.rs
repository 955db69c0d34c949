//! Apps that hang up, at every stage of a request: one record each, with the provider's own figures where the answer is
//! read on, and with marked estimates where it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use simulator::load::{HangUp, Load, LoadRequest, LoadSettings, Outcome as Seen, Stop};
use tests::{Ask, Books, KEYS, MODELS, Sent, Setup, Stack, StoredEvent, eventually, within};
use tokio::task::JoinSet;

const DRAINED: &str = MODELS[0];
const CANCELLED: &str = MODELS[2];
const CLIENTS: u64 = 1_000;
/// Tokens of an answer, which are its content events.
const TOKENS: u64 = 20;

/// Every stage at which a client hangs up.
fn stages() -> Vec<HangUp> {
    let mut stages = vec![HangUp::DuringUpload, HangUp::AfterSend, HangUp::AfterHead];
    // Each tenth of the stream; one event more begins it.
    stages.extend((1..10).map(|tenth| HangUp::AfterEvents(1 + TOKENS * tenth / 10)));
    // All content is there, the usage is not.
    stages.push(HangUp::AfterEvents(1 + TOKENS));
    stages.extend([HangUp::AfterUsage, HangUp::AfterDone]);
    stages
}

fn ask(number: u64) -> Ask {
    let models = [DRAINED, CANCELLED];
    Ask {
        include_usage: true,
        ..Ask::new(format!("abort-{number}"))
            .streamed()
            .tokens(TOKENS)
            .model(models[usize::try_from(number).expect("few") % models.len()])
            .key(KEYS[usize::try_from(number).expect("few") % KEYS.len()])
            .ordering("latency=5,chunk_delay=2,stall_before_usage=300")
    }
}

fn stage(number: u64) -> HangUp {
    let stages = stages();
    let policies = 2;
    stages[usize::try_from(number / policies).expect("few") % stages.len()]
}

fn request(number: u64) -> LoadRequest {
    LoadRequest {
        hang_up: Some(stage(number)),
        ..ask(number).load_request()
    }
}

async fn hang_up_a_thousand_times(stack: &Stack) -> BTreeMap<String, Sent> {
    let load = Load::new(LoadSettings {
        url: stack.chat_url(),
        connections: 64,
        stop: Stop::Requests(CLIENTS),
        keep_lines: true,
        ..LoadSettings::default()
    });
    let run = within("all clients hang up", load.with_requests(request).run()).await;
    let lines = run.expect("the load generator runs").lines;
    assert_eq!(lines.len() as u64, CLIENTS);
    let number = |nonce: &str| nonce.trim_start_matches("abort-").parse().expect("ours");
    let sent = lines
        .iter()
        .map(|line| (line.nonce.clone(), Sent::of(ask(number(&line.nonce)), line)));
    sent.collect()
}

/// What the record of a client that hung up at a stage must say.
fn check(books: &Books, stage: HangUp, event: &StoredEvent) -> Result<(), String> {
    let answer = books.truth.answers.get(&event.nonce);
    let (planned_input, planned_output) = answer.map_or((None, None), |answer| {
        let figure = |tokens| i64::try_from(tokens).ok();
        (
            figure(answer.prompt_tokens),
            figure(answer.completion_tokens),
        )
    });
    let of_provider = matches!(event.usage_source.as_str(), "provider" | "drained")
        && (event.input, event.output) == (planned_input, planned_output);
    let is_estimate = event.usage_source == "estimated"
        && event.input.is_some()
        && event
            .output
            .is_some_and(|output| Some(output) <= planned_output);
    let has_none = event.usage_source == "none" && event.input.is_none();
    let aborted = event.outcome == "client_aborted";
    let early = ["request_upload_aborted", "before_upstream"];
    let never_called =
        aborted && has_none && answer.is_none() && early.contains(&event.outcome_detail.as_str());
    let fine = match (stage, event.model_requested.as_str()) {
        (HangUp::DuringUpload, _) => {
            aborted
                && event.outcome_detail == "request_upload_aborted"
                && has_none
                && answer.is_none()
        }
        (HangUp::AfterDone, _) => event.outcome == "completed" && of_provider,
        (HangUp::AfterUsage, _) if event.outcome == "completed" => of_provider,
        (HangUp::AfterUsage, CANCELLED) => aborted && of_provider,
        (HangUp::AfterSend, CANCELLED) => {
            never_called
                || (aborted && event.outcome_detail == "client_gone" && (has_none || is_estimate))
        }
        (_, CANCELLED) => aborted && event.outcome_detail == "client_gone" && is_estimate,
        (HangUp::AfterSend, _) if never_called => true,
        (_, _) => aborted && event.usage_source == "drained" && of_provider,
    };
    if fine {
        Ok(())
    } else {
        Err(format!("{stage:?}: {event:?}\n  truth {answer:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_hang_up_and_each_has_one_record() {
    let stack = Stack::start(Setup {
        drain: "at_once = 1000".into(),
        ..Setup::default()
    })
    .await;
    let sent = hang_up_a_thousand_times(&stack).await;
    let finished = sent
        .values()
        .filter(|sent| sent.seen != Seen::HungUp)
        .count();
    assert_eq!(finished, 0, "everybody hung up");
    let books = stack.settled().await;
    println!("{:#?}", books.outcomes());
    let mut faults = books.faults(&sent);
    for number in 0..CLIENTS {
        let nonce = format!("abort-{number}");
        match books.events_of(&nonce)[..] {
            [event] => faults.extend(check(&books, stage(number), event).err()),
            [] => faults.push(format!("{nonce}: no record of {:?}", stage(number))),
            [..] => faults.push(format!("{nonce}: more than one record")),
        }
    }
    let uploads: BTreeSet<_> = (books.journal.events.iter())
        .filter(|event| {
            event
                .outcome_detail
                .as_ref()
                .is_some_and(|detail| detail.as_str() == "request_upload_aborted")
        })
        .map(|event| event.event_id)
        .collect();
    assert!(
        uploads.len() > 50,
        "{} uploads were broken off",
        uploads.len()
    );
    assert!(
        uploads
            .iter()
            .all(|id| !books.journal.admissions.contains_key(id)),
        "and never admitted"
    );
    let first: Vec<_> = faults.iter().take(10).collect();
    assert!(
        faults.is_empty(),
        "{} faults, the first: {first:#?}",
        faults.len()
    );
}

/// A provider that takes no connection: its queue is full, so that the kernel does not answer.
struct Deaf {
    _listener: OwnedFd,
    _queue: Vec<TcpStream>,
    address: SocketAddr,
}

fn deaf_provider() -> Deaf {
    let listener =
        rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    rustix::net::bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    rustix::net::listen(&listener, 0).expect("a listener");
    let name = rustix::net::getsockname(&listener).expect("an address");
    let address = SocketAddr::try_from(name).expect("an internet address");
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let queue = std::iter::from_fn(connect).collect();
    Deaf {
        _listener: listener,
        _queue: queue,
        address,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_before_the_provider_is_connected_used_nothing() {
    const EACH: usize = 20;
    let deaf = deaf_provider();
    let stack = Stack::start(Setup {
        provider_url: Some(format!("http://{}/v1", deaf.address)),
        gateway: "connect_timeout_ms = 600000".into(),
        drain: "seconds = 1".into(),
        ..Setup::default()
    })
    .await;
    let mut clients = JoinSet::new();
    for number in 0..EACH * 2 {
        let model = if number < EACH { DRAINED } else { CANCELLED };
        let (app, ask) = (
            stack.app(),
            Ask::new(format!("early-{number}")).model(model),
        );
        clients.spawn(async move { app.call(&ask).await });
    }
    eventually("all are admitted", async || {
        (stack.metric("open_requests").await? == 40).then_some(())
    })
    .await;
    clients.shutdown().await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    for number in 0..EACH * 2 {
        let event = books.event(&format!("early-{number}"));
        let why = if number < EACH {
            "drain_cap_time"
        } else {
            "client_gone"
        };
        assert_eq!(
            (event.outcome.as_str(), event.outcome_detail.as_str()),
            ("client_aborted", why)
        );
        assert_eq!(
            (event.usage_source.as_str(), event.input, event.output),
            ("none", None, None)
        );
        assert_eq!(event.billable, "no", "nothing of it was sent");
    }
}

/// Begins a stream and hangs up with its first chunk.
async fn hang_up_with_the_first_chunk(stack: &Stack, ask: &Ask) {
    let mut response = stack.app().begin(ask).await.expect("the stream begins");
    let chunk = within("the first chunk", response.chunk()).await;
    assert!(chunk.expect("a chunk").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_reading_on_is_kept_and_named_in_the_record() {
    let stack = Stack::start(Setup {
        drain: "seconds = 2\ntokens = 50\nat_once = 1".into(),
        ..Setup::default()
    })
    .await;
    let stalled = |nonce: &str| {
        Ask::new(nonce)
            .streamed()
            .tokens(20)
            .ordering("stall_mid=5:600000")
    };
    hang_up_with_the_first_chunk(&stack, &stalled("time")).await;
    eventually("the only place is taken", async || {
        (stack.metric("drains").await? == 1).then_some(())
    })
    .await;
    hang_up_with_the_first_chunk(&stack, &stalled("concurrency")).await;
    stack.idle().await;
    let long = Ask::new("tokens")
        .streamed()
        .tokens(2_000)
        .ordering("chunk_delay=1");
    hang_up_with_the_first_chunk(&stack, &long).await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    for bound in ["time", "tokens", "concurrency"] {
        let event = books.event(bound);
        assert_eq!(event.outcome, "client_aborted");
        assert_eq!(event.outcome_detail, format!("drain_cap_{bound}"));
        assert_eq!(
            (event.usage_source.as_str(), event.usage_quality.as_str()),
            ("estimated", "missing")
        );
    }
    let output = books.event("tokens").output.expect("counted");
    assert!((20..1_000).contains(&output), "{output} tokens were read");
    assert_eq!(
        books.event("tokens").input,
        i64::try_from(books.truth.answers["tokens"].prompt_tokens).ok()
    );
}
