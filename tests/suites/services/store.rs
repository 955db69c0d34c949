//! The contract of the store: what exactness and the client stand on.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use schemas::migrations;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Class, Row};

use super::store_under_test::StoreUnderTest;

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Typed {
    number: i64,
    amount: i128,
    units: Option<i64>,
    labels: HashMap<String, String>,
    received: i64,
    first_byte: Option<i64>,
}

const TYPED: &str = "CREATE TABLE typed (number Int64, amount Decimal(38, 18), units Nullable(Int64), \
    labels Map(LowCardinality(String), String), received DateTime64(6, 'UTC'), first_byte Nullable(DateTime64(6, 'UTC')), \
    id UUID DEFAULT '0193fb5e-0000-7000-8000-0000000000ff') \
    ENGINE = MergeTree ORDER BY number SETTINGS non_replicated_deduplication_window = 1000";

fn rows(numbers: std::ops::Range<i64>) -> Vec<Typed> {
    let row = |number: i64| Typed {
        number,
        amount: 12_345_678_901_234_567_890_123_456_789_012_345_678 - i128::from(number),
        units: (number % 2 == 0).then_some(i64::MAX - number),
        labels: HashMap::from([("team".to_owned(), format!("\n\n'\\{number}é"))]),
        received: 1_795_000_000_000_001 + number,
        first_byte: (number % 3 == 0).then_some(1),
    };
    numbers.map(row).collect()
}

const COUNT: &str = "SELECT count(), uniqExact(number) FROM typed";

#[tokio::test]
async fn settings_in_the_url_hold_and_what_is_no_setting_is_refused() {
    let store = StoreUnderTest::start().await;
    let ask = async |query: &str, setting: (&str, &str)| {
        let pairs = [("query", query), setting];
        store.post(&pairs, None, Vec::new()).await
    };
    let limited = ask(
        "SELECT getSetting('max_block_size')",
        ("max_block_size", "4711"),
    )
    .await;
    assert_eq!(limited.body.as_deref(), Some(&b"4711\n"[..]), "{limited:?}");
    let too_much = ask("SELECT number FROM numbers(5)", ("max_result_rows", "3")).await;
    assert_eq!(too_much.code.as_deref(), Some("396"), "{too_much:?}");
    let unknown = ask("SELECT 1", ("no_such_setting", "1")).await;
    assert_eq!(unknown.code.as_deref(), Some("115"), "{unknown:?}");
}

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    let store = StoreUnderTest::start().await;
    store.run(TYPED).await;
    let rows = rows(0..500);
    store
        .client
        .insert_block("typed", "t", &rows)
        .await
        .expect("an insert");
    let sql =
        "SELECT number, amount, units, labels, received, first_byte FROM typed ORDER BY number";
    assert_eq!(
        store.client.fetch_all::<Typed>(sql).await.expect("rows"),
        rows
    );
    let exact =
        "SELECT amount, toUnixTimestamp64Micro(received), id FROM typed ORDER BY number LIMIT 1";
    assert_eq!(
        store.text(exact).await,
        "12345678901234567890.123456789012345678\t1795000000000001\t0193fb5e-0000-7000-8000-0000000000ff"
    );
}

#[tokio::test]
async fn a_token_counts_once_and_an_insert_is_one_block() {
    let store = StoreUnderTest::start().await;
    store.run(TYPED).await;
    for (token, numbers) in [("a", 0..65_536), ("a", 0..65_536), ("b", 65_536..65_540)] {
        let inserted = store
            .client
            .insert_block("typed", token, &rows(numbers))
            .await;
        inserted.expect("an insert");
    }
    assert_eq!(store.text(COUNT).await, "65540\t65540");
    let parts = format!(
        "SELECT groupArray(rows) FROM (SELECT rows FROM system.parts WHERE database = '{}' AND table = 'typed' AND level = 0 \
         ORDER BY rows)",
        store.database
    );
    assert_eq!(store.text(&parts).await, "[4,65536]");
}

#[tokio::test]
async fn our_tables_remember_tokens_and_migrations_are_applied_once() {
    let store = StoreUnderTest::start().await;
    for applied in [migrations::ALL.len(), 0] {
        let report = store::migrate::migrate(&store.client, migrations::ALL).await;
        assert_eq!(report.expect("tables").applied.len(), applied);
    }
    let options = consumer::Options::new(store.client.clone(), "unused");
    let findings = consumer::horizon_findings(&store.client, 12, &options).await;
    assert_eq!(findings.expect("an answer"), [""; 0]);
}

/// So many records of two starts whose numbers are far apart, as they lie in a partition.
const INDEXED: u64 = 400_000;

