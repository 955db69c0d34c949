//! How fast records go from a journal into Kafka and from Kafka into the store, each process as it is shipped, and whether the
//! consumer's memory stays flat while a backlog lasts. Prints the figures and PASS or FAIL; exit code 1 if one of them fails.
//! A run that ends with another number of events than it began with is void.
//!
//! `make bench-pipeline`, or `cargo run --release -p tests --example pipeline -- [RECORDS] [SECONDS] [FILE]`: how many records are
//! of each kind are timed, how long the backlog lasts afterwards, and where the figures are written.

mod figures;
mod kinds;
mod memory;
mod publishing;
mod rates;
mod room;

#[path = "../../../consumer/tests/suite/events.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the consumer's suite uses the rest, where a test may unwrap"
)]
mod events;
#[path = "../../suites/kafka_consumer/member.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod member;
#[path = "../../suites/kafka_consumer/stand.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod stand;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use figures::{Figures, OfKind};
use kinds::Kind;
use member::Member;
use stand::Stand;
use tests::Brokers;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let given = arguments.next();
        given.map_or(usual, |text| text.parse().expect("a number"))
    };
    let (records, seconds) = (number(1_000_000), number(60));
    let file = arguments.next();

    if let Err(reason) = room::check(records, seconds) {
        eprintln!("{reason}");
        return ExitCode::from(2);
    }
    eprintln!("starting a broker and an engine");
    let brokers = Brokers {
        properties: room::of_topics(records),
        ..Brokers::default()
    };
    let stand = Stand::over(brokers).await;
    let (mut kinds, mut from, mut committed) = (Vec::new(), 0, 0);
    for kind in [Kind::Usual, Kind::Full] {
        eprintln!("{} records of {} bytes", kind.name(), kind.bytes());
        let published = publishing::run(&stand, kind, from..from + records).await;
        eprintln!("consuming {records} records");
        let member = Member::start(&stand, "one");
        let consumed = rates::catch_up(&stand, &member, records, committed).await;
        member.stop().await;
        (from, committed) = (from + records, consumed.committed);
        let of_kind = OfKind {
            kind,
            published,
            consumed,
        };
        eprint!("{of_kind}");
        kinds.push(of_kind);
    }

    eprintln!("feeding a backlog for {seconds} s");
    memory::begin(&stand, Kind::Full, from).await;
    let member = Member::start(&stand, "one");
    let length = Duration::from_secs(seconds);
    let held = memory::hold(&stand, &member, (Kind::Full, from, committed), length).await;
    memory::whole(&stand, &member, from + held.fed).await;
    member.stop().await;

    let figures = Figures {
        records,
        kinds,
        held,
    };
    print!("{figures}");
    if let Some(file) = file {
        std::fs::write(Path::new(&file), figures.to_string()).expect("the file can be written");
    }
    println!("# {}", if figures.is_good() { "PASS" } else { "FAIL" });
    ExitCode::from(u8::from(!figures.is_good()))
}
