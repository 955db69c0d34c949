//! Books to check: batches as the consumer writes them, claims, ways to keep, change and put back what is in the tables.

use billing::completeness::{
    AsOf, Completeness, Finding, Integrity, Report, Request, Verdict, check,
};
use billing::{Period, period};
use schemas::rows::{BatchDigest, CutRow, Source, rows_of};
use schemas::{Decoded, EventId, Micros, Outcome, RecordKind, UsageEvent, decode};
use store::Stored;

use crate::common::{HOUR, Ledger, NOON, event, text};

pub(super) const BOOT: &str = "7-0123456789abcdef";
pub(super) const NEXT_BOOT: &str = "8-00000000000000ff";
pub(super) const SECOND: i64 = Micros::PER_SECOND;
/// 2026-11-24T00:00:00Z
pub(super) const DAY: i64 = NOON - 12 * HOUR;
pub(super) const NEXT_DAY: i64 = DAY + 24 * HOUR;
/// Long after everything.
pub(super) const LATER: i64 = NEXT_DAY + 24 * HOUR;

/// The record of a number: received a minute after the one before.
pub(super) fn record(number: i64) -> UsageEvent {
    let mut event = event(0, &[("m", r#"{"input_text":12,"output_text":30}"#)]);
    event.received_us = Micros(NOON + number * 60 * SECOND);
    let small = u8::try_from(number % 200).expect("small");
    event.event_id = EventId::mint(event.received_us, [small; 10]);
    event.producer_seq = number;
    event
}

pub(super) fn of_boot(mut event: UsageEvent, boot: &str) -> UsageEvent {
    event.boot = boot.parse().expect("a boot");
    event
}

pub(super) fn refused(mut event: UsageEvent) -> UsageEvent {
    event.outcome = Outcome::RefusedAuth;
    event.deployment = None;
    event
}

pub(super) struct Books {
    pub(super) ledger: Ledger,
}

impl Books {
    pub(super) async fn open() -> Self {
        Self {
            ledger: Ledger::start().await,
        }
    }

    /// Writes a batch as the consumer does, with a cut record at its end.
    pub(super) async fn batch(&self, first: i64, records: &[Vec<u8>]) {
        let source = Source {
            topic: text("journal:p"),
            partition: 0,
        };
        let (mut audit, mut usage, mut digest) = (Vec::new(), Vec::new(), BatchDigest::default());
        let (mut events, mut dead_letters) = (0, 0);
        let usage_records = records
            .iter()
            .map(|bytes| (RecordKind::Usage, bytes.as_slice()));
        let all = usage_records.chain([(RecordKind::Cut, schemas::wire::CUT_RECORD)]);
        let mut last = first - 1;
        for (offset, (kind, bytes)) in (first..).zip(all) {
            let decoded = decode(kind, bytes);
            events += i64::from(matches!(decoded, Decoded::Event(_)));
            dead_letters += i64::from(matches!(decoded, Decoded::DeadLetter(_)));
            let (row, usage_row) = rows_of(&source, offset, bytes, &decoded).expect("rows");
            digest.push(&row.leaf);
            audit.push(Stored(row));
            usage.extend(usage_row.map(Stored));
            last = offset;
        }
        let cut = CutRow {
            topic: source.topic,
            partition: 0,
            first,
            last,
            records: last - first + 1,
            events,
            dead_letters,
            digest: digest.finish(),
            repair_epoch: 0,
        };
        let writer = self.ledger.writer();
        // One partition of a table an insert: a cut record has no month.
        let (timed, others): (Vec<_>, Vec<_>) =
            audit.into_iter().partition(|row| row.0.received > 0);
        for (name, rows) in [("timed", timed), ("others", others)] {
            if rows.is_empty() {
                continue;
            }
            let token = format!("audit_log/{first}/{name}");
            let insert = writer.insert_block("audit_log", &token, &rows);
            insert.await.expect("audit rows");
        }
        let token = format!("usage_events/{first}");
        if !usage.is_empty() {
            let insert = writer.insert_block("usage_events", &token, &usage);
            insert.await.expect("usage rows");
        }
        let token = format!("cuts/{first}");
        let cuts = [Stored(cut)];
        let insert = writer.insert_block("cuts", &token, &cuts);
        insert.await.expect("a cut");
    }

    pub(super) async fn events(&self, first: i64, events: &[UsageEvent]) {
        let records: Vec<_> = events
            .iter()
            .map(|event| serde_json::to_vec(event).expect("an event has a JSON form"))
            .collect();
        self.batch(first, &records).await;
    }

    /// A claim: kind, clock, last number, (admitted, settled, open), oldest open request.
    pub(super) async fn claim(
        &self,
        boot: &str,
        kind: &str,
        clock: i64,
        seq: Option<i64>,
        counts: (i64, i64, i64),
        more: (Option<i64>, &str),
    ) {
        let number = |value: Option<i64>| value.map_or("NULL".to_owned(), |v| v.to_string());
        let (admitted, settled, open) = counts;
        let (oldest, by) = more;
        let oldest = oldest.map_or("NULL".to_owned(), |at| {
            format!("fromUnixTimestamp64Micro(toInt64({at}), 'UTC')")
        });
        self.ledger
            .run(&format!(
                "INSERT INTO producer_log (producer, boot, kind, clock, last_producer_seq, admitted, settled, open, oldest_open, \
                    synced_position, by_whom) SELECT 'p', '{boot}', '{kind}', fromUnixTimestamp64Micro(toInt64({clock}), 'UTC'), \
                    {}, {admitted}, {settled}, {open}, {oldest}, {}, '{by}'",
                number(seq),
                seq.unwrap_or(-1) + 10
            ))
            .await;
    }

    /// The next start lives after the day, and its word is there.
    pub(super) async fn speaks_on(&self) {
        for (kind, clock) in [
            ("live", NEXT_DAY + 61 * SECOND),
            ("closed", LATER - 30 * SECOND),
        ] {
            let claim = self.claim(NEXT_BOOT, kind, clock, None, (0, 0, 0), (None, ""));
            claim.await;
        }
    }

    /// A quiet day, and the next start after it.
    pub(super) async fn quiet_day(&self) {
        self.quiet_day_and_silence().await;
        self.speaks_on().await;
    }

    /// A start that ended in order with twenty requests, three of them refused, in two batches. Nothing follows.
    pub(super) async fn quiet_day_and_silence(&self) {
        let events: Vec<_> = (0..20)
            .map(|number| match number {
                3 | 4 | 11 => refused(record(number)),
                _ => record(number),
            })
            .collect();
        self.events(100, &events[..12]).await;
        self.events(113, &events[12..]).await;
        self.claim(BOOT, "live", DAY - 10, None, (0, 0, 0), (None, ""))
            .await;
        let noon = (10, 9, 1);
        self.claim(
            BOOT,
            "heartbeat",
            NOON + 620 * SECOND,
            Some(10),
            noon,
            (Some(NOON + 610 * SECOND), ""),
        )
        .await;
        self.claim(
            BOOT,
            "closed",
            NOON + HOUR,
            Some(19),
            (17, 17, 0),
            (None, ""),
        )
        .await;
    }

    pub(super) async fn check(&self, period: &str) -> Report {
        self.check_as_of(period, LATER).await
    }

    pub(super) async fn check_as_of(&self, period: &str, as_of: i64) -> Report {
        let zone = period::zone("UTC").expect("a zone");
        let request = Request {
            period: Period::parse(period, zone).expect("a period"),
            producer: None,
            as_of: AsOf::At(as_of),
        };
        check(&self.ledger.reader(), &request)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Keeps what is there, to be put back by `restore`.
    pub(super) async fn keep(&self) {
        for table in TABLES {
            self.ledger
                .run(&format!("CREATE TABLE kept_{table} AS {table}"))
                .await;
            self.ledger
                .run(&format!("INSERT INTO kept_{table} SELECT * FROM {table}"))
                .await;
        }
    }

    pub(super) async fn restore(&self) {
        for table in TABLES {
            self.ledger.run(&format!("TRUNCATE TABLE {table}")).await;
            self.ledger
                .run(&format!(
                    "INSERT INTO {table} SELECT * FROM kept_{table} SETTINGS insert_deduplicate = 0"
                ))
                .await;
        }
    }

    pub(super) async fn change(&self, sql: &str) {
        let ran = self.ledger.writer().statement(sql);
        let ran = ran.setting("mutations_sync", "2").execute().await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

const TABLES: [&str; 4] = ["audit_log", "usage_events", "cuts", "producer_log"];

pub(super) fn said(report: &Report, verdict: Verdict) -> Vec<String> {
    let of = |finding: &&Finding| finding.verdict == verdict;
    report
        .findings
        .iter()
        .filter(of)
        .map(ToString::to_string)
        .collect()
}

pub(super) fn verdicts(report: &Report) -> (Completeness, Integrity) {
    (report.verdicts.completeness, report.verdicts.integrity)
}