async fn fill(store: &StoreUnderTest, numbers: std::ops::Range<u64>) {
    let sql = format!(
        "INSERT INTO audit_log SELECT 't:1', 0, toInt64(number), 'event', '', generateUUIDv4(), 'acme', 'gw-1', \
            concat(toString(number % 2 + 1), '-0707070707070707'), toInt64(intDiv(number, 2) + (number % 2) * 9000000), \
            toDateTime64('2026-11-01 00:00:00', 6, 'UTC') + toIntervalSecond(number), '', '' FROM numbers({}, {})",
        numbers.start,
        numbers.end - numbers.start
    );
    store.run(&sql).await;
}

/// The rows that the engine means to read, and those that are found.
async fn looked_at(store: &StoreUnderTest, condition: &str) -> (u64, u64) {
    // A name from a common table expression stands for a constant, as in the watch's question.
    let ask = format!(
        "WITH 'gw-1' AS p, '2-0707070707070707' AS b SELECT count() FROM audit_log WHERE {condition}"
    );
    let plan = store.text(&format!("EXPLAIN ESTIMATE {ask}")).await;
    let rows = plan.split('\t').nth(3).map_or("0", str::trim);
    let found = store.text(&ask).await;
    (
        rows.parse().expect("a number"),
        found.parse().expect("a number"),
    )
}

#[tokio::test]
async fn a_few_numbers_and_a_short_time_are_found_without_reading_the_whole_trail() {
    let store = StoreUnderTest::start().await;
    // Half of the rows were there before the indexes.
    let before = store::migrate::migrate(&store.client, &migrations::ALL[..8]).await;
    before.expect("tables");
    fill(&store, 0..INDEXED / 2).await;
    let after = store::migrate::migrate(&store.client, migrations::ALL).await;
    after.expect("indexes");
    fill(&store, INDEXED / 2..INDEXED).await;
    let pending = format!(
        "SELECT count() FROM system.mutations WHERE database = '{}' AND NOT is_done",
        store.database
    );
    tests::eventually("what was there before is indexed", async || {
        (store.text(&pending).await == "0").then_some(())
    })
    .await;
    for first in [10_000, 150_000] {
        let range = (9_000_000 + first, 9_000_000 + first + 99);
        let near = schemas::rows::numbers::near("p", "b", &[range]);
        let (first, last) = range;
        let condition = format!(
            "producer = p AND boot = b AND producer_seq >= {first} AND producer_seq <= {last}{near}"
        );
        let (read, found) = looked_at(&store, &condition).await;
        assert_eq!(found, 100, "each of them is found");
        assert!(read < INDEXED / 5, "{read} rows");
    }
    let (read, found) = looked_at(&store, "boot = '3-0707070707070707'").await;
    assert!(found == 0 && read < INDEXED / 5, "{read} rows");
    let hour = "received >= '2026-11-02 00:00:00' AND received < '2026-11-02 01:00:00'";
    let (read, found) = looked_at(&store, hour).await;
    assert!(found == 3_600 && read < INDEXED / 5, "{read} rows");
}

