//! How fast records go from a journal into Kafka and from Kafka into the store, each process as it is shipped, and whether the
//! consumer's memory stays flat while a backlog lasts. Prints the figures and PASS or FAIL; exit code 1 if one of them fails.
//! A run that ends with another number of events than it began with is void.
//!
//! `make bench-pipeline`, or `cargo run --release -p tests --example pipeline -- [RECORDS] [SECONDS] [FILE]`: how many records are
//! timed, how long the backlog lasts afterwards, and where the figures are written.

mod figures;
mod memory;
mod publishing;
mod rates;

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

use figures::Figures;
use member::Member;
use stand::Stand;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let given = arguments.next();
        given.map_or(usual, |text| text.parse().expect("a number"))
    };
    let (records, seconds) = (number(1_000_000), number(60));
    let file = arguments.next();

    eprintln!("starting a broker and an engine");
    let stand = Stand::new().await;
    let published = publishing::run(&stand, records).await;

    eprintln!("consuming {records} records");
    let member = Member::start(&stand, "one");
    let consumed = rates::catch_up(&stand, &member, records).await;

    eprintln!("feeding a backlog for {seconds} s");
    let held = memory::hold(&stand, &member, records, Duration::from_secs(seconds)).await;
    memory::whole(&stand, &member, records + held.fed).await;
    member.stop().await;

    let figures = Figures {
        records,
        published,
        consumed,
        held,
    };
    print!("{figures}");
    if let Some(file) = file {
        std::fs::write(Path::new(&file), figures.to_string()).expect("the file can be written");
    }
    println!("# {}", if figures.is_good() { "PASS" } else { "FAIL" });
    ExitCode::from(u8::from(!figures.is_good()))
}
