//! A gateway from its start to its stop on a disk that takes nothing.

use journal::testing::Operation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::unsettled::tests::{Fixed, disk};

const EIO: i32 = 5;
const CALL: &[u8] = b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";

/// Calls without a key.
async fn refused(door: SocketAddr) {
    let mut connection = TcpStream::connect(door).await.unwrap();
    connection.write_all(CALL).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn refusals_that_the_disk_never_takes_are_counted_at_the_stop() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings {
        listen: any,
        ops_listen: any,
        ..Settings::default()
    };
    let start = Start {
        config: Config {
            settings,
            ..Config::default()
        },
        config_text: String::new(),
        data_dir: folder.path().to_owned(),
        journal: journal::Options::new(folder.path().join("journal")),
        layer: Arc::new(layer.clone()),
        clock: Arc::new(Fixed),
        tracer: None,
    };
    let mut registry = Registry::default();
    let prepared = prepare(start, &mut registry).await.unwrap();
    let running = prepared.serve(Arc::new(registry));
    let metrics = running.gate.metrics.clone();
    let counts = || {
        let (waiting, given_up) = (&metrics.waiting_refusals, &metrics.unrecorded_refusals);
        (waiting.get(), given_up.get())
    };
    layer.fail_always(Operation::Write, Some(EIO));
    for _call in 0..3 {
        refused(running.app_address()).await;
    }
    assert_eq!(counts(), (3, 0), "a refusal is answered, and waits");
    running.stop().await;
    assert_eq!(counts(), (0, 3));
}

#[tokio::test]
async fn an_app_that_does_not_read_holds_little_of_the_kernels_memory() {
    let door = listen(SocketAddr::from(([127, 0, 0, 1], 0)), "listen").unwrap();
    let _app = TcpStream::connect(door.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = door.accept().await.unwrap();
    let unsent = socket2::SockRef::from(&accepted).tcp_notsent_lowat();
    assert_eq!(unsent.unwrap(), UNSENT_BYTES);
}
