//! Allocations of a request: how many, and how many bytes, on the thread that serves. The gateway runs in this process on one
//! thread, with keys, journal and records, as it is shipped but for its consumer; provider and load have another thread, which is
//! not counted. A vector that grows counts as one more. Prints a table, and writes it into a page if one is named.
//!
//! `cargo run --release -p tests --features allocations --example allocations -- [PAGE]`

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use gateway::config::{Config, Deployment, Route, Settings, Tenant};
use prometheus_client::registry::Registry;
use schemas::{Clock, Micros};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use simulator::load::{Load, LoadSettings, Stop};
use simulator::{Count, Simulator};
use tokio::sync::oneshot;

const KEY: &str = "tg-allocations";
const BEGIN: &str = "<!-- allocations:begin, written by `make bench-allocations` -->";
const END: &str = "<!-- allocations:end -->";
const CONNECTIONS: usize = 8;
const REQUESTS: u64 = 2_000;
const STREAMS: u64 = 80;
/// The difference of these two is the cost of an event without that of a request.
const SHORT_EVENTS: u64 = 50;
const LONG_EVENTS: u64 = 250;

const IDLE_STREAMS: u64 = 500;
const OPENING: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(8);

/// A load, and who waits for its end.
type Order = (LoadSettings, oneshot::Sender<()>);

/// What one of many needed.
#[derive(Clone, Copy)]
struct Each {
    allocations: f64,
    bytes: f64,
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        Micros(runtime::clock::now_us())
    }
}

#[derive(Deserialize)]
struct File {
    gateway: Settings,
    deployments: Vec<Deployment>,
    routes: Vec<Route>,
    tenants: Vec<Tenant>,
}

fn main() {
    let (addresses, address) = channel();
    let (orders, ordered) = channel::<Order>();
    let provider = std::thread::spawn(move || provide(&addresses, &ordered));
    let folder = tempfile::tempdir().expect("a scratch directory");
    let serving = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let base_url: String = address.recv().expect("the provider starts");
    let running = serving.block_on(start(folder.path(), &base_url));
    let url = format!("http://{}/v1/chat/completions", running.app_address());

    let measure = |settings: LoadSettings, requests: u64| {
        let run = |requests| {
            let (done, end) = oneshot::channel();
            let settings = LoadSettings {
                stop: Stop::Requests(requests),
                ..settings.clone()
            };
            orders.send((settings, done)).expect("the load runs");
            serving.block_on(end).expect("VOID: the load failed");
        };
        run(requests / 10);
        let counted = allocation_counter::measure(|| run(requests));
        Each::of(counted, requests)
    };
    let small = LoadSettings {
        url,
        api_key: Some(KEY.to_owned()),
        connections: CONNECTIONS,
        ..LoadSettings::default()
    };
    let stream = |events| LoadSettings {
        stream: true,
        include_usage: true,
        max_tokens: events,
        // Each event comes alone, as from a model.
        order: Some("chunk_delay=1".to_owned()),
        ..small.clone()
    };
    let prompt = LoadSettings {
        prompt_bytes: 100_000,
        ..small.clone()
    };
    let request = measure(small.clone(), REQUESTS);
    let (short, long) = (
        measure(stream(SHORT_EVENTS), STREAMS),
        measure(stream(LONG_EVENTS), STREAMS),
    );
    let prompt = measure(prompt, REQUESTS);
    // Streams that have their first content, and nothing happens in them.
    let (done, end) = oneshot::channel();
    let idle = LoadSettings {
        connections: usize::try_from(IDLE_STREAMS).expect("few"),
        stop: Stop::Requests(IDLE_STREAMS),
        order: Some(format!("stall_mid=1:{}", (OPENING + IDLE).as_millis())),
        stagger_ms: u64::try_from(OPENING.as_millis()).expect("short"),
        ..stream(SHORT_EVENTS)
    };
    let held = allocation_counter::measure(|| {
        orders.send((idle, done)).expect("the load runs");
        // Made inside of the runtime, whose clock it needs.
        serving.block_on(async { tokio::time::sleep(OPENING + IDLE / 2).await });
    });
    serving.block_on(end).expect("VOID: the load failed");
    serving.block_on(running.stop());
    drop(orders);
    provider.join().expect("the provider ends");

    let text = table(&[
        ("a small request, answered whole", request),
        ("a stream of 50 events", short),
        ("one more event of a stream", Each::more(short, long)),
        ("a request with 100 kB of prompt", prompt),
        (
            "a stream in which nothing happens, while it is open",
            Each::held(held, IDLE_STREAMS),
        ),
    ]);
    print!("{text}");
    if let Some(page) = std::env::args().nth(1) {
        write(Path::new(&page), &text);
    }
}

