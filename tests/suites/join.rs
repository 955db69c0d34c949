//! The join: three books about 20,000 requests, kept by the client, the provider and the ledger, while the serving process
//! and the engine are killed again and again. They must agree, request by request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use simulator::load::Outcome as Seen;
use tests::{App, Ask, Books, KEYS, MODELS, Sent, Setup, Stack, eventually, listens, seed, within};
use tokio::sync::watch;
use tokio::task::JoinSet;

const REQUESTS: u64 = 20_000;
const CLIENTS: u64 = 48;
/// Every kind of fault this often.
const ROUNDS: usize = 4;
/// One request in so many goes away before its answer is whole.
const ONE_LEAVES_IN: u32 = 25;

/// A way to hurt the stack.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9` of the serving process, at once.
    Serving,
    /// The same, by itself, at a named point.
    ServingAt(&'static str),
    /// `kill -9` of the engine.
    Engine,
    /// Both, the engine first.
    Both,
}

const FAULTS: [Fault; 12] = [
    Fault::Serving,
    Fault::Serving,
    Fault::ServingAt("gateway.after_admission"),
    Fault::ServingAt("gateway.before_outcome"),
    Fault::ServingAt("gateway.after_outcome"),
    Fault::ServingAt("consumer.between_insert_and_commit"),
    Fault::ServingAt("consumer.after_commit"),
    Fault::Engine,
    Fault::Engine,
    Fault::Engine,
    Fault::Engine,
    Fault::Both,
];

/// A provider with every vice.
fn provider() -> simulator::Settings {
    simulator::Settings {
        latency_jitter_ms: 30,
        chunk_jitter_ms: 3,
        cached_tokens: 3,
        stall_ms: 250,
        p_429: 0.02,
        p_500: 0.01,
        p_502_html: 0.005,
        p_503: 0.005,
        p_reset_before_head: 0.01,
        p_reset_mid: 0.01,
        p_reset_before_usage: 0.01,
        p_stall_before_head: 0.003,
        p_stall_mid: 0.003,
        p_no_usage: 0.02,
        p_no_stream_usage: 0.02,
        p_error_event: 0.01,
        p_json_for_stream: 0.01,
        p_html_200: 0.005,
        ..simulator::Settings::default()
    }
}

fn ask(number: u64, attempt: u32, rng: &mut StdRng) -> Ask {
    let stream = rng.random_bool(0.5);
    Ask {
        nonce: format!("join-{number}-{attempt}"),
        key: *KEYS.choose(rng).expect("there are keys"),
        model: MODELS.choose(rng).expect("there are models"),
        stream,
        include_usage: stream && rng.random_bool(0.3),
        prompt: "What did the bridge say to the river? ".repeat(rng.random_range(1..6)),
        max_tokens: rng.random_range(1..32),
        order: None,
    }
}

/// What all clients share.
struct Clients {
    app: App,
    door: std::net::SocketAddr,
    next: AtomicU64,
    done: AtomicU64,
    budget: watch::Sender<Budget>,
}

/// How many requests may be sent by now: faults are spread over requests, so clients must not run ahead of them.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    requests: u64,
    is_final: bool,
}

impl Clients {
    fn allow(&self, requests: u64) {
        self.budget
            .send_modify(|budget| budget.requests = budget.requests.max(requests));
    }

    fn allow_more(&self) {
        self.budget.send_modify(|budget| budget.requests += 2);
    }

    /// The next request's number, once it may be sent; `None` when all are.
    async fn number(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut budget = self.budget.subscribe();
        let budget = budget
            .wait_for(|budget| budget.is_final || number < budget.requests)
            .await
            .expect("the budget outlives its readers");
        (number < budget.requests).then_some(number)
    }
}

/// Sends its share. While there is nobody to connect to it waits, and sends the next try under another nonce.
async fn client(shared: Arc<Clients>, mut rng: StdRng) -> Vec<Sent> {
    let mut log = Vec::new();
    while let Some(number) = shared.number().await {
        for attempt in 0.. {
            let leaves = rng.random_ratio(1, ONE_LEAVES_IN);
            let patience = leaves.then(|| Duration::from_micros(rng.random_range(500..60_000)));
            let sent = shared
                .app
                .see(ask(number, attempt, &mut rng), patience)
                .await;
            let is_down = sent.seen == Seen::NotConnected;
            log.push(sent);
            if !is_down {
                break;
            }
            listens(shared.door).await;
        }
        shared.done.fetch_add(1, Ordering::Relaxed);
    }
    log
}

