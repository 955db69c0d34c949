//! The same reports of the latest month, as the ledger gets more months.

use std::path::Path;

use crate::timed::Reports;
use crate::{Engine, fill};

/// After so many months there is a look.
const LOOKS: [u64; 7] = [1, 2, 4, 8, 12, 18, 24];

/// Writes months of so many events and, for some, how long reports take.
pub(crate) async fn measure(events: u64, rounds: u64, file: &Path) {
    let engine = Engine::start().await;
    let mut table = csv::Writer::from_path(file).expect("a file");
    let head = ["months", "events", "chargeback_seconds", "tenant_seconds"];
    table.write_record(head).expect("a head");
    for number in 1..=LOOKS[LOOKS.len() - 1] {
        let at = 2024 * 12 + 10 + number;
        let month = format!("{}-{:02}", at / 12, at % 12 + 1);
        eprintln!("writing {events} events of {month}");
        fill::month(&engine, &month, events).await;
        if !LOOKS.contains(&number) {
            continue;
        }
        fill::over(&engine).await;
        let reports = Reports::measure(&engine, &month, events, rounds).await;
        let row = [
            number.to_string(),
            (number * events).to_string(),
            format!("{:.4}", reports.month.median),
            format!("{:.4}", reports.tenant.median),
        ];
        table.write_record(&row).expect("a row");
        table.flush().expect("a row");
    }
    engine.stop().await;
}
