//! A wire to the store that hangs up in the midst of a call, at a word. All else passes, under the server's own address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::{free_address, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::member::Member;
use super::stand::Stand;

const EVENTS: u64 = 60;
const CHUNK_BYTES: usize = 64 << 10;
/// What only the last question before a member joins asks for.
const LAST_QUESTION: &[u8] = b"engine_full";
/// So many calls with it are never answered.
const UNANSWERED: usize = 2;

/// The wire. Dropping it closes its connections.
struct Wire {
    outside: SocketAddr,
    asked: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Wire {
    async fn start(inside: SocketAddr) -> Self {
        let outside = free_address();
        let listener = TcpListener::bind(outside).await.expect("a free address");
        let asked = Arc::<AtomicUsize>::default();
        let counted = asked.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (app, _) = listener.accept().await.expect("it listens");
                connections.spawn(connection(app, [outside, inside], counted.clone()));
            }
        });
        Self {
            outside,
            asked,
            _serving: serving,
        }
    }
}

async fn connection(app: TcpStream, [outside, inside]: [SocketAddr; 2], asked: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(inside).await else {
        return;
    };
    let (mut from_app, mut to_app) = app.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // As long as each other: ports of five digits on the same host.
    let (ours, theirs) = (outside.to_string(), inside.to_string());
    assert_eq!(ours.len(), theirs.len());
    let asking = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = from_app.read(&mut chunk).await.unwrap_or_default();
            let mut words = chunk[..read].windows(LAST_QUESTION.len());
            let is_last = words.any(|at| at == LAST_QUESTION);
            let hangs_up = is_last && asked.fetch_add(1, Ordering::SeqCst) < UNANSWERED;
            let at = chunk[..read]
                .windows(ours.len())
                .position(|at| at == ours.as_bytes());
            if let Some(at) = at {
                chunk[at..at + ours.len()].copy_from_slice(theirs.as_bytes());
            }
            if read == 0 || hangs_up || to_server.write_all(&chunk[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        _ = tokio::io::copy(&mut from_server, &mut to_app) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_between_the_questions_of_a_start_is_waited_for() {
    let stand = Stand::new().await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    let engine = stand.engine_url();
    let inside = engine.trim_start_matches("http://").parse();
    let wire = Wire::start(inside.expect("an address")).await;
    let outside = format!("http://{}", wire.outside);
    let member = Member::start_with(&stand, "asker", |text| text.replace(&engine, &outside));
    within(
        "the store has all of it",
        stand.holds_exactly(EVENTS, &[&member]),
    )
    .await;
    assert_eq!(wire.asked.load(Ordering::SeqCst), UNANSWERED + 1);
    assert!(member.log().contains("the store is not there yet"));
}