/// How often what was killed.
#[derive(Debug, Default)]
struct Kills {
    serving: usize,
    engine: usize,
}

async fn hurt(stack: &mut Stack, clients: &Clients, fault: Fault, rng: &mut StdRng) -> Kills {
    let mut kills = Kills::default();
    match fault {
        Fault::Serving => {
            stack.restart().await;
            kills.serving += 1;
        }
        Fault::ServingAt(point) => {
            let times = if point.starts_with("consumer") {
                rng.random_range(1..3)
            } else {
                rng.random_range(1..60)
            };
            stack.kill();
            stack.start_again(Some(&format!("{point}:{times}")));
            let status = eventually("the failpoint is reached", async || {
                clients.allow_more();
                stack.serving.ended()
            })
            .await;
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9),
                "dies at {point}"
            );
            stack.start_again(None);
            stack.ready().await;
            kills.serving += 2;
        }
        Fault::Engine => {
            stack.kill_engine().await;
            kills.engine += 1;
        }
        Fault::Both => {
            stack.kill_engine().await;
            stack.restart().await;
            kills.engine += 1;
            kills.serving += 1;
        }
    }
    kills
}

/// Spreads the faults, in random order, over the requests.
async fn hurt_again_and_again(stack: &mut Stack, clients: &Clients, rng: &mut StdRng) -> Kills {
    let mut faults = FAULTS.repeat(ROUNDS);
    faults.shuffle(rng);
    let mut kills = Kills::default();
    let stretch = REQUESTS / (faults.len() as u64 + 1);
    for (number, fault) in (1..).zip(faults) {
        let from = number * stretch - rng.random_range(0..stretch);
        clients.allow(number * stretch);
        eventually("requests go on", async || {
            (clients.done.load(Ordering::Relaxed) >= from).then_some(())
        })
        .await;
        let more = hurt(stack, clients, fault, rng).await;
        kills.serving += more.serving;
        kills.engine += more.engine;
    }
    clients.allow(REQUESTS);
    clients.budget.send_modify(|budget| budget.is_final = true);
    kills
}

fn assert_not_vacuous(books: &Books, sent: &BTreeMap<String, Sent>) {
    let with = |outcome: &str| {
        books
            .events
            .iter()
            .filter(|event| event.outcome == outcome)
            .count()
    };
    let (completed, unknown) = (with("completed"), with("unknown"));
    assert!(completed as u64 > REQUESTS / 2, "{completed} completed");
    assert!(unknown > 0, "some were killed in the middle");
    let whole = sent
        .values()
        .filter(|sent| sent.seen == Seen::Complete)
        .count();
    assert!(whole as u64 > REQUESTS / 2, "{whole} answers were whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_books_agree_whatever_is_killed() {
    let mut rng = seed("join");
    let mut stack = Stack::start(Setup {
        simulator: provider(),
        audit_seconds: 5,
        ..Setup::default()
    })
    .await;
    let shared = Arc::new(Clients {
        app: stack.app(),
        door: stack.app_address(),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        budget: watch::Sender::default(),
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(shared.clone(), StdRng::from_rng(&mut rng)));
    }
    let kills = hurt_again_and_again(&mut stack, &shared, &mut rng).await;
    let logs = within("the last requests", clients.join_all()).await;
    let sent = logs.into_iter().flatten();
    let sent: BTreeMap<String, Sent> = sent.map(|sent| (sent.ask.nonce.clone(), sent)).collect();
    let books = stack.settled().await;
    println!(
        "{kills:?}, {} copies in audit_log, events {:#?}",
        books.surplus_copies(),
        books.outcomes()
    );
    let faults = books.faults(&sent);
    let first: Vec<_> = faults.iter().take(10).collect();
    assert!(
        faults.is_empty(),
        "{} faults, the first: {first:#?}",
        faults.len()
    );
    assert!(kills.serving >= 20 && kills.engine >= 20, "{kills:?}");
    assert_not_vacuous(&books, &sent);
}
