//! What the product shows of a few records: the row of the chargeback report, and the exported trail, which must add up to it.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::common::*;
use crate::export::{assert_totals, csv_rows, exported};
use billing::chargeback::{Figures, Report, report};
use billing::export::{ExportFormat, Kind};
use billing::render::{self, Format};
use schemas::{EventId, PriceBook, UsageEvent};

/// A ledger in which each question has a tenant of its own.
pub(crate) struct Shown {
    pub(crate) ledger: Ledger,
    next: Cell<i64>,
}

/// What the product says of the records of a tenant.
pub(crate) struct Rated {
    pub(crate) report: Report,
    pub(crate) trail: Vec<BTreeMap<String, String>>,
}

impl Shown {
    pub(crate) async fn start() -> Self {
        let (ledger, next) = (Ledger::start().await, Cell::new(0));
        Self { ledger, next }
    }

    /// Writes the records, reports on them and exports them.
    pub(crate) async fn all(
        &self,
        events: impl IntoIterator<Item = UsageEvent>,
        book: &PriceBook,
    ) -> Rated {
        let first = self.next.get();
        let tenant = format!("tenant-{first}");
        let numbered = (first..).zip(events).map(|(number, mut event)| {
            let mut unlike = [0; 10];
            unlike[..8].copy_from_slice(&number.to_be_bytes());
            event.event_id = EventId::mint(event.received_us, unlike);
            event.producer_seq = number;
            of(event, &tenant)
        });
        let events: Vec<_> = numbered.collect();
        self.ledger.write(first, &events).await;
        self.next
            .set(first + i64::try_from(events.len()).expect("few"));
        let mut request = november("tenant", "UTC");
        request.tenant = Some(tenant);
        let report = report(&self.ledger.reader(), book, &request).await;
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().expect("a scratch directory");
        let trail = (Kind::Trail, ExportFormat::Csv);
        // The export fails where the trail does not add up to the report.
        let (file, _) = exported(&self.ledger, book, &request, trail, folder.path()).await;
        let rated = Rated {
            report,
            trail: csv_rows(&file),
        };
        assert_totals(
            &rated.trail,
            rated.figures(),
            &rated.report.rows[0].columns[0],
        );
        rated
    }

    pub(crate) async fn rated(&self, event: &UsageEvent, book: &PriceBook) -> Figures {
        self.all([event.clone()], book).await.figures().clone()
    }
}

impl Rated {
    /// Those of the only row.
    pub(crate) fn figures(&self) -> &Figures {
        let [row] = self.report.rows.as_slice() else {
            panic!("{:?}", self.report.rows)
        };
        &row.figures
    }

    /// The cost as the report's CSV and the trail have it; empty where they have none.
    pub(crate) fn cost(&self) -> [String; 2] {
        let csv = render::report(&self.report, Format::Csv, None).expect("a CSV");
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let mut rows = reader.deserialize::<BTreeMap<String, String>>();
        let row = rows.next().expect("a row").expect("a record");
        let [line] = self.trail.as_slice() else {
            panic!("{:?}", self.trail)
        };
        let of_line = line.get("cost").cloned().unwrap_or_default();
        [row["cost"].clone(), of_line]
    }

    /// The table's line of the tenant.
    pub(crate) fn line(&self) -> String {
        let table = render::report(&self.report, Format::Table, None).expect("a table");
        let tenant = &self.report.rows[0].columns[0];
        let line = table.lines().find(|line| line.contains(tenant.as_str()));
        line.expect("a row").trim_end().to_owned()
    }
}