#[tokio::test]
async fn a_compressed_insert_is_taken_whole_and_a_torn_one_not_at_all() {
    let store = StoreUnderTest::start().await;
    store.run(TYPED).await;
    let mut lines = String::new();
    for number in 0..1_000 {
        writeln!(lines, "{number}\t0.5").expect("a text grows");
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(lines.as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    let query = [(
        "query",
        "INSERT INTO typed (number, amount) FORMAT TabSeparated",
    )];
    let torn = packed[..packed.len() / 2].to_vec();
    let refused = store.post(&query, Some("gzip"), torn).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(store.text(COUNT).await, "0\t0");
    let taken = store.post(&query, Some("gzip"), packed).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(store.text(COUNT).await, "1000\t1000");
}

/// A query that fails when it has given rows for long.
const FAILS_LATE: &str = "SELECT number, throwIf(number = 4000000) FROM numbers(6000000)";

#[tokio::test]
async fn an_error_in_mid_answer_is_an_error_and_never_a_shorter_answer() {
    let store = StoreUnderTest::start().await;
    let failed = store.client.query_bytes(FAILS_LATE, "TabSeparated").await;
    let error = failed.expect_err("the answer is not whole");
    assert!(error.to_string().contains("395"), "{error}");
    let rows = store.client.fetch_all::<(u64, u8)>(FAILS_LATE).await;
    assert!(rows.is_err(), "typed rows neither");
}

#[tokio::test]
async fn who_waits_for_the_end_of_a_query_sees_its_error_in_the_head() {
    let store = StoreUnderTest::start().await;
    let pairs = [("query", FAILS_LATE), ("wait_end_of_query", "1")];
    let failed = store.post(&pairs, None, Vec::new()).await;
    assert!(failed.status >= 400, "{}", failed.status);
    assert_eq!(failed.code.as_deref(), Some("395"));
    // Without it the head may have gone: then the body breaks off or ends with the error.
    let failed = store.post(&pairs[..1], None, Vec::new()).await;
    let says = |body: &Vec<u8>| String::from_utf8_lossy(body).contains("DB::Exception");
    assert!(failed.status >= 400 || failed.body.as_ref().is_none_or(says));
}

#[tokio::test]
async fn each_user_has_its_rights_and_each_database_its_tables() {
    let store = StoreUnderTest::start().await;
    store.run(TYPED).await;
    store
        .client
        .insert_block("typed", "t", &rows(0..3))
        .await
        .expect("an insert");
    let count = store
        .reader
        .query("SELECT count() FROM typed")
        .fetch_one::<u64>()
        .await;
    assert_eq!(count.expect("who may read reads"), 3);
    for refused in [
        "INSERT INTO typed (number) VALUES (4)",
        "DROP TABLE typed",
        "CREATE TABLE other (x Int8) ENGINE = Memory",
        "TRUNCATE TABLE typed",
    ] {
        let ran = store.reader.statement(refused).execute().await;
        assert_eq!(
            ran.expect_err(refused).class(),
            Class::Rejected,
            "{refused}"
        );
    }
    let stranger = store.as_user("nobody-at-all", "wrong").ping().await;
    assert_eq!(stranger.expect_err("a stranger").code(), Some(516));
    let elsewhere = store.client.in_database("system");
    let missing = elsewhere
        .query("SELECT count() FROM typed")
        .fetch_one::<u64>()
        .await;
    assert_eq!(missing.expect_err("no such table there").code(), Some(60));
    assert_eq!(store.text(COUNT).await, "3\t3");
}

#[tokio::test]
async fn two_tables_change_places_at_once() {
    let store = StoreUnderTest::start().await;
    for (table, number) in [("one", 1), ("two", 2)] {
        store
            .run(&format!(
                "CREATE TABLE {table} (x Int8) ENGINE = MergeTree ORDER BY x"
            ))
            .await;
        store
            .run(&format!("INSERT INTO {table} SELECT {number}"))
            .await;
    }
    store.run("EXCHANGE TABLES one AND two").await;
    assert_eq!(
        store.text("SELECT one.x, two.x FROM one, two").await,
        "2\t1"
    );
}

fn compose_file() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.yml");
    std::fs::read_to_string(path).expect("the compose file")
}

/// The health check of the compose file's server is a question that a server answers, at the port that consumers and billing are
/// told. It is asked by what the image's own start asks with (ClickHouse/ClickHouse, `docker/server/entrypoint.sh`).
#[tokio::test]
async fn the_compose_files_health_check_of_the_server_is_answered() {
    let store = StoreUnderTest::start().await;
    let compose: Value = serde_saphyr::from_str(&compose_file()).expect("YAML");
    let check = compose["services"]["clickhouse"]["healthcheck"]["test"].as_array();
    let words = check.expect("a list").iter().map(Value::as_str);
    let words: Vec<&str> = words.collect::<Option<_>>().expect("texts");
    let (asked, by) = words.split_last().expect("a command");
    assert_eq!(by, ["CMD", "wget", "--quiet", "--tries=1", "--spider"]);
    let asked: reqwest::Url = asked.parse().expect("an address");
    let back = compose["configs"]["back"]["content"].as_str();
    let back: toml::Table = back.expect("a configuration").parse().expect("TOML");
    let told = back["store"]["url"].as_str().expect("an address");
    let told: reqwest::Url = told.parse().expect("an address");
    assert_eq!(
        (asked.host_str(), asked.port()),
        (Some("127.0.0.1"), told.port())
    );
    assert_eq!(store.head(asked.path()).await, 200);
    assert_eq!(store.head("/no-such-place").await, 404);
}

/// What the compose file's server is told of tables is what this engine knows of them.
#[tokio::test]
async fn the_compose_files_settings_of_tables_are_known() {
    let store = StoreUnderTest::start().await;
    let text = compose_file();
    let (_, rest) = text.split_once("<merge_tree>").expect("settings of tables");
    let (settings, _) = rest.split_once("</merge_tree>").expect("their end");
    let names = settings
        .lines()
        .filter_map(|line| line.trim().strip_prefix('<'));
    let names: Vec<&str> = names.filter_map(|rest| rest.split('>').next()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        let sql = format!("SELECT count() FROM system.merge_tree_settings WHERE name = '{name}'");
        assert_eq!(store.text(&sql).await, "1", "{name}");
    }
}
