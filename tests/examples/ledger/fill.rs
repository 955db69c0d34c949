//! A month of events, written as the consumer writes them. What is read of it must not live here.

use std::time::{Duration, Instant};

use billing::{Period, period};
use schemas::rows::{Source, UsageRow, rows_of};
use schemas::{Decoded, EventId, Micros, Outcome, Unit, UsageEvent, UsageSource};
use store::Stored;

use crate::Engine;
use crate::events::{some, text, units};
use crate::kinds::Kind;

/// Who pays, each with so many projects.
pub(crate) const TENANTS: u64 = 100;
const PROJECTS: u64 = 3;
/// Rows of one insert: what a batch has under load.
const ROWS: u64 = 50_000;
/// Parts are merged for as long as this at most before they are counted.
const SETTLING: Duration = Duration::from_mins(1);
const MODELS: [(&str, &str); 6] = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-5"),
    ("openai", "gpt-4o"),
    ("azure", "gpt-4o"),
    ("azure", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
];

/// A tenant's name.
pub(crate) fn tenant(number: u64) -> String {
    format!("tenant-{:02}", number % TENANTS)
}

fn span(month: &str) -> Period {
    let zone = period::zone("UTC").expect("a zone");
    Period::parse(month, zone).expect("a month")
}

/// Writes a month's events in the order of their time.
pub(crate) async fn month(engine: &Engine, month: &str, events: u64) {
    let span = span(month);
    let (start, length) = (span.start().0, span.end().0 - span.start().0);
    let step = length / i64::try_from(events).expect("few events");
    let (give, mut take) = tokio::sync::mpsc::channel(2);
    let name = month.to_owned();
    let making = std::thread::spawn(move || {
        for first in (0..events).step_by(usize::try_from(ROWS).expect("few rows")) {
            let rows: Vec<_> = (first..events.min(first + ROWS))
                .map(|number| row(number, start + step * i64::try_from(number).expect("few")))
                .collect();
            if give
                .blocking_send((format!("{name}-{first}"), rows))
                .is_err()
            {
                return;
            }
        }
    });
    let began = Instant::now();
    let mut written = 0;
    while let Some((token, rows)) = take.recv().await {
        let inserted = engine
            .writer
            .insert_block("usage_events", &token, &rows)
            .await;
        inserted.expect("rows are written");
        written += rows.len();
        if written.is_multiple_of(1_000_000) {
            eprintln!("  {written} after {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    making.join().expect("rows are made");
}

fn row(number: u64, received: i64) -> Stored<UsageRow> {
    let source = Source {
        topic: text("usage"),
        partition: 0,
    };
    let event = event(number, received);
    let offset = i64::try_from(number).expect("few events");
    let (_, row) = rows_of(&source, offset, b"", &Decoded::Event(Box::new(event))).expect("rows");
    Stored(row.expect("the row of an event"))
}

/// Of ten one is refused; of fifty one was left by its app, and of five hundred nobody knows how one ended.
fn event(number: u64, received: i64) -> UsageEvent {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let tenant = tenant(mixed >> 32);
    let project = format!("{tenant}-project-{}", (mixed >> 40) % PROJECTS);
    let (provider, model) = MODELS[usize::try_from((mixed >> 24) % 6).expect("few models")];
    let mut event = Kind::Usual.event(number);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&mixed.to_be_bytes());
    let later = |at: Micros| Micros(at.0 - event.received_us.0 + received);
    event.admitted_us = later(event.admitted_us);
    event.completed_us = later(event.completed_us);
    event.first_byte_us = event.first_byte_us.map(later);
    event.received_us = Micros(received);
    event.event_id = EventId::mint(event.received_us, random);
    event.key_id = text(&format!("{project}-key"));
    event.tenant = text(&tenant);
    event.project = text(&project);
    if event.outcome.is_refusal() {
        return event;
    }
    event.provider = some(provider);
    event.model_served = some(model);
    event.priced_as = some(model);
    event.deployment = some(&format!("{provider}-{model}"));
    if let Some(line) = event.lines.first_mut() {
        line.model = text(model);
        let all = |unit| line.units.get(unit).unwrap_or(0);
        let (input, output) = (all(Unit::InputText), all(Unit::OutputText));
        if number.is_multiple_of(3) {
            line.units = units(&[
                (Unit::InputText, input / 4),
                (Unit::InputCached, input - input / 4),
                (Unit::OutputText, output),
            ]);
        }
    }
    if number.is_multiple_of(50) {
        event.outcome = Outcome::ClientAborted;
        event.usage_source = UsageSource::Drained;
    }
    if number % 500 == 1 {
        event.outcome = Outcome::Unknown;
        event.usage_source = UsageSource::None;
        event.lines.clear();
    }
    event
}

/// Waits for merges to end; how many parts there are then.
pub(crate) async fn settled(engine: &Engine) -> u64 {
    let until = Instant::now() + SETTLING;
    while count(
        engine,
        "SELECT count() FROM system.merges WHERE table = 'usage_events'",
    )
    .await
        > 0
        && Instant::now() < until
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    parts(engine).await
}

/// Merges all there is, as the table does by itself where nothing has been written for some hours.
pub(crate) async fn over(engine: &Engine) {
    let merged = engine.writer.statement("OPTIMIZE TABLE usage_events FINAL");
    let merged = merged.timeout(Duration::from_mins(15)).execute().await;
    merged.expect("a month becomes one part");
}

pub(crate) async fn parts(engine: &Engine) -> u64 {
    count(
        engine,
        "SELECT count() FROM system.parts WHERE active AND table = 'usage_events'",
    )
    .await
}

async fn count(engine: &Engine, sql: &str) -> u64 {
    let count = engine.writer.query(sql).fetch_one().await;
    count.expect("a count")
}
