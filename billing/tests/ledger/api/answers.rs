//! What comes over HTTP is what the same functions make for the command line, byte for byte; and who has it already is
//! told so.

use axum::http::{Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use billing::audit::{Filter, query};
use billing::chargeback::report;
use billing::completeness;
use billing::export::{Export, ExportFormat, Kind, Target, export, manifest_path, verify};
use billing::render::{self, Format};
use schemas::Outcome;
use sha2::{Digest, Sha256};

use super::door::{Door, NOW, PRICES};
use crate::common::{HOUR, Ledger, NOON, at, book, ended, event, november, of};

const USED: &str = r#"{"input_text":1000,"output_text":37}"#;

async fn ledger() -> Ledger {
    let ledger = Ledger::start().await;
    let events = [
        event(1, &[("m", USED)]),
        at(event(2, &[("m", USED), ("n", USED)]), NOON + HOUR),
        of(event(3, &[("m", USED)]), "globex"),
        ended(event(4, &[]), Outcome::RefusedAuth),
        ended(event(5, &[]), Outcome::Unknown),
    ];
    ledger.write(0, &events).await;
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_and_the_trail_are_those_of_the_command_line_byte_for_byte() {
    let ledger = ledger().await;
    let door = Door::open(ledger.reader(), "");
    let client = ledger.reader();
    for (url, by, zone) in [
        ("period=2026-11", "tenant,project,model", "UTC"),
        (
            "period=2026-11&by=tenant,day,outcome&tz=Asia/Tokyo",
            "tenant,day,outcome",
            "Asia/Tokyo",
        ),
        ("period=2026-11&by=", "", "UTC"),
        ("", "tenant,project,model", "UTC"),
    ] {
        let wanted = report(&client, &book(PRICES), &november(by, zone))
            .await
            .expect("a report");
        for (name, format) in [("json", Format::Json), ("csv", Format::Csv)] {
            let got = door
                .get("all", &format!("/v1/chargeback?{url}&format={name}"))
                .await
                .good();
            assert_eq!(
                got.text(),
                render::report(&wanted, format, None).expect("a text"),
                "{url}"
            );
            assert_eq!(got.header("etag"), format!("W/\"{}\"", wanted.report_hash));
        }
        let coverage = door
            .get("all", &format!("/v1/coverage?{url}"))
            .await
            .good()
            .json();
        let whole = serde_json::to_value(&wanted).expect("JSON");
        if url.contains("by=") {
            assert_eq!(coverage["report_hash"], wanted.report_hash);
        }
        assert_eq!(coverage["totals"]["coverage"], whole["totals"]["coverage"]);
        assert_eq!(coverage["totals"]["requests"], 5);
    }
    let filter = Filter {
        tenant: Some("acme".to_owned()),
        limit: 2,
        ..Filter::default()
    };
    let wanted = query(&client, &filter).await.expect("a page");
    for (name, format) in [("json", Format::Json), ("csv", Format::Csv)] {
        let url = format!("/v1/audit?tenant=acme&limit=2&format={name}");
        let got = door.get("all", &url).await.good();
        assert_eq!(
            got.text(),
            render::page(&wanted, format, None).expect("a text")
        );
    }
    let lines = book(PRICES);
    let lines: Vec<_> = lines.entries().iter().collect();
    let got = door.get("all", "/v1/prices?format=csv").await.good();
    assert_eq!(
        got.text(),
        render::prices(&lines, Format::Csv, None).expect("a text")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_period_is_whole_is_told_to_readers_of_everybody_alone() {
    let ledger = ledger().await;
    let door = Door::open(ledger.reader(), "");
    let request = completeness::Request {
        period: november("", "UTC").period,
        producer: None,
        as_of: completeness::AsOf::At(NOW.0),
    };
    let wanted = completeness::check(&ledger.reader(), &request).await;
    let wanted = wanted.expect("verdicts");
    for (name, format) in [("json", Format::Json), ("csv", Format::Csv)] {
        let url = format!("/v1/completeness?period=2026-11&format={name}");
        let got = door.get("all", &url).await.good();
        let wanted = render::completeness(&wanted, format, None).expect("a text");
        assert_eq!(got.text(), wanted);
        let refused = door.get("acme", &url).await.error();
        assert_eq!(refused, (403, "not_allowed".to_owned(), String::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_by_their_links_and_miss_nothing() {
    let ledger = ledger().await;
    let door = Door::open(ledger.reader(), "");
    let mut url = "/v1/audit?limit=2&since=2026-11-24&until=2026-11-25T00:00:00%2B00:00".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = door.get("all", &url).await.good();
        let json = page.json();
        let events = json["events"].as_array().expect("events");
        seen.extend(events.iter().map(|event| event["request_id"].to_string()));
        let link = page.header("link");
        assert_eq!(json["next"].is_null(), link.is_empty());
        let Some((next, _)) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
            break;
        };
        assert!(
            link.ends_with("rel=\"next\"") && next.contains("limit=2"),
            "{link}"
        );
        url = next.to_owned();
    }
    seen.sort();
    let wanted: Vec<_> = (1..=5)
        .map(|number| format!("\"request-{number}\""))
        .collect();
    assert_eq!(seen, wanted);
    for (query, count) in [
        ("outcome=refused_auth", 1),
        ("request_id=request-3", 1),
        ("tenant=globex", 1),
        ("project=pr&key=k", 5),
        ("label=team=search", 0),
        ("since=30h", 5),
        ("since=2h", 0),
    ] {
        let page = door.get("all", &format!("/v1/audit?{query}")).await.good();
        let found = page.json()["events"].as_array().map(Vec::len);
        assert_eq!(found, Some(count), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_report_is_told_so_until_a_figure_changes() {
    let ledger = ledger().await;
    let door = Door::open(ledger.reader(), "");
    let url = "/v1/chargeback?period=2026-11";
    let tag = door.get("all", url).await.good().header("etag").to_owned();
    let ask = async |tag: &str| {
        let headers = [(header::IF_NONE_MATCH, tag)];
        door.ask(Method::GET, "all", url, &headers).await
    };
    for known in [
        tag.as_str(),
        tag.trim_start_matches("W/"),
        &format!("\"x\", {tag}"),
        "*",
    ] {
        let answer = ask(known).await;
        assert_eq!((answer.status, answer.bytes.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), tag);
    }
    assert_eq!(ask("\"other\"").await.status, 200);
    ledger.dead_letters(5, 1).await;
    let unreadable = ask(&tag).await.good();
    assert!(unreadable.header("etag").contains("+1-unreadable"));
    ledger.write(6, &[event(6, &[("m", USED)])]).await;
    let changed = ask(&tag).await.good();
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_command_lines_file_and_its_manifest_proves_it() {
    let ledger = ledger().await;
    let door = Door::open(ledger.reader(), "");
    let request = november("tenant,project,model", "UTC");
    for (kind, kind_name) in [(Kind::Summary, "summary"), (Kind::Trail, "trail")] {
        for (format, name) in [
            (ExportFormat::Csv, "csv"),
            (ExportFormat::Json, "json"),
            (ExportFormat::Parquet, "parquet"),
        ] {
            let url = format!("/v1/exports?kind={kind_name}&period=2026-11&format={name}");
            let got = door.get("all", &url).await.good();
            let file = door.folder().join(format!("{kind_name}-2026-11.{name}"));
            let target = Target::File(file.clone());
            let wanted = Export {
                kind,
                format,
                target: &target,
                request: &request,
            };
            let made = export(&ledger.reader(), &book(PRICES), &wanted, &mut |_| {}).await;
            let manifest = made.expect("an export");
            assert!(got.bytes == std::fs::read(&file).expect("a file"), "{url}");
            let digest = Sha256::digest(&got.bytes);
            assert_eq!(
                got.header("repr-digest"),
                format!("sha-256=:{}:", STANDARD.encode(digest))
            );
            assert_eq!(got.header("etag"), format!("\"{}\"", hex::encode(digest)));
            assert_eq!(got.header("tollgate-records"), manifest.records.to_string());
            assert_eq!(got.header("tollgate-report-hash"), manifest.report_hash);
            assert_eq!(
                got.header("tollgate-complete"),
                (manifest.complete == Some(true)).to_string()
            );
            assert_eq!(
                got.header("tollgate-unreadable-records"),
                manifest.unreadable_records.to_string()
            );
            assert_eq!(
                got.header("content-disposition"),
                format!("attachment; filename=\"{kind_name}-2026-11.{name}\"")
            );
            // As a client keeps them, side by side.
            let kept = door.folder().join(format!("kept.{name}"));
            std::fs::write(&kept, &got.bytes).expect("a file");
            let manifest = STANDARD
                .decode(got.header("tollgate-manifest"))
                .expect("base 64");
            std::fs::write(manifest_path(&kept), manifest).expect("a file");
            verify(&kept).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
    }
    let spool: Vec<_> = std::fs::read_dir(door.folder().join("spool"))
        .expect("a folder")
        .collect();
    let own = spool[0].as_ref().expect("a folder").path();
    assert_eq!(
        std::fs::read_dir(own).expect("a folder").count(),
        1,
        "its lock alone"
    );
}
