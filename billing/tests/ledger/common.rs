//! A ledger for a test: an engine with the product's tables, and events that go into them as the consumer's do.

use billing::chargeback::{Dimension, Report, Request, Synthetic, report};
use billing::{Period, period};
use schemas::rows::{CutRow, Source, rows_of};
use schemas::{EventId, Line, Micros, Outcome, PriceBook, RecordKind, Text, UsageEvent, decode};
use std::time::Duration;
use store::migrate::migrate;
use store::supervisor::{Options, Supervisor};
use store::{Client, Stored, User};
use tempfile::TempDir;

/// 2026-11-24T12:00:00Z
pub(crate) const NOON: i64 = 1_795_521_600_000_000;
pub(crate) const HOUR: i64 = 3_600 * Micros::PER_SECOND;

const EVENT: &str = r#"{"wire":"v1","event_id":"019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b","request_id":"r","producer":"p",
"boot":"7-0123456789abcdef","tenant":"acme","project":"pr","key_id":"k","principal":null,"auth_method":"key",
"conversation":null,"labels":{},"api":"chat","stream":true,"model_requested":"m","model_served":"m","priced_as":null,"route":"r",
"deployment":"d","provider":"openai","region":null,"data_zone":null,"capacity":"paygo","service_tier":null,
"route_reason":"primary","received_us":1795521600000000,"admitted_us":1795521600000001,"first_byte_us":1795521600000003,
"completed_us":1795521600000004,"upstream_us":5,"gateway_us":6,"clock_quality":"good","lines":[],"usage_source":"provider",
"usage_quality":"ok","usage_raw":null,"provider_cost":null,"provider_cost_currency":null,"estimated_units":{},
"billable":"yes","synthetic":false,"outcome":"completed","outcome_detail":null,"status":200,"finish_reason":"stop",
"limit_hit":null,"attempts":[],"cache":null,"request_bytes":10,"response_bytes":11,"price_version":null,"leases":"",
"policies":"","config_digest":"cd","durability":"synced","durability_degraded":false,"capture":null,"count":1,
"producer_seq":0}"#;

/// A completed, billable call of `acme` at noon; the number makes its identity.
pub(crate) fn event(number: u8, lines: &[(&str, &str)]) -> UsageEvent {
    let mut event: UsageEvent = serde_json::from_str(EVENT).expect("an event");
    event.event_id = EventId::mint(Micros(NOON), [number; 10]);
    event.request_id = text(&format!("request-{number}"));
    event.producer_seq = i64::from(number);
    event.lines = lines
        .iter()
        .map(|(model, units)| Line {
            model: text(model),
            service_tier: None,
            speed: None,
            geography: None,
            units: serde_json::from_str(units).expect("units"),
        })
        .collect();
    event
}

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).expect("a short text")
}

pub(crate) fn at(mut event: UsageEvent, received: i64) -> UsageEvent {
    event.received_us = Micros(received);
    event
}

pub(crate) fn of(mut event: UsageEvent, tenant: &str) -> UsageEvent {
    event.tenant = text(tenant);
    event
}

pub(crate) fn ended(mut event: UsageEvent, outcome: Outcome) -> UsageEvent {
    event.outcome = outcome;
    event
}

/// An engine of its own, with the product's tables.
pub(crate) struct Ledger {
    pub(crate) supervisor: Supervisor,
    _folder: TempDir,
}