impl Each {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn of(counted: AllocationInfo, requests: u64) -> Self {
        Self {
            allocations: counted.count_total as f64 / requests as f64,
            bytes: counted.bytes_total as f64 / requests as f64,
        }
    }

    /// What is not given back yet.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn held(counted: AllocationInfo, streams: u64) -> Self {
        Self {
            allocations: counted.count_current as f64 / streams as f64,
            bytes: counted.bytes_current as f64 / streams as f64,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    fn more(short: Self, long: Self) -> Self {
        let events = (LONG_EVENTS - SHORT_EVENTS) as f64;
        Self {
            allocations: (long.allocations - short.allocations) / events,
            bytes: (long.bytes - short.bytes) / events,
        }
    }
}

/// The provider and the load, on a thread that is not counted.
fn provide(addresses: &Sender<String>, ordered: &Receiver<Order>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = simulator::Config {
        settings: simulator::Settings {
            count: Count::Bytes,
            ..simulator::Settings::default()
        },
        ..simulator::Config::default()
    };
    let simulator = {
        let _inside = runtime.enter();
        Simulator::start(config).expect("the provider starts")
    };
    addresses.send(simulator.base_url()).expect("it is awaited");
    while let Ok((settings, done)) = ordered.recv() {
        let run = runtime.block_on(Load::new(settings).run());
        let report = run.expect("the load runs").report;
        assert!(report.is_clean(), "VOID: {:?}", report.errors);
        done.send(()).expect("it is awaited");
    }
    runtime.block_on(simulator.shutdown());
}

async fn start(folder: &Path, base_url: &str) -> gateway::Running {
    let digest = hex::encode(Sha256::digest(KEY));
    let text = format!(
        "[gateway]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n\
         [[deployments]]\nid = \"simulator\"\nprovider = \"openai\"\nbase_url = \"{base_url}\"\nauth = \"none\"\nsynthetic = true\n\
         [[routes]]\nmodel = \"gpt-4o-mini\"\ndeployment = \"simulator\"\n\
         [[tenants]]\nid = \"bench\"\n[[tenants.projects]]\nid = \"bench\"\nkeys = [{{ id = \"bench\", sha256 = \"{digest}\" }}]\n"
    );
    let file: File = toml::from_str(&text).expect("a configuration");
    let start = gateway::Start {
        config: Config {
            settings: file.gateway,
            deployments: file.deployments,
            routes: file.routes,
            tenants: file.tenants,
            kafka: None,
        },
        config_text: text,
        data_dir: folder.to_owned(),
        journal: journal::Options::new(folder.join("journal")),
        layer: Arc::new(journal::RealLayer),
        clock: Arc::new(SystemClock),
        tracer: None,
    };
    let mut registry = Registry::with_prefix("tollgate");
    let prepared = gateway::prepare(start, &mut registry).await;
    prepared.expect("a gateway").serve(Arc::new(registry))
}

fn table(rows: &[(&str, Each)]) -> String {
    let rows = rows
        .iter()
        .map(|(what, each)| format!("| {what} | {:.1} | {:.0} |\n", each.allocations, each.bytes));
    let rows: String = rows.collect();
    format!("\n| | allocations | bytes |\n|---|---:|---:|\n{rows}")
}

/// Puts the table between the marks of a page.
fn write(page: &Path, text: &str) {
    let old = std::fs::read_to_string(page).expect("the page can be read");
    let marked = old.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = marked.expect("the page has marks for the table");
    let new = format!("{before}{BEGIN}\n{text}\n{END}{after}");
    std::fs::write(page, new).expect("the page can be written");
}
