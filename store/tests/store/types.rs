//! Every type that our tables use goes in by the typed client and comes back the same.

use crate::common::TestEngine;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use store::Row;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Everything {
    #[serde(with = "store::row_serde::uuid")]
    id: Uuid,
    units: Option<i64>,
    amount: i128,
    received: i64,
    first_byte: Option<i64>,
    labels: HashMap<String, String>,
    estimated: HashMap<String, i64>,
    outcome: i8,
    stream: bool,
    leaf: [u8; 4],
    #[serde(with = "serde_bytes_of")]
    bytes: Vec<u8>,
    #[serde(rename = "lines.model")]
    models: Vec<String>,
    #[serde(rename = "lines.units")]
    line_units: Vec<Option<i64>>,
}

/// A ClickHouse String that is not text.
mod serde_bytes_of {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

const TABLE: &str = "CREATE TABLE everything (id UUID, units Nullable(Int64), amount Decimal(38, 18), \
    received DateTime64(6, 'UTC'), first_byte Nullable(DateTime64(6, 'UTC')), labels Map(LowCardinality(String), String), \
    estimated Map(LowCardinality(String), Int64), outcome Enum8('completed' = 1, 'unknown' = 12), stream Bool, \
    leaf FixedString(4), bytes String, lines Nested(model String, units Nullable(Int64))) \
    ENGINE = MergeTree ORDER BY received SETTINGS non_replicated_deduplication_window = 100";

fn row(number: i64) -> Everything {
    Everything {
        id: Uuid::from_u128(
            0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(number.unsigned_abs()),
        ),
        units: (number % 2 == 0).then_some(i64::MAX - number),
        // 12345678901234567890.123456789012345678, more digits than a float has
        amount: 12_345_678_901_234_567_890_123_456_789_012_345_678 - i128::from(number),
        received: 1_795_000_000_000_001 + number,
        first_byte: (number % 3 == 0).then_some(1),
        labels: HashMap::from([("team".to_owned(), "\n\n'\\\0é".to_owned())]),
        estimated: HashMap::from([("input_text".to_owned(), number)]),
        outcome: 12,
        stream: true,
        leaf: [0, 255, b'\n', b'\n'],
        bytes: b"\n\n\xff\0;--\n\n)\n\n".to_vec(),
        models: vec!["a".to_owned(), String::new()],
        line_units: vec![None, Some(-1)],
    }
}

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let rows: Vec<Everything> = (0..1_000).map(row).collect();
    engine
        .writer()
        .insert_block("everything", "one", &rows)
        .await
        .unwrap();
    for client in [engine.writer(), engine.reader()] {
        let back: Vec<Everything> = client
            .fetch_all(
                "SELECT ?fields FROM everything ORDER BY received"
                    .replace("?fields", FIELDS)
                    .as_str(),
            )
            .await
            .unwrap();
        assert!(back == rows);
    }
    let exact = engine.text("SELECT amount, toUnixTimestamp64Micro(received) FROM everything ORDER BY received LIMIT 1").await;
    assert_eq!(
        exact,
        "12345678901234567890.123456789012345678\t1795000000000001"
    );
}

const FIELDS: &str = "id, units, amount, received, first_byte, labels, estimated, outcome, stream, leaf, bytes, \
    `lines.model`, `lines.units`";

#[tokio::test]
async fn values_are_bound_and_question_marks_kept() {
    let engine = TestEngine::start().await;
    let reader = engine.reader();
    let nasty = "it's \\ \"?\" `x`; \n\n";
    let back: String = reader
        .query("SELECT concat(?, '??')")
        .bind(nasty)
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(back, format!("{nasty}?"));
    assert_eq!(
        reader.fetch_all::<String>("SELECT '?'").await.unwrap(),
        ["?"]
    );
    let bytes = reader
        .query_bytes("SELECT 1 AS x", "JSONEachRow")
        .await
        .unwrap();
    assert_eq!(&bytes[..], b"{\"x\":1}\n");
    let none: Option<u8> = reader
        .query("SELECT 1 WHERE 0")
        .fetch_optional()
        .await
        .unwrap();
    assert_eq!(none, None);
}
