//! Rows as blocks of columns: what the engine reads is what was given, however many different texts a column has, and
//! what does not fit is refused before anything is sent.

use crate::common::TestEngine;
use serde::Serialize;
use std::collections::BTreeMap;
use store::{Class, Row};

const TABLE: &str = "CREATE TABLE wide (number Int64, few LowCardinality(String), maybe LowCardinality(Nullable(String)), \
    text Nullable(String), list Array(LowCardinality(String)), map Map(LowCardinality(String), Int64), \
    maps Array(Map(LowCardinality(String), Int64)), long String, small Array(UInt16), kind Nullable(Enum8('a' = -3, 'b' = 7)), \
    kinds Array(Enum8('' = 0, 'x' = 1)), yes Bool, id UUID, leaf FixedString(3)) \
    ENGINE = MergeTree ORDER BY number SETTINGS non_replicated_deduplication_window = 100";

#[derive(Clone, Debug, Row, Serialize)]
struct Wide {
    number: i64,
    few: String,
    maybe: Option<String>,
    text: Option<String>,
    list: Vec<String>,
    map: BTreeMap<String, i64>,
    maps: Vec<Vec<(String, i64)>>,
    long: String,
    small: Vec<u16>,
    kind: Option<i8>,
    kinds: Vec<i8>,
    yes: bool,
    id: (u64, u64),
    leaf: [u8; 3],
}

/// Every row has lists of another length, the first none at all.
fn wide(number: i64, different: i64, long_bytes: usize) -> Wide {
    let few = format!("few {}", number % different);
    let count = usize::try_from(number % 4).expect("it is small");
    let unsigned = number.unsigned_abs();
    Wide {
        number,
        maybe: (number % 3 != 0).then(|| few.clone()),
        text: (number % 5 == 0).then(|| few.clone()),
        list: vec![few.clone(); count],
        map: (0..number % 3)
            .map(|at| (format!("key {at}"), number + at))
            .collect(),
        maps: vec![vec![(few.clone(), number); count]; count],
        long: "é".repeat(long_bytes / 2 + count),
        small: vec![u16::try_from(number % 60_000).expect("it is small"); count],
        kind: [None, Some(-3), Some(7)][usize::try_from(number % 3).expect("it is small")],
        kinds: vec![i8::try_from(number % 2).expect("it is small"); count],
        yes: number % 2 == 0,
        id: (unsigned << 32 | 7, unsigned),
        leaf: [b'\n', u8::try_from(number % 251).expect("it is small"), 0],
        few,
    }
}

/// The same rows by the engine's own arithmetic.
fn by_the_engine(different: i64, long_bytes: usize) -> String {
    let half = long_bytes / 2;
    format!(
        "number % 4 AS n, concat('few ', toString(number % {different})) AS f, number AS number, f AS few, \
         if(number % 3 != 0, f, NULL) AS maybe, if(number % 5 = 0, f, NULL) AS text, arrayWithConstant(n, f) AS list, \
         arrayMap(at -> (concat('key ', toString(at)), number + at), range(toUInt64(number % 3)))::Map(String, Int64) AS map, \
         arrayWithConstant(n, arrayWithConstant(n, (f, number))::Map(String, Int64)) AS maps, repeat('é', {half} + n) AS long, \
         arrayWithConstant(n, number % 60000) AS small, [NULL, 'a', 'b'][number % 3 + 1] AS kind, \
         arrayWithConstant(n, ['', 'x'][number % 2 + 1]) AS kinds, (number % 2 = 0)::Bool AS yes, \
         lower(concat(leftPad(hex(toUInt64(number * 4294967296 + 7)), 16, '0'), leftPad(hex(toUInt64(number)), 16, '0'))) AS id, \
         concat('\\n', char(number % 251), '\\0') AS leaf"
    )
}

const SHOWN: &str = "cityHash64(toString(tuple(number, few, maybe, text, list, map, maps, long, small, kind, kinds, yes, id, leaf)))";

