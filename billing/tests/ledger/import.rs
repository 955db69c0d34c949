//! Spend of another gateway in the real store: totals equal to the digit, nothing doubled, nothing overwritten, and none of
//! it in a report of ours.

use std::path::{Path, PathBuf};

use crate::common::*;
use billing::import::{
    Column, Done, ImportSpendError, ImportedReport, ImportedRequest, Naming, import_spend,
    imported, survey,
};
use billing::render::{self, Format};
use billing::{Period, period};
use store::Client;

/// In the shape of `LiteLLM_SpendLogs`; names and figures are our own.
fn row(id: &str, team: &str, model: &str, spend: &str, started: &str) -> String {
    format!(
        r#"{{"request_id":"{id}","call_type":"acompletion","api_key":"","spend":{spend},"total_tokens":30,"prompt_tokens":20,"completion_tokens":10,"startTime":"{started}","endTime":"{started}","model":"{model}","model_group":"","custom_llm_provider":"openai","user":"","metadata":{{}},"cache_hit":"False","request_tags":["a?b","c'd"],"team_id":{team},"end_user":"","status":"success"}}"#
    )
}

fn export() -> Vec<String> {
    vec![
        row(
            "a",
            r#""red""#,
            "gpt-4o",
            "2.4999999999999998e-05",
            "2026-11-24T12:00:00Z",
        ),
        row("b'?", r#""red""#, "gpt-4o", "0.1", "2026-11-30 23:30:00.5"),
        row("c", "null", "o3", "1e-11", "2026-11-01T00:30:00+01:00"),
        row("d", r#""blue""#, "o3", "3", "2026-12-01T00:00:00Z"),
    ]
}

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(rows: &[String]) -> File {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("spend.jsonl");
    std::fs::write(&path, rows.join("\n")).expect("written");
    File {
        _folder: folder,
        path,
    }
}

fn naming() -> Naming {
    Naming {
        source: "litellm".to_owned(),
        without_team: "none".to_owned(),
    }
}

async fn import_file(client: &Client, path: &Path) -> Result<Done, ImportSpendError> {
    let first = survey(path, &naming())?;
    import_spend(client, path, &naming(), &first).await
}

async fn import(client: &Client, rows: &[String]) -> Result<Done, ImportSpendError> {
    import_file(client, &file(rows).path).await
}

async fn november(ledger: &Ledger, by: &str, zone: &str, tenant: Option<&str>) -> ImportedReport {
    let zone = period::zone(zone).expect("a zone");
    let request = ImportedRequest {
        period: Period::parse("2026-11", zone).expect("a period"),
        by: Column::parse_list(by).expect("columns"),
        tenant: tenant.map(str::to_owned),
    };
    imported(&ledger.reader(), &request)
        .await
        .expect("a report")
}

fn told(report: &ImportedReport) -> Vec<String> {
    let row = |row: &billing::import::ImportedRow| {
        format!(
            "{} {} {}",
            row.columns.join("/"),
            row.figures.rows,
            row.figures.spend
        )
    };
    report.rows.iter().map(row).collect()
}

#[tokio::test]
async fn an_import_equals_its_file_to_the_digit_and_a_second_one_changes_nothing() {
    let ledger = Ledger::start().await;
    let first = import(&ledger.writer(), &export()).await.expect("imported");
    assert_eq!(
        first.survey.file.spend.to_string(),
        "3.100025000009999999998"
    );
    assert_eq!(first.in_table, first.survey.file);
    assert_eq!((first.written.rows, first.already_there.rows), (4, 0));

    let again = import(&ledger.writer(), &export()).await.expect("imported");
    assert_eq!((again.written.rows, again.already_there.rows), (0, 4));
    assert_eq!(again.in_table, first.in_table);

    // a later and longer export of the same gateway adds what is new
    let mut more = export();
    more.push(row(
        "e",
        r#""red""#,
        "gpt-4o",
        "0.5",
        "2026-11-24T12:00:01Z",
    ));
    let more = import(&ledger.writer(), &more).await.expect("imported");
    assert_eq!((more.written.rows, more.already_there.rows), (1, 4));

    // rows that an operator deletes can be imported again
    ledger
        .run("DELETE FROM imported_spend WHERE source = 'litellm'")
        .await;
    let anew = import(&ledger.writer(), &export()).await.expect("imported");
    assert_eq!((anew.written.rows, anew.in_table), (4, first.in_table));

    // and our own report knows nothing of it
    let ours = ledger
        .report(
            "gpt-4o,input_text,default,,1,1,USD,",
            &crate::common::november("tenant", "UTC"),
        )
        .await;
    assert_eq!((ours.totals.requests, ours.rows.len()), (0, 0));
}

#[tokio::test]
async fn what_is_there_is_never_overwritten_by_other_figures() {
    let ledger = Ledger::start().await;
    import(&ledger.writer(), &export()).await.expect("imported");
    let mut changed = export();
    changed[0] = changed[0].replace("2.4999999999999998e-05", "7");
    let done = import(&ledger.writer(), &changed).await.expect("imported");
    assert_eq!(
        (
            done.in_conflict.rows,
            done.already_there.rows,
            done.written.rows
        ),
        (1, 3, 0)
    );
    let refused = done.survey.refusals.kept();
    assert_eq!(
        (refused.len(), refused[0].line, refused[0].entry.as_str()),
        (1, 1, "a")
    );
    let report = november(&ledger, "model", "UTC", None).await;
    assert!(
        told(&report).contains(&"gpt-4o 2 0.100024999999999999998".to_owned()),
        "{report:?}"
    );
}

#[tokio::test]
async fn bad_lines_are_refused_and_the_rest_equals_the_rest() {
    let ledger = Ledger::start().await;
    let mut rows = export();
    rows.insert(1, "{\"request_id\": \"broken".to_owned());
    rows.insert(
        3,
        row("f", "null", "o3", "\"much\"", "2026-11-24T12:00:00Z"),
    );
    rows.push(row("g", "null", "o3", "0.75", "some day"));
    rows.push(export().remove(0));
    let done = import(&ledger.writer(), &rows).await.expect("imported");
    let lines: Vec<_> = done
        .survey
        .refusals
        .kept()
        .iter()
        .map(|one| one.line)
        .collect();
    assert_eq!(lines, [2, 4, 7]);
    assert_eq!(
        (
            done.survey.unreadable_rows,
            done.survey.refused.rows,
            done.survey.repeated.rows
        ),
        (2, 1, 1)
    );
    assert_eq!(Some(done.in_table), done.survey.taken());
    assert_eq!(done.in_table.spend.to_string(), "3.100025000009999999998");
    // an export that was cut off is not begun
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("cut.json");
    std::fs::write(
        &path,
        format!("[{}", row("z", "null", "o3", "1", "2026-11-24T12:00:00Z")),
    )
    .expect("written");
    let error = import_file(&ledger.writer(), &path)
        .await
        .expect_err("cut off");
    assert!(error.to_string().contains("cut off"), "{error}");
    let report = november(&ledger, "", "UTC", None).await;
    assert_eq!(report.totals[0].figures.rows, 2);
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_read_is_not_called_imported() {
    let ledger = Ledger::start().await;
    let (first, then) = (file(&export()), file(&export()[..3]));
    let read = survey(&first.path, &naming()).expect("read");
    let error = import_spend(&ledger.writer(), &then.path, &naming(), &read).await;
    let error = error.expect_err("changed").to_string();
    assert!(
        error.contains("the file changed") && error.contains("4 rows"),
        "{error}"
    );
}

#[tokio::test]
async fn the_report_is_by_source_by_day_of_the_zone_and_says_what_it_is() {
    let ledger = Ledger::start().await;
    import(&ledger.writer(), &export()).await.expect("imported");
    let utc = november(&ledger, "tenant,model", "UTC", None).await;
    assert_eq!(told(&utc), ["red/gpt-4o 2 0.100024999999999999998"]);
    let berlin = november(&ledger, "day,tenant", "Europe/Berlin", None).await;
    assert_eq!(
        told(&berlin),
        [
            "2026-11-01/none 1 0.00000000001",
            "2026-11-24/red 1 0.000024999999999999998"
        ]
    );
    let none = november(
        &ledger,
        "key,user,end_user,model_group,provider,api,status,project",
        "Europe/Berlin",
        Some("none"),
    )
    .await;
    assert_eq!(
        told(&none),
        ["////openai/acompletion/success/ 1 0.00000000001"]
    );
    for format in [Format::Table, Format::Csv, Format::Json] {
        let text = render::imported(&utc, format, None).expect("printed");
        assert!(
            text.contains("0.100024999999999999998") && text.contains("litellm"),
            "{text}"
        );
        assert!(
            text.contains("nother gateway") || text.contains("other_gateway"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn without_a_store_nothing_is_claimed() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("its address");
    drop(nobody);
    let client = Client::connect(
        format!("http://{address}"),
        "nobody",
        store::Password::new("none"),
        "tollgate",
    );
    let error = import(&client, &export()).await.expect_err("no store");
    let text = error.to_string();
    assert!(
        text.contains("after 0 rows")
            && text.contains("not available")
            && text.contains("run the same import again"),
        "{text}"
    );
}
