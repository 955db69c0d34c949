//! What the serving process takes of the machine: bounds of its memory, with a thousand slow readers of long answers and with
//! ordinary traffic, and whose threads go first.

use std::net::SocketAddr;

use rustix::process::{Pid, Resource, Rlimit, getpriority_process, getrlimit, setrlimit};
use simulator::Count;
use simulator::load::{Load, LoadSettings, Stop};
use store::{DataDir, Endpoint};
use tests::{Ask, KEYS, MODELS, Setup, Stack, eventually, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

const READERS: usize = 1_000;
const ANSWER_BYTES: usize = 10 << 20;
/// What a slow reader takes before it pauses: more than all buffers on the way hold at first.
const SIP_BYTES: usize = 1 << 20;
/// So many readers go on to the end while the others pause.
const FINISHERS: usize = 50;
const SLOW_READERS_KIB: u64 = 256 << 10;
const ORDINARY_KIB: u64 = 48 << 10;
/// A reader's own buffer in the kernel, in bytes.
const RECEIVE_BUFFER: u32 = 32 << 10;

/// Every reader needs a socket here, in the gateway twice, and in the provider.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).expect("the soft limit may be raised to the hard one");
}

/// An app that reads when it pleases.
struct Reader {
    stream: TcpStream,
    read_bytes: usize,
    tail: Vec<u8>,
}

impl Reader {
    async fn begin(address: SocketAddr, ask: &Ask) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(RECEIVE_BUFFER)
            .expect("a small buffer");
        let mut stream = socket
            .connect(address)
            .await
            .expect("the gateway takes connections");
        let body = ask.body();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
             x-client-request-id: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            ask.key.secret,
            ask.nonce,
            body.len()
        );
        stream
            .write_all(head.as_bytes())
            .await
            .expect("a request is sent");
        stream.write_all(&body).await.expect("a request is sent");
        Self {
            stream,
            read_bytes: 0,
            tail: Vec::new(),
        }
    }

    /// Reads on until so many bytes have come, or to the end.
    async fn read_to(&mut self, bytes: usize) {
        let mut buffer = vec![0; 16 << 10];
        while self.read_bytes < bytes {
            let read = self
                .stream
                .read(&mut buffer)
                .await
                .expect("the answer goes on");
            if read == 0 {
                return;
            }
            self.read_bytes += read;
            self.tail.extend_from_slice(&buffer[..read]);
            self.tail.drain(..self.tail.len().saturating_sub(64));
        }
    }
}

fn long_answer(number: usize) -> Ask {
    Ask {
        stream: number.is_multiple_of(2),
        ..Ask::new(format!("slow-{number}"))
            .key(KEYS[number % KEYS.len()])
            .model(MODELS[2])
            .ordering(format!("big={ANSWER_BYTES}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_readers_of_long_answers_are_kept_within_the_bound() {
    raise_descriptor_limit();
    let stack = Stack::start(Setup {
        simulator: simulator::Settings {
            count: Count::Bytes,
            ..simulator::Settings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut sipping = JoinSet::new();
    for number in 0..READERS {
        let address = stack.app_address();
        sipping.spawn(async move {
            let mut reader = Reader::begin(address, &long_answer(number)).await;
            reader.read_to(SIP_BYTES).await;
            assert_eq!(&reader.tail.len(), &64, "reader {number} is being answered");
            reader
        });
    }
    let readers = within("all readers are being answered", sipping.join_all()).await;
    assert_eq!(
        stack.metric("open_requests").await,
        Some(1_000),
        "all at once"
    );
    println!("all pause: {} KiB", stack.serving.resident_kib());
    let mut finishing = JoinSet::new();
    let mut pausing = readers;
    for mut reader in pausing.split_off(READERS - FINISHERS) {
        finishing.spawn(async move {
            reader.read_to(usize::MAX).await;
            reader
        });
    }
    for reader in within("some read to the end", finishing.join_all()).await {
        assert!(
            reader.read_bytes > ANSWER_BYTES / 10 * 9,
            "{} bytes",
            reader.read_bytes
        );
    }
    let peak = stack.serving.peak_resident_kib();
    println!("peak: {peak} KiB");
    assert!(
        peak <= SLOW_READERS_KIB,
        "{peak} KiB resident for {READERS} slow readers"
    );
    drop(pausing);
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_traffic_needs_little() {
    raise_descriptor_limit();
    let stack = Stack::start(Setup::default()).await;
    for stream in [false, true] {
        let load = Load::new(LoadSettings {
            url: stack.chat_url(),
            api_key: Some(KEYS[0].secret.to_owned()),
            connections: 64,
            stop: Stop::Requests(1_000),
            nonce_prefix: format!("ordinary-{stream}"),
            stream,
            ..LoadSettings::default()
        });
        let run = within("a thousand requests", load.run()).await;
        let report = run.expect("the load generator runs").report;
        assert!(report.is_clean(), "{report:?}");
    }
    let books = stack.settled().await;
    assert_eq!(books.events.len(), 2_000);
    assert!(
        books
            .events
            .iter()
            .all(|event| event.usage_source == "provider"),
        "nothing was estimated"
    );
    let (resident, peak) = (
        stack.serving.resident_kib(),
        stack.serving.peak_resident_kib(),
    );
    println!("resident {resident} KiB, peak {peak} KiB");
    assert!(
        resident <= ORDINARY_KIB,
        "{resident} KiB resident after ordinary traffic"
    );
}

/// How nice this thread is.
fn own_priority() -> i32 {
    getpriority_process(None).expect("this thread has a priority")
}

/// How nice the threads of a process are, by name.
fn threads(pid: u32) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    // One that has ended meanwhile says nothing.
    let told = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let priority = getpriority_process(Pid::from_raw(id)).ok()?;
        Some((name.trim_end().to_owned(), priority))
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_serve_go_before_the_consumer_and_the_engine() {
    let stack = Stack::start(Setup::default()).await;
    let (first, behind) = (own_priority(), 19.min(own_priority() + 10));
    // It begins when the engine answers.
    let consumer = ("tg-consumer".to_owned(), behind);
    let all = eventually("a consumer steps behind", async || {
        let all = threads(stack.serving.pid());
        all.contains(&consumer).then_some(all)
    })
    .await;
    for (name, nice) in [
        ("tg-gateway", first),
        ("tg-journal", first),
        ("tg-consumer", behind),
    ] {
        let of_name: Vec<_> = all.iter().filter(|(of, _)| of == name).collect();
        assert!(!of_name.is_empty(), "{name} is among {all:?}");
        assert!(of_name.iter().all(|(_, of)| *of == nice), "{all:?}");
    }
    let engine = Endpoint::of_running(&DataDir::new(stack.data_dir())).expect("an engine runs");
    let all = threads(engine.pid);
    // One that watches over the engine's memory takes another priority by itself, where it may.
    let all = all.into_iter().filter(|(name, _)| name != "MemoryWorker");
    let all: Vec<_> = all.collect();
    assert!(all.iter().all(|(_, nice)| *nice == behind), "{all:?}");
}
