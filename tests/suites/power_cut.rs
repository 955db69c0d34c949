//! The power goes, again and again, and with it everything that was not synced. What an app has been given whole has its
//! record afterwards; what the provider saw has one; nothing is invented. And disks that fail or are full.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use consumer::{Handle, JournalSource};
use journal::RealLayer;
use journal::testing::{FaultLayer, Operation, Survival};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use simulator::load::Outcome as Seen;
use store::supervisor::Supervisor;
use store::{Client, User};
use tempfile::TempDir;
use tests::{
    App, Ask, Books, DEADLINE, KEYS, Life, MODELS, Sent, Setup, UNREADABLE, eventually,
    read_journal, seed, tollgate, within,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

const POWER_CUTS: u64 = 60;
const CLIENTS: u64 = 12;
/// `EIO` on Linux.
const EIO: i32 = 5;

/// What outlives a life of the gateway.
struct World {
    folder: TempDir,
    layer: FaultLayer,
    simulator: simulator::Simulator,
    config: String,
}

impl World {
    fn new(settings: simulator::Settings) -> Self {
        let simulator = simulator::Simulator::start(simulator::Config {
            settings,
            ..simulator::Config::default()
        });
        let simulator = simulator.expect("the simulator starts");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let setup = Setup {
            durability: ["synced"; 3],
            ..Setup::default()
        };
        Self {
            folder: tempfile::tempdir().expect("a scratch directory"),
            layer: FaultLayer::new(Arc::new(RealLayer)),
            config: setup.toml(any, any, &simulator.base_url()),
            simulator,
        }
    }

    fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    async fn life(&self) -> Life {
        Life::start(&self.config, self.data_dir(), Arc::new(self.layer.clone())).await
    }

    /// The engine has a disk of its own: its power is not cut.
    async fn engine(&self) -> (Supervisor, Client) {
        let engine = Supervisor::start(store::supervisor::Options {
            data_dir: self.data_dir().to_owned(),
            library: None,
            program: tollgate().to_owned(),
            args: vec![
                "engine".into(),
                "--child".into(),
                "--data-dir".into(),
                self.data_dir().into(),
            ],
        });
        let engine = engine.expect("an engine");
        engine.ready(DEADLINE).await.expect("an engine");
        let writer = engine.client(User::Writer, store::DATABASE);
        let migrations = schemas::migrations::ALL.iter().copied();
        store::migrate::migrate(&writer, migrations)
            .await
            .expect("tables");
        (engine, writer)
    }

    fn consume(&self, life: &Life, writer: &Client) -> Handle {
        let source = JournalSource::new(life.journal.clone(), life.producer.as_str());
        let mut options =
            consumer::Options::new(writer.clone(), self.data_dir().join("consumer.cursor"));
        options.linger = std::time::Duration::from_millis(20);
        consumer::spawn(source, options).expect("a consumer")
    }
}

/// What the clients of one life share.
struct Clients {
    app: App,
    life: u64,
    next: AtomicU64,
    done: watch::Sender<u64>,
    power_is_off: AtomicBool,
}

/// What a power cut may take: places of the log that were written and not synced.
type Unsynced = Range<u64>;

fn ask(life: u64, number: u64, rng: &mut StdRng) -> Ask {
    let stream = rng.random_bool(0.5);
    Ask {
        nonce: format!("power-{life}-{number}"),
        key: *KEYS.choose(rng).expect("there are keys"),
        model: MODELS.choose(rng).expect("there are models"),
        stream,
        include_usage: stream && rng.random_bool(0.5),
        max_tokens: rng.random_range(1..12),
        ..Ask::new("")
    }
}

/// Sends until the power goes. What it sees after that moment it can not have seen.
async fn client(shared: Arc<Clients>, mut rng: StdRng) -> Vec<Sent> {
    let mut log = Vec::new();
    while !shared.power_is_off.load(Ordering::SeqCst) {
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        let mut sent = shared
            .app
            .see(ask(shared.life, number, &mut rng), None)
            .await;
        if shared.power_is_off.load(Ordering::SeqCst) {
            (sent.seen, sent.status) = (Seen::NoAnswer, 0);
        }
        log.push(sent);
        shared.done.send_modify(|done| *done += 1);
    }
    log
}

/// One life: requests run, the power is cut at a random point of them.
async fn live_and_die(
    world: &World,
    writer: &Client,
    number: u64,
    rng: &mut StdRng,
) -> (Vec<Sent>, Unsynced) {
    let life = world.life().await;
    let consumer = world.consume(&life, writer);
    let shared = Arc::new(Clients {
        app: life.app(),
        life: number,
        next: AtomicU64::new(0),
        done: watch::Sender::new(0),
        power_is_off: AtomicBool::new(false),
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(shared.clone(), StdRng::from_rng(rng)));
    }
    let point = rng.random_range(1..120);
    let mut done = shared.done.subscribe();
    within("requests run", done.wait_for(|done| *done >= point))
        .await
        .expect("clients run");
    let survival = if rng.random_bool(0.3) {
        Survival::Nothing
    } else {
        Survival::Random { seed: rng.random() }
    };
    shared.power_is_off.store(true, Ordering::SeqCst);
    let synced_end = life.journal.synced_end();
    world.layer.power_cut(survival).expect("the power goes");
    let unsynced = synced_end..life.journal.stats().end;
    consumer.abort();
    tokio::task::spawn_blocking(move || consumer.join())
        .await
        .expect("the consumer ends");
    life.end_abruptly().await;
    world.layer.restart();
    let logs = within("clients notice", clients.join_all()).await;
    (logs.into_iter().flatten().collect(), unsynced)
}

/// A last life, which closes what the others left open and fills the store.
async fn settle(world: &World, engine: &Supervisor, writer: &Client) -> Books {
    let life = world.life().await;
    let consumer = world.consume(&life, writer);
    consumer.drain();
    let status = within("the store is filled", consumer.ended()).await;
    assert_eq!(status.state, consumer::State::Ended, "{status:?}");
    let books = Books::of(
        world.data_dir(),
        &engine.client(User::Reader, store::DATABASE),
        &world.simulator,
    )
    .await;
    life.stop().await;
    books
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_takes_a_record_of_what_was_given() {
    let mut rng = seed("power_cut");
    let world = World::new(simulator::Settings {
        latency_jitter_ms: 4,
        chunk_jitter_ms: 2,
        p_429: 0.03,
        p_reset_mid: 0.03,
        p_no_usage: 0.03,
        ..simulator::Settings::default()
    });
    let (engine, writer) = world.engine().await;
    let (mut sent, mut lost) = (BTreeMap::new(), Vec::new());
    for number in 0..POWER_CUTS {
        let (log, unsynced) = live_and_die(&world, &writer, number, &mut rng).await;
        lost.push(unsynced);
        sent.extend(log.into_iter().map(|sent| (sent.ask.nonce.clone(), sent)));
    }
    let books = settle(&world, &engine, &writer).await;
    engine.stop().await;
    println!(
        "{} requests, {} copies in audit_log, {:#?}",
        sent.len(),
        books.surplus_copies(),
        books.outcomes()
    );
    let mut faults = books.faults(&sent);
    faults.retain(|fault| !fault.starts_with(UNREADABLE));
    for damage in &books.journal.damaged {
        let is_excused = |unsynced: &Unsynced| {
            unsynced.start <= damage.first_position && damage.next_position <= unsynced.end
        };
        assert!(lost.iter().any(is_excused), "synced, and lost: {damage:?}");
    }
    let first: Vec<_> = faults.iter().take(10).collect();
    assert!(
        faults.is_empty(),
        "{} faults, the first: {first:#?}",
        faults.len()
    );
    let whole = sent
        .values()
        .filter(|sent| sent.seen == Seen::Complete)
        .count();
    assert!(whole > 500, "{whole} answers were whole");
    assert!(
        books.events.iter().any(|event| event.outcome == "unknown"),
        "some were cut off"
    );
}

async fn readyz(life: &Life) -> u16 {
    let url = format!("http://{}/readyz", life.ops_address());
    reqwest::get(url)
        .await
        .expect("the operators' door is open")
        .status()
        .as_u16()
}

/// New work is refused in the provider's shape, and the gateway is not ready.
async fn must_refuse(life: &Life, nonce: &str) {
    let refused = life.app().call(&Ask::new(nonce)).await.expect("an answer");
    assert_eq!(
        (refused.status, refused.error_code().as_deref()),
        (503, Some("metering_unavailable"))
    );
    eventually("the gateway is not ready", async || {
        (readyz(life).await == 503).then_some(())
    })
    .await;
}

fn all_are_closed(world: &World, admitted: usize) {
    let journal = read_journal(world.data_dir());
    assert_eq!(journal.open_admissions(), []);
    assert_eq!(journal.doubled(), []);
    assert_eq!(journal.admissions.len(), admitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_sync_stops_new_work_until_a_restart() {
    let world = World::new(simulator::Settings::default());
    let life = world.life().await;
    let fine = life
        .app()
        .call(&Ask::new("before"))
        .await
        .expect("an answer");
    assert_eq!((fine.status, readyz(&life).await), (200, 200));
    let ask = Ask::new("running")
        .streamed()
        .tokens(20)
        .ordering("stall_mid=3:200");
    let mut running = life.app().begin(&ask).await.expect("a stream");
    assert!(running.chunk().await.expect("a chunk").is_some());
    world.layer.fail_always(Operation::Sync, Some(EIO));
    eventually("the failure is met", async || {
        (readyz(&life).await == 503).then_some(())
    })
    .await;
    must_refuse(&life, "refused").await;
    world.layer.fail_always(Operation::Sync, None);
    must_refuse(&life, "still-refused").await;
    drop(running.bytes().await);
    life.stop().await;
    let life = world.life().await;
    let fine = life
        .app()
        .call(&Ask::new("after"))
        .await
        .expect("an answer");
    assert_eq!((fine.status, readyz(&life).await), (200, 200));
    life.stop().await;
    all_are_closed(&world, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_work_and_closes_what_was_admitted() {
    let world = World::new(simulator::Settings::default());
    let life = world.life().await;
    let ask = Ask::new("running")
        .model(MODELS[2])
        .streamed()
        .tokens(20)
        .ordering("stall_mid=3:600000");
    let mut running = life.app().begin(&ask).await.expect("a stream");
    assert!(running.chunk().await.expect("a chunk").is_some());
    world.layer.set_disk_bytes(Some(world.layer.used_bytes()));
    let mut taken = 1;
    loop {
        let answer = life
            .app()
            .call(&Ask::new(format!("filling-{taken}")))
            .await
            .expect("an answer");
        if answer.status != 200 {
            break;
        }
        taken += 1;
    }
    must_refuse(&life, "refused").await;
    drop(running);
    eventually("what was admitted is closed", async || {
        read_journal(world.data_dir())
            .open_admissions()
            .is_empty()
            .then_some(())
    })
    .await;
    world.layer.set_disk_bytes(None);
    eventually("with room it is ready again", async || {
        (readyz(&life).await == 200).then_some(())
    })
    .await;
    let fine = life
        .app()
        .call(&Ask::new("after"))
        .await
        .expect("an answer");
    assert_eq!(fine.status, 200);
    life.stop().await;
    all_are_closed(&world, taken + 1);
}
