//! How long a chargeback takes: of a month of ten million events, of one tenant of it, and as months are added to the ledger. The engine
//! is as it is shipped; the rows are made and written as the consumer does it. Prints the figures and PASS or FAIL; exit code 1
//! if a report takes longer than it may, or is not of all events.
//!
//! `make bench-ledger`, or `cargo run --release -p tests --example ledger -- [EVENTS] [ROUNDS] [FILE] [FILE OF MONTHS]`: how many
//! events the month has, how often each report is made, and where the figures are written. Without the last file no months are added.

mod figures;
mod fill;
mod growth;
mod timed;

#[path = "../../../consumer/tests/suite/events.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the consumer's suite uses the rest, where a test may unwrap"
)]
mod events;
#[path = "../pipeline/kinds.rs"]
#[expect(dead_code, reason = "the pipeline uses the rest")]
mod kinds;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use store::supervisor::{Options, Supervisor};
use store::{Client, User};

use figures::Figures;
use timed::Reports;

/// A month that is over.
const MONTH: &str = "2026-10";

/// An engine of its own, with the product's tables.
pub(crate) struct Engine {
    supervisor: Supervisor,
    pub(crate) writer: Client,
    /// Reports only ever read.
    pub(crate) reader: Client,
    _folder: tempfile::TempDir,
}

impl Engine {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let supervisor = Supervisor::start(Options {
            data_dir: folder.path().to_owned(),
            library: None,
            program: tests::tollgate().to_owned(),
            args: vec![
                "engine".into(),
                "--child".into(),
                "--data-dir".into(),
                folder.path().into(),
            ],
        })
        .expect("an engine");
        let ready = supervisor.ready(Duration::from_mins(1)).await;
        ready.expect("an engine");
        let writer = supervisor.client(User::Writer, store::DATABASE);
        let tables = store::migrate::migrate(&writer, schemas::migrations::ALL);
        tables.await.expect("tables");
        let reader = supervisor.client(User::Reader, store::DATABASE);
        Self {
            supervisor,
            writer,
            reader,
            _folder: folder,
        }
    }

    async fn stop(self) {
        self.supervisor.stop().await;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let given = arguments.next();
        given.map_or(usual, |text| text.parse().expect("a number"))
    };
    let (events, rounds) = (number(10_000_000), number(5));
    let file = arguments.next().map(PathBuf::from);
    let months = arguments.next().map(PathBuf::from);

    let engine = Engine::start().await;
    eprintln!("writing {events} events of {MONTH}");
    fill::month(&engine, MONTH, events).await;
    let parts = fill::settled(&engine).await;
    eprintln!("reports over {parts} parts, as they lie when the last event is in");
    let fresh = Reports::measure(&engine, MONTH, events, rounds).await;
    eprintln!("waiting for the month to become one part, as it does when it is over");
    fill::over(&engine).await;
    let over = Reports::measure(&engine, MONTH, events, rounds).await;
    engine.stop().await;

    let figures = Figures {
        events,
        rounds,
        parts,
        fresh,
        over,
    };
    print!("{figures}");
    if let Some(file) = file {
        std::fs::write(file, figures.to_string()).expect("the file can be written");
    }
    if let Some(months) = months {
        growth::measure(events / 40, rounds, &months).await;
    }
    let is_good = figures.is_good();
    println!("# {}", if is_good { "PASS" } else { "FAIL" });
    ExitCode::from(u8::from(!is_good))
}
