//! A price file that is replaced while the service starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use billing::api::{Book, Settings, Start, start};
use prometheus_client::encoding::text::encode;
use store::{Client, Password};

use super::door::{Stopped, price_file};

#[tokio::test(flavor = "multi_thread")]
async fn a_price_file_that_is_replaced_during_the_start_is_news() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("prices.csv");
    std::fs::write(&path, price_file()).expect("a file");
    let book = Book::open(Some(&path)).expect("a price book");
    // What was read is in force; what stands in the file from here on is not.
    std::fs::write(&path, price_file().replace("2.5", "3.5")).expect("a file");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings: Settings = toml::from_str(&format!("listen = \"{listen}\"")).expect("settings");
    let running = start(Start {
        settings,
        client: Client::connect(
            "http://127.0.0.1:9",
            "reader",
            Password::new("p"),
            "tollgate",
        ),
        book,
        spool_dir: folder.path().join("spool"),
        clock: Arc::new(Stopped),
    })
    .await
    .expect("it starts");
    let registry = running.registry();
    let taken = async {
        loop {
            let mut text = String::new();
            encode(&mut text, &registry).expect("metrics");
            if text.contains("what=\"prices\",result=\"taken\"} 1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), taken).await;
    in_time.expect("the new file is in force");
    running.stop().await;
}