impl Ledger {
    /// Fails with the engine's own sentence, for instance that its library is missing and how it is installed.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let supervisor = Supervisor::start(Options {
            data_dir: folder.path().to_owned(),
            library: None,
            program: env!("CARGO_BIN_EXE_billing-test-engine").into(),
            args: vec![folder.path().into()],
        })
        .expect("passwords");
        let ready = supervisor.ready(Duration::from_mins(1)).await;
        ready.unwrap_or_else(|error| panic!("{error}"));
        let ledger = Self {
            supervisor,
            _folder: folder,
        };
        migrate(&ledger.writer(), schemas::migrations::ALL)
            .await
            .expect("the tables");
        ledger
    }

    pub(crate) fn writer(&self) -> Client {
        self.supervisor.client(User::Writer, "tollgate")
    }

    /// Reports and the trail only ever read.
    pub(crate) fn reader(&self) -> Client {
        self.supervisor.client(User::Reader, "tollgate")
    }

    /// Writes events as the consumer does, one batch from `first` on.
    pub(crate) async fn write(&self, first: i64, events: &[UsageEvent]) {
        let source = Source {
            topic: text("journal:p"),
            partition: 0,
        };
        let (mut audit, mut usage) = (Vec::new(), Vec::new());
        for (offset, event) in (first..).zip(events) {
            let bytes = serde_json::to_vec(event).expect("an event has a JSON form");
            let decoded = decode(RecordKind::Usage, &bytes);
            let (audit_row, usage_row) = rows_of(&source, offset, &bytes, &decoded).expect("rows");
            audit.push(Stored(audit_row));
            usage.push(Stored(usage_row.expect("a usage event")));
        }
        let last = first + i64::try_from(events.len()).expect("few events") - 1;
        let cut = CutRow {
            topic: source.topic,
            partition: 0,
            first,
            last,
            records: last - first + 1,
            events: last - first + 1,
            dead_letters: 0,
            digest: [0; 32],
            repair_epoch: 0,
        };
        let writer = self.writer();
        let token = |table: &str| format!("{table}/{first}-{last}");
        writer
            .insert_block("audit_log", &token("audit_log"), &audit)
            .await
            .expect("audit rows");
        writer
            .insert_block("usage_events", &token("usage_events"), &usage)
            .await
            .expect("usage rows");
        writer
            .insert_block("cuts", &token("cuts"), &[Stored(cut)])
            .await
            .expect("a cut");
    }

    /// Writes a batch of nothing but records that cannot be read.
    pub(crate) async fn dead_letters(&self, first: i64, count: i64) {
        self.dead_letters_at(first, count).await;
        self.cut(first, first + count - 1, count).await;
    }

    /// Writes records that cannot be read behind the one record of a batch, whose boundary moves behind them.
    pub(crate) async fn dead_letters_in_batch_of(&self, first: i64, records: i64, count: i64) {
        let begins = first + records;
        self.dead_letters_at(begins, count).await;
        self.run("TRUNCATE TABLE cuts").await;
        self.cut(first, begins + count - 1, count).await;
    }

    async fn dead_letters_at(&self, first: i64, count: i64) {
        self.run(&format!(
            "INSERT INTO audit_log (topic, offset, fate, reason) SELECT 'journal:p', {first} + number, 'dead_letter', 'not JSON' \
             FROM numbers({count})"
        ))
        .await;
    }

    async fn cut(&self, first: i64, last: i64, dead_letters: i64) {
        let records = last - first + 1;
        self.run(&format!(
            "INSERT INTO cuts (topic, first, last, records, events, dead_letters) \
             VALUES ('journal:p', {first}, {last}, {records}, {}, {dead_letters})",
            records - dead_letters
        ))
        .await;
    }

    pub(crate) async fn run(&self, sql: &str) {
        let ran = self.writer().statement(sql).execute().await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn report(&self, prices: &str, request: &Request) -> Report {
        report(&self.reader(), &book(prices), request)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A request for November 2026.
pub(crate) fn november(by: &str, zone: &str) -> Request {
    let zone = period::zone(zone).expect("a zone");
    Request {
        period: Period::parse("2026-11", zone).expect("a period"),
        by: Dimension::parse_list(by).expect("columns"),
        synthetic: Synthetic::Exclude,
        tenant: None,
    }
}

/// A book of `model,unit,tier,over,per,rate,currency,from` lines of provider `openai`.
pub(crate) fn book(lines: &str) -> PriceBook {
    const HEADER: &str =
        "provider,source,read_on,model,unit,service_tier,context_over,per,rate,currency,valid_from";
    let lines = lines
        .split_whitespace()
        .map(|line| format!("openai,a page,2026-11-24,{line}"));
    let csv: Vec<_> = std::iter::once(HEADER.to_owned()).chain(lines).collect();
    let rows = billing::prices::parse_csv(&(csv.join("\n") + "\n")).expect("prices");
    PriceBook::new(&rows).expect("a book")
}

/// Every amount as text.
pub(crate) fn costs(figures: &billing::chargeback::Figures) -> Vec<String> {
    figures
        .amounts
        .iter()
        .map(|amount| format!("{} {}", amount.cost, amount.currency))
        .collect()
}
