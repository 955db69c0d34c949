//! 100,000 records and a book with everything in it: the report's bills, and the sums of single records rated by
//! themselves, against `tests/python/rate.py`, which shares no code with the product and counts in fractions.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::common::*;
use crate::export::{csv_rows, exported};
use billing::chargeback::{Figures, report};
use billing::export::{ExportFormat, Kind};
use schemas::{Billable, Capacity, EventId, Line, Micros, Money, Outcome, Text, UsageEvent};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/rate.py");
const EVENTS: usize = 100_000;
const BATCH: usize = 20_000;

/// Every kind of line; prices for one, a thousand and a million; changes at noon in three zones.
pub(crate) const BOOK: &str = "\
kind,provider,model,model_version,alias_of,unit,service_tier,speed,capacity,region_class,region,geography,context_over,hours,days,hours_utc,per,rate,currency,valid_from,valid_to,source,read_on
,openai,a,,,input_text,default,,,,,,,,,,1000000,2.50,USD,,,p,2026-11-24
,openai,a,,,input_text,default,,,,,,,,,,1000,0.0019,USD,2026-11-24T12:00+01:00,,p,2026-11-24
,openai,a,,,output_text,default,,,,,,,,,,1000,0.01,USD,,,p,2026-11-24
,openai,a,,,output_text,default,,,,,,,,,,1000000,9.999999,USD,2026-11-24T12:00Z,,p,2026-11-24
,openai,a,,,input_cached,default,,,,,,,,,,1000000,0.25,USD,,,p,2026-11-24
,openai,a,,,input_cached,default,,,,,,,,,,1,0.000000123,USD,2026-11-24T12:00-05:00,,p,2026-11-24
,openai,a,,,input_text,priority,,,,,,,,,,1000000,5,USD,,,p,2026-11-24
,openai,a,,,output_text,priority,,,,,,,,,,1000000,20,USD,,,p,2026-11-24
,openai,a,,,input_text,batch,,,,,,,,,,1000000,1.25,USD,,2026-11-25,p,2026-11-24
,openai,a,,,input_text,default,,,,,,272000,,,,1000000,7.77,USD,,,p,2026-11-24
,openai,a,,,output_text,default,,,,,,272000,,,,1000000,15,USD,2026-11-24,,p,2026-11-24
,openai,a,2026-01-01,,input_text,default,,,,,,,,,,1000000,3,USD,,,p,2026-11-24
,openai,*,,,web_search_calls,default,,,,,,,,,,1000,10,USD,,,p,2026-11-24
,openai,r,,,output_text,default,,,,,,,,,,1000,0.00003,EUR,,,p,2026-11-24
,openai,r,,,output_reasoning,default,,,,,,,,,,1000,0.00007,EUR,,,p,2026-11-24
alias,openai,latest,,a,,,,,,,,,,,,,,,2026-11-23T12:00Z,,p,2026-11-24
alias,openai,latest,,r,,,,,,,,,,,,,,,2026-11-24T18:00+05:45,2026-11-25T12:00Z,p,2026-11-24
uplift,openai,a,,,tokens,,,,eu,,,,,,,,1.1,,,,p,2026-11-24
uplift,openai,*,,,input_text,,,,us,,,,,,,,1.05,,2026-11-24,2026-11-25,p,2026-11-24
,azure,a,,,input_text,default,,,global,,,,,,,1000,0.0025,USD,,,p,2026-11-24
,azure,a,,,input_text,default,,,datazone,,,,,,,1000,0.00275,USD,,,p,2026-11-24
,azure,a,,,input_text,default,,,datazone,norwayeast,,,,,,1000,0.003,USD,,,p,2026-11-24
,azure,a,,,output_text,default,,ptu,global,,,,,,,1000000,0,USD,,,p,2026-11-24
,azure,a,,,output_text,default,,,global,,,,,,,1000000,10,USD,,,p,2026-11-24
,anthropic,c,,,input_text,default,,,,,,,,,,1000000,5,USD,,,p,2026-11-24
,anthropic,c,,,output_text,default,,,,,,,,,,1000000,25,USD,,,p,2026-11-24
,anthropic,c,,,output_text,default,fast,,,,,,,,,1000000,50,USD,,,p,2026-11-24
,anthropic,c,,,cache_write_5m,default,,,,,,,,,,1000000,6.25,USD,,,p,2026-11-24
,anthropic,c,,,cache_write_1h,default,,,,,,,,,,1000000,10,USD,,,p,2026-11-24
,anthropic,c,,,cache_write_1h,default,,,,,br,,,,,1000000,12.3,USD,,,p,2026-11-24
uplift,anthropic,c,,,tokens,,,,,,us,,,,,,1.1,,,,p,2026-11-24
uplift,anthropic,c,,,output_text,,,,,,us,,,,,,1.2,,2026-11-24,,p,2026-11-24
,deepseek,d,,,input_text,default,,,,,,,peak,,,1000000,0.30,CNY,,,p,2026-11-24
,deepseek,d,,,input_text,default,,,,,,,off_peak,,,1000000,0.15,CNY,,,p,2026-11-24
,deepseek,d,,,output_text,default,,,,,,,peak,,,1000000,1.20,CNY,2026-11-24T02:00Z,,p,2026-11-24
,deepseek,d,,,output_text,default,,,,,,,off_peak,,,1000000,0.60,CNY,,,p,2026-11-24
hours,deepseek,,,,,,,,,,,,peak,mon-wed,01:00-04:00 06:00-10:00,,,,2026-11-01,2026-11-26T06:30Z,p,2026-11-24
hours,deepseek,,,,,,,,,,,,off_peak,,otherwise,,,,2026-11-01,2026-11-26T06:30Z,p,2026-11-24
holiday,deepseek,,,,,,,,,,,,peak,,,,,,2026-11-25,2026-11-26,p,2026-11-24
";