async fn holds(rows: i64, different: i64, long_bytes: usize) {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let given: Vec<Wide> = (0..rows)
        .map(|number| wide(number, different, long_bytes))
        .collect();
    let writer = engine.writer();
    writer
        .insert_block("wide", "one", &given)
        .await
        .expect("an insert");
    writer
        .insert_block("wide", "one", &given)
        .await
        .expect("an insert");
    let parts = "SELECT count(), sum(rows) FROM system.parts WHERE table = 'wide' AND active";
    assert_eq!(engine.text(parts).await, format!("1\t{rows}"));
    let sum = |of: &str| format!("SELECT sum({SHOWN}) FROM ({of})");
    let columns = "number, few, maybe, text, list, map, maps, long, small, kind, kinds, yes, \
        lower(hex(id)) AS id, leaf";
    let stored = engine
        .text(&sum(&format!("SELECT {columns} FROM wide")))
        .await;
    let of = by_the_engine(different, long_bytes);
    let wanted =
        format!("SELECT {of} FROM (SELECT toInt64(number) AS number FROM numbers({rows}))");
    assert_eq!(stored, engine.text(&sum(&wanted)).await);
}

#[tokio::test]
async fn one_row_and_few_texts_come_as_they_were_given() {
    holds(1, 1, 0).await;
    holds(300, 7, 5_000).await;
}

#[tokio::test]
async fn numbers_of_texts_grow_with_their_count() {
    holds(256, 256, 0).await;
    holds(70_000, 257, 0).await;
    holds(70_000, 69_000, 40).await;
}

