//! The apps: requests over both gateways, each under a number of its own that ties the three books together, and the client's
//! book, a few bytes a request. They do not run ahead of the faults.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use simulator::load::Outcome as Seen;
use tests::{App, Ask, KEYS, MODELS, listens};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: usize = 48;
/// One request in so many goes away before its answer is whole.
const ONE_LEAVES_IN: u32 = 50;
/// One request in so many is of the tenant whose records wait for Kafka.
const ONE_WAITS_IN: u32 = 25;
/// Where that tenant's keys begin.
const WAITING_KEYS: usize = 5;

/// A request as its client knows it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Its number.
    pub number: u32,
    /// What came of it.
    pub seen: Seen,
    /// HTTP status; 0 for none.
    pub status: u16,
    /// Which of [`KEYS`].
    pub key: u8,
}

/// How many requests may be sent by now.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    requests: u64,
    is_final: bool,
}

/// What all clients share.
pub struct Load {
    apps: [App; 2],
    doors: [SocketAddr; 2],
    numbers: AtomicU32,
    begun: AtomicU64,
    done: AtomicU64,
    /// Answers 200 of each gateway, and 503 to those who do not wait for Kafka.
    served: [[AtomicU64; 2]; 2],
    budget: watch::Sender<Budget>,
}

/// The number in a nonce.
pub fn number_of(nonce: &str) -> Option<u32> {
    nonce.strip_prefix('x')?.parse().ok()
}

impl Load {
    /// Apps of these gateways.
    pub fn new(doors: [SocketAddr; 2]) -> Self {
        Self {
            apps: doors.map(|door| App::of(format!("http://{door}/v1/chat/completions"))),
            doors,
            numbers: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            served: <[[AtomicU64; 2]; 2]>::default(),
            budget: watch::Sender::default(),
        }
    }

    /// So many may have been sent by now.
    pub fn allow(&self, requests: u64) {
        let more = |budget: &mut Budget| {
            let is_more = requests > budget.requests && !budget.is_final;
            budget.requests = budget.requests.max(requests);
            is_more
        };
        self.budget.send_if_modified(more);
    }

    /// So many in all, or as many as there are already.
    pub fn finish(&self, requests: u64) {
        self.allow(requests);
        self.budget.send_modify(|budget| budget.is_final = true);
    }

    /// Requests that have an end.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Answers of a gateway that were 200, and those that were 503 to tenants that do not wait for Kafka.
    pub fn served(&self, gateway: usize) -> (u64, u64) {
        let [fine, refused] = &self.served[gateway];
        (
            fine.load(Ordering::Relaxed),
            refused.load(Ordering::Relaxed),
        )
    }

    /// Numbers that were used.
    pub fn numbers(&self) -> usize {
        self.numbers.load(Ordering::Relaxed) as usize
    }

    async fn may_begin(&self) -> bool {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut budget = self.budget.subscribe();
        let budget = budget
            .wait_for(|budget| budget.is_final || begun < budget.requests)
            .await
            .expect("the budget outlives its readers");
        begun < budget.requests
    }

    async fn send(&self, gateway: usize, rng: &mut StdRng) -> Line {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let leaves = rng.random_ratio(1, ONE_LEAVES_IN);
        let patience = leaves.then(|| Duration::from_micros(rng.random_range(500..20_000)));
        let key = key(rng);
        let ask = ask(number, key, rng);
        let sent = self.apps[gateway].see(ask, patience).await;
        match sent.status {
            200 => self.served[gateway][0].fetch_add(1, Ordering::Relaxed),
            503 if key < WAITING_KEYS => self.served[gateway][1].fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        Line {
            number,
            seen: sent.seen,
            status: sent.status,
            key: u8::try_from(key).expect("few keys"),
        }
    }
}

fn key(rng: &mut StdRng) -> usize {
    if rng.random_ratio(1, ONE_WAITS_IN) {
        rng.random_range(WAITING_KEYS..KEYS.len())
    } else {
        rng.random_range(0..WAITING_KEYS)
    }
}

fn ask(number: u32, key: usize, rng: &mut StdRng) -> Ask {
    let stream = rng.random_bool(0.5);
    Ask {
        nonce: format!("x{number}"),
        key: KEYS[key],
        model: MODELS[rng.random_range(0..MODELS.len())],
        stream,
        include_usage: stream && rng.random_bool(0.3),
        prompt: "What did the bridge say? ".repeat(rng.random_range(1..4)),
        max_tokens: rng.random_range(1..8),
        order: None,
    }
}

/// Begins to send; gives the clients' books in the end.
pub fn begin(load: &Arc<Load>, rng: &mut StdRng) -> JoinSet<Vec<Line>> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(load.clone(), StdRng::from_rng(rng)));
    }
    clients
}

/// Sends its share, to either gateway. Where nobody listens it asks the other, under another number.
async fn client(load: Arc<Load>, mut rng: StdRng) -> Vec<Line> {
    let mut book = Vec::new();
    while load.may_begin().await {
        let mut gateway = rng.random_range(0..load.apps.len());
        loop {
            let line = load.send(gateway, &mut rng).await;
            book.push(line);
            if line.seen != Seen::NotConnected {
                break;
            }
            gateway = tokio::select! {
                () = listens(load.doors[0]) => 0,
                () = listens(load.doors[1]) => 1,
            };
        }
        load.done.fetch_add(1, Ordering::Relaxed);
    }
    book
}