/// Tiers as they are reported, the common ones more often.
const TIERS: [&str; 13] = [
    "",
    "",
    "",
    "",
    "default",
    "default",
    "standard",
    "priority",
    "fast",
    "batch",
    "flex",
    "auto",
    "on_demand",
];

/// Numbers that follow from a seed: `SplitMix64`.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).expect("below its length")]
    }

    fn maybe(&mut self, list: &[&str]) -> Option<Text> {
        Some(self.of(list))
            .filter(|name| !name.is_empty())
            .map(text)
    }

    /// Often at a boundary or a microsecond beside it.
    fn instant(&mut self) -> Micros {
        const FIRST: i64 = NOON - 36 * HOUR; // 2026-11-23T00:00Z
        let spread = FIRST + i64::try_from(self.below(345_600_000_000)).expect("four days");
        let boundary = FIRST + self.of(&[2, 4, 6, 10, 12, 24, 26, 35, 36, 41, 48, 60]) * HOUR;
        let beside = boundary + self.of(&[-1, 0, 1]);
        Micros(self.of(&[spread, spread, beside]))
    }

    fn count(&mut self) -> u64 {
        let wide = self.below(400_000);
        self.of(&[0, 1, 3, 999, 136_000, 136_001, wide, wide])
    }

    fn line(&mut self, provider: &str) -> Line {
        let models: &[&str] = match provider {
            "openai" => &[
                "a",
                "a",
                "a-2026-01-01",
                "a-2026-02-02",
                "r",
                "latest",
                "a-mini",
                "unheard",
                "*",
            ],
            "azure" => &["a", "a-2026-09-09", "latest"],
            "anthropic" => &["c", "c", "claude"],
            _ => &["d"],
        };
        let units: &[&str] = match provider {
            "anthropic" => &[
                "input_text",
                "output_text",
                "cache_write_5m",
                "cache_write_1h",
                "input_cached",
            ],
            "openai" => &[
                "input_text",
                "output_text",
                "input_cached",
                "output_reasoning",
                "web_search_calls",
            ],
            _ => &[
                "input_text",
                "output_text",
                "output_reasoning",
                "input_text",
                "images",
            ],
        };
        let mut told = BTreeMap::new();
        for _ in 0..=self.below(4) {
            told.insert(self.of(units), self.count());
        }
        let told = serde_json::to_string(&told).expect("a map has a JSON form");
        Line {
            model: text(self.of(models)),
            service_tier: self.maybe(&TIERS),
            speed: self.maybe(&["", "", "", "", "", "standard", "fast"]),
            geography: self.maybe(&[
                "",
                "",
                "",
                "",
                "global",
                "not_available",
                "us",
                "us",
                "br",
                "eu",
            ]),
            units: serde_json::from_str(&told).expect("units"),
        }
    }

    /// What is known of a request before it ends.
    fn admit(&mut self, event: &mut UsageEvent) {
        if self.below(4) == 0 {
            event.model_served = None;
        }
        let reserved = self.of(&["{}", r#"{"input_text":999,"output_text":77}"#]);
        event.estimated_units = serde_json::from_str(reserved).expect("units");
    }

    pub(crate) fn event(&mut self, number: usize) -> UsageEvent {
        let received = self.instant();
        let provider = self.of(&[
            "openai",
            "openai",
            "azure",
            "anthropic",
            "deepseek",
            "elsewhere",
        ]);
        let mut event = event(0, &[]);
        let mut seed = [0; 10];
        seed[2..].copy_from_slice(&(number as u64).to_be_bytes());
        event.event_id = EventId::mint(received, seed);
        event.producer_seq = i64::try_from(number).expect("a small number");
        event.received_us = received;
        event.tenant = text(self.of(&["acme", "globex", "initech", "umbrella"]));
        event.provider = Some(text(provider));
        let zones: &[&str] = match provider {
            "azure" => &["global", "global", "datazone", "data_zone", "regional", ""],
            _ => &["", "", "", "", "global", "eu", "us"],
        };
        event.data_zone = self.maybe(zones);
        event.region = self.maybe(&["", "norwayeast", "swedencentral"]);
        event.capacity = self.of(&[
            None,
            Some(Capacity::Paygo),
            Some(Capacity::Paygo),
            Some(Capacity::Ptu),
        ]);
        // what was asked for; the line has what the provider reported last, and that is what is billed
        event.service_tier = self.maybe(&["", "priority"]);
        event.outcome = self.of(&[
            Outcome::Completed,
            Outcome::Completed,
            Outcome::ClientAborted,
            Outcome::Unknown,
            Outcome::RefusedLimit,
            Outcome::Filtered,
        ]);
        event.billable = self.of(&[
            Billable::Yes,
            Billable::Yes,
            Billable::Yes,
            Billable::No,
            Billable::Unclear,
        ]);
        event.synthetic = self.below(20) == 0;
        let lines = self.of(&[0, 1, 1, 1, 1, 2, 3]);
        event.lines = (0..lines).map(|_| self.line(provider)).collect();
        self.admit(&mut event);
        event
    }
}

/// Cost by currency, units without a price, charged requests: as the script prints them.
fn bill(figures: &Figures) -> serde_json::Value {
    let cost: BTreeMap<_, _> = figures
        .amounts
        .iter()
        .map(|amount| (amount.currency.to_string(), amount.cost.to_string()))
        .collect();
    let mut unpriced = BTreeMap::<&str, i128>::new();
    for gap in &figures.unpriced {
        *unpriced.entry(gap.unit.as_str()).or_default() += gap.count;
    }
    let requests = figures.charged_requests;
    serde_json::json!({ "requests": requests, "cost": cost, "unpriced": unpriced })
}

/// What the lines of the trail cost, by tenant, provider and currency.
fn costs_of_lines(rows: &[BTreeMap<String, String>]) -> BTreeMap<(String, String), Money> {
    let mut sums = BTreeMap::<_, Money>::new();
    for row in rows.iter().filter(|row| row.contains_key("cost")) {
        let provider = row.get("provider").map(String::as_str).unwrap_or_default();
        let name = format!("{} {provider}", row["tenant"]);
        let sum = sums.entry((name, row["currency"].clone())).or_default();
        let cost = row["cost"].parse().expect("an amount");
        *sum = sum.checked_add(cost).expect("exact");
    }
    sums
}

fn rated_in_fractions(folder: &Path) -> BTreeMap<String, serde_json::Value> {
    let output = Command::new("python3")
        .args([
            Path::new(SCRIPT),
            &folder.join("events.ndjson"),
            &folder.join("book.csv"),
        ])
        .output()
        .expect("this test needs python3 (3.11 or later, standard library only): install it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn a_hundred_thousand_records_cost_what_fractions_say_to_the_last_digit() {
    let seed = std::env::var("TOLLGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut draw = Draw(seed.unwrap_or(0x0070_0115));
    let folder = tempfile::tempdir().expect("a scratch directory");
    std::fs::write(folder.path().join("book.csv"), BOOK).unwrap();
    let book = billing::prices::load(&folder.path().join("book.csv")).unwrap();
    let ledger = Ledger::start().await;
    let mut file = std::io::BufWriter::new(
        std::fs::File::create(folder.path().join("events.ndjson")).unwrap(),
    );
    for first in (0..EVENTS).step_by(BATCH) {
        let events: Vec<_> = (first..first + BATCH)
            .map(|number| draw.event(number))
            .collect();
        for event in &events {
            serde_json::to_writer(&mut file, event).unwrap();
            file.write_all(b"\n").unwrap();
        }
        ledger.write(i64::try_from(first).unwrap(), &events).await;
    }
    file.flush().unwrap();
    drop(file);

    let wanted = rated_in_fractions(folder.path());
    let request = november("tenant,provider", "UTC");
    let made = report(&ledger.reader(), &book, &request).await.unwrap();
    let together: BTreeMap<_, _> = made
        .rows
        .iter()
        .map(|row| (row.columns.join(" "), bill(&row.figures)))
        .collect();
    assert_eq!(together, wanted, "added up by the store");
    // line by line, as the trail has them; the export itself compares all the other figures
    let trail = (Kind::Trail, ExportFormat::Csv);
    let (trail, _) = exported(&ledger, &book, &request, trail, folder.path()).await;
    let mut exact = BTreeMap::new();
    for (name, bill) in &wanted {
        for (currency, cost) in bill["cost"].as_object().unwrap() {
            let cost: Money = cost.as_str().unwrap().parse().unwrap();
            exact.insert((name.clone(), currency.clone()), cost);
        }
    }
    assert_eq!(costs_of_lines(&csv_rows(&trail)), exact, "line by line");
    let priced = wanted
        .values()
        .filter(|bill| !bill["cost"].as_object().unwrap().is_empty())
        .count();
    assert_eq!(
        priced, 16,
        "every tenant has a bill of every provider that the book knows"
    );
}