#[derive(Clone, Debug, Row, Serialize)]
struct Other<T> {
    number: T,
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let engine = TestEngine::start().await;
    engine
        .run("CREATE TABLE narrow (number Int32) ENGINE = MergeTree ORDER BY number")
        .await;
    engine
        .run("CREATE TABLE strange (number Nullable(Date32)) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    let writer = engine.writer();
    let refusals = [
        writer
            .insert_block("narrow", "a", &[Other { number: 1_i64 }])
            .await,
        writer
            .insert_block("narrow", "b", &[Other { number: 1_u32 }])
            .await,
        writer
            .insert_block("narrow", "c", &[Other { number: "1" }])
            .await,
        writer
            .insert_block(
                "narrow",
                "d",
                &[Other {
                    number: None::<i32>,
                }],
            )
            .await,
        writer
            .insert_block(
                "narrow",
                "e",
                &[Other {
                    number: vec![1_i32],
                }],
            )
            .await,
        writer
            .insert_block(
                "strange",
                "f",
                &[Other {
                    number: Some(1_i32),
                }],
            )
            .await,
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("a refusal");
        assert_eq!(refusal.class(), Class::Rejected);
        assert!(
            refusal.to_string().contains("column `number` of type "),
            "{refusal}"
        );
    }
    let nowhere = writer
        .insert_block("nowhere", "g", &[Other { number: 1_i32 }])
        .await;
    assert!(
        nowhere
            .expect_err("a refusal")
            .to_string()
            .contains("there is no table tollgate.nowhere")
    );
    assert_eq!(engine.text("SELECT count() FROM narrow").await, "0");
    writer
        .insert_block("narrow", "h", &[Other { number: 1_i32 }])
        .await
        .expect("an insert");
    assert_eq!(engine.text("SELECT count() FROM narrow").await, "1");
}

/// What a writer knows of a table may be older than the table: nothing is made to fit.
#[tokio::test]
async fn a_table_that_was_changed_is_looked_at_again_and_takes_no_zero_for_what_is_not_known() {
    let engine = TestEngine::start().await;
    engine
        .run("CREATE TABLE changed (number Nullable(Int64)) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    let writer = engine.writer();
    let insert = async |token: &str, number: Option<i64>| {
        let row = Other { number };
        writer.insert_block("changed", token, &[row]).await
    };
    insert("a", Some(7)).await.expect("an insert");
    engine
        .run("ALTER TABLE changed MODIFY COLUMN number Int64 DEFAULT 0")
        .await;
    for (token, number) in [("b", None), ("b", None), ("c", Some(8))] {
        let refusal = insert(token, number).await.expect_err("a refusal");
        assert_eq!(refusal.class(), Class::Rejected);
        let refusal = refusal.to_string();
        assert!(
            refusal.contains("changed: column `number` of type Int64: "),
            "{refusal}"
        );
    }
    let stored = "SELECT count(), sum(number) FROM changed";
    assert_eq!(engine.text(stored).await, "1\t7");
    engine
        .run("ALTER TABLE changed MODIFY COLUMN number Nullable(Int64)")
        .await;
    insert("b", None).await.expect("an insert");
    assert_eq!(
        engine
            .text("SELECT countIf(number IS NULL) FROM changed")
            .await,
        "1"
    );
}

#[tokio::test]
async fn a_number_that_became_too_large_is_refused_and_a_list_that_grew_is_written() {
    let engine = TestEngine::start().await;
    engine
        .run("CREATE TABLE changed (number Int64) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    let kinds = "CREATE TABLE kinds (number Enum8('a' = 1)) ENGINE = MergeTree ORDER BY tuple()";
    engine.run(kinds).await;
    let writer = engine.writer();
    let large = [Other {
        number: 1_i64 << 33,
    }];
    writer
        .insert_block("changed", "a", &large)
        .await
        .expect("an insert");
    let kind = [Other { number: 1_i8 }];
    writer
        .insert_block("kinds", "a", &kind)
        .await
        .expect("an insert");

    engine.run("TRUNCATE TABLE changed").await;
    engine
        .run("ALTER TABLE changed MODIFY COLUMN number Int32")
        .await;
    let refusal = writer.insert_block("changed", "b", &large).await;
    let refusal = refusal.expect_err("a refusal").to_string();
    assert!(
        refusal.contains("column `number` of type Int32"),
        "{refusal}"
    );
    assert_eq!(engine.text("SELECT count() FROM changed").await, "0");

    engine
        .run("ALTER TABLE kinds MODIFY COLUMN number Enum8('a' = 1, 'b' = 2)")
        .await;
    writer
        .insert_block("kinds", "b", &kind)
        .await
        .expect("an insert");
    assert_eq!(
        engine.text("SELECT countIf(number = 'a') FROM kinds").await,
        "2"
    );
}

/// A number of 64 bits is a time only in microseconds, an amount only with 27 places, a name only if it is listed.
#[tokio::test]
async fn what_would_mean_something_else_is_refused() {
    let engine = TestEngine::start().await;
    let writer = engine.writer();
    let long = || [Other { number: 1_i64 }];
    for (at, kind) in [
        "DateTime64(3, 'UTC')",
        "Decimal(18, 9)",
        "Nullable(DateTime64(9))",
    ]
    .into_iter()
    .enumerate()
    {
        engine
            .run(&format!(
                "CREATE TABLE other_{at} (number {kind}) ENGINE = MergeTree ORDER BY tuple()"
            ))
            .await;
        let refusal = writer
            .insert_block(&format!("other_{at}"), "a", &long())
            .await
            .expect_err("a refusal");
        assert_eq!(refusal.class(), Class::Rejected);
        assert!(refusal.to_string().contains("column `number`"), "{refusal}");
    }

    engine
        .run("CREATE TABLE named (number Enum8('a' = 1, 'z' = -3)) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    for (number, is_listed) in [(1_i8, true), (-3, true), (2, false), (0, false)] {
        let written = writer
            .insert_block("named", &format!("n{number}"), &[Other { number }])
            .await;
        assert_eq!(written.is_ok(), is_listed, "{written:?}");
    }
    assert_eq!(
        engine
            .text("SELECT groupArray(number) FROM (SELECT number FROM named ORDER BY number)")
            .await,
        "['z','a']"
    );

    // A writer that knows a count does not make a time of it.
    engine
        .run("CREATE TABLE turned (number Int64) ENGINE = MergeTree ORDER BY tuple()")
        .await;
    writer
        .insert_block("turned", "a", &long())
        .await
        .expect("an insert");
    engine
        .run("ALTER TABLE turned MODIFY COLUMN number DateTime64(6, 'UTC')")
        .await;
    let refusal = writer.insert_block("turned", "b", &long()).await;
    let refusal = refusal.expect_err("a refusal").to_string();
    assert!(refusal.contains("counts in other units now"), "{refusal}");
    assert_eq!(engine.text("SELECT count() FROM turned").await, "1");
}
