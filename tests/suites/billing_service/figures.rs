//! What the API says is what the command line prints and what went through the gateway, beside it and alone.

use serde_json::Value;
use tests::KEYS;
use tests::command::run;

use crate::stand::{ACME, FINANCE, Service, Stand};

fn month() -> String {
    billing::period::month_of(
        schemas::Micros(runtime::clock::now_us()),
        billing::period::zone("UTC").expect("a zone"),
    )
}

/// A URL and the command that says the same.
fn pairs(month: &str) -> Vec<(String, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for format in ["json", "csv"] {
        pairs.push((
            format!("/v1/chargeback?period={month}&format={format}"),
            words(&format!(
                "report chargeback --period {month} --format {format}"
            )),
        ));
        pairs.push((
            format!("/v1/chargeback?period={month}&by=tenant,day,outcome&tz=Asia/Tokyo&tenant=acme&format={format}"),
            words(&format!(
                "report chargeback --period {month} --by tenant,day,outcome --tz Asia/Tokyo --tenant acme --format {format}"
            )),
        ));
        pairs.push((
            format!("/v1/audit?tenant=acme&since=1d&limit=3&format={format}"),
            words(&format!(
                "audit query --tenant acme --since 1d --limit 3 --format {format}"
            )),
        ));
    }
    pairs
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_and_the_command_line_say_the_same_byte_for_byte() {
    let stand = Stand::start().await;
    let folder = tempfile::tempdir().expect("a scratch directory");
    let alone = Service::start(folder.path(), &stand.stack.data_dir());
    alone.api.ready().await;
    let (month, config) = (month(), stand.stack.config_path());
    for (url, command) in pairs(&month) {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let printed = run(&command, &config).await;
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        for (name, api) in [("up", &stand.api), ("billing", &alone.api)] {
            assert_eq!(api.good(FINANCE, &url).await, printed.out, "{name}: {url}");
        }
    }
    for (kind, format) in [("summary", "csv"), ("trail", "json")] {
        let file = folder.path().join(format!("{kind}.{format}"));
        let shown = file.display().to_string();
        let command = [
            "export", kind, "--period", &month, "--format", format, "--out", &shown,
        ];
        let exported = run(&command, &config).await;
        assert_eq!(exported.code, Some(0), "{}", exported.err);
        let file = std::fs::read_to_string(file).expect("a file");
        let url = format!("/v1/exports?kind={kind}&period={month}&format={format}");
        assert_eq!(alone.api.good(FINANCE, &url).await, file, "{url}");
    }
    // And all of it is what the provider was asked.
    let report = stand
        .api
        .good(FINANCE, &format!("/v1/chargeback?period={month}"))
        .await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let sum = |side: &str| report["totals"][side].as_i64();
    let stored = &stand.books.events;
    assert_eq!(report["totals"]["requests"], stored.len());
    assert_eq!(
        sum("input_tokens"),
        Some(stored.iter().filter_map(|e| e.input).sum())
    );
    assert_eq!(
        sum("output_tokens"),
        Some(stored.iter().filter_map(|e| e.output).sum())
    );
    assert_eq!(report["totals"]["charged_requests"], 2 * KEYS.len());
    assert_eq!(report["totals"]["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_reader_learns_of_its_own_requests_alone() {
    let stand = Stand::start().await;
    let own = KEYS.iter().filter(|key| key.tenant == "acme").count() * 2;
    let page = stand.api.good(ACME, "/v1/audit?since=1d").await;
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let events = page["events"].as_array().expect("events");
    assert_eq!(events.len(), own);
    assert!(events.iter().all(|event| event["tenant"] == "acme"));
    let trail = stand
        .api
        .good(ACME, "/v1/exports?kind=trail&format=json")
        .await;
    assert_eq!(trail.lines().count(), own);
    let report = stand.api.good(ACME, "/v1/chargeback?by=tenant").await;
    for text in [&report, &trail] {
        assert!(
            !text.contains("globex") && !text.contains("initech"),
            "{text}"
        );
    }
    for path in [
        "/v1/chargeback",
        "/v1/coverage",
        "/v1/audit",
        "/v1/exports?kind=trail",
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let foreign = stand
            .api
            .get(ACME, &format!("{path}{mark}tenant=globex"))
            .await;
        assert_eq!(
            (foreign.status, foreign.error_code().as_str()),
            (403, "other_tenant")
        );
        assert_eq!(stand.api.get("tg-wrong", path).await.status, 401);
    }
}
