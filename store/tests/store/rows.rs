//! The product's own rows go into the product's own tables, by the names and types that the migrations give them.

use crate::common::TestEngine;
use schemas::rows::{Source, leaf_hash, rows_of};
use schemas::{CutRow, Decoded, RecordKind, Text, decode};
use store::Stored;
use store::migrate::migrate;

/// A usage event with every field filled.
const EVENT: &str = r#"{"wire":"v1","event_id":"019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b","request_id":"r","producer":"p",
"boot":"7-0123456789abcdef","tenant":"t","project":"pr","key_id":"k","principal":"x","auth_method":"key","conversation":"c",
"labels":{"team":"a'b\\"},"api":"chat","stream":true,"model_requested":"m","model_served":"m-1","priced_as":"m","route":"r",
"deployment":"d","provider":"pv","region":"eu","data_zone":"zone","capacity":"ptu","service_tier":"default",
"route_reason":"primary","received_us":1795000000000001,"admitted_us":1795000000000002,"first_byte_us":1795000000000003,
"completed_us":1795000000000004,"upstream_us":5,"gateway_us":6,"clock_quality":"good","lines":[
{"model":"m","service_tier":"default","speed":"fast","geography":"eu","units":{"input_text":7,"output_text":8}},
{"model":"n","service_tier":null,"speed":null,"geography":null,"units":{"images":1}}],"usage_source":"provider",
"usage_quality":"ok","usage_raw":"{\"a\":1}","provider_cost":"0.1","provider_cost_currency":"USD",
"estimated_units":{"input_text":9},"billable":"yes","synthetic":true,"outcome":"completed","outcome_detail":"x",
"status":200,"finish_reason":"stop","limit_hit":{"level":"tenant","kind":"tokens","id":"l"},"attempts":[
{"deployment":"d","provider":"pv","capacity":"ptu","priced_as":"m","started_us":1,"first_byte_us":2,"ended_us":3,"status":200,"outcome":"completed","billable":"yes","units":null,
"provider_request_id":"pid","throttle":{"remaining":1,"reset_us":2}}],"cache":null,"request_bytes":10,
"response_bytes":11,"price_version":"v","leases":"","policies":"","config_digest":"cd","durability":"synced",
"durability_degraded":false,"capture":null,"count":1,"producer_seq":12}"#;

#[tokio::test]
async fn every_row_of_the_product_fits_its_table() {
    let engine = TestEngine::start().await;
    let client = engine.writer();
    migrate(&client, schemas::migrations::ALL).await.unwrap();
    let source = Source {
        topic: Text::new("journal:p").unwrap(),
        partition: 0,
    };
    let event = EVENT.replace('\n', "");
    let decoded = decode(RecordKind::Usage, event.as_bytes());
    assert!(matches!(decoded, Decoded::Event(_)), "{decoded:?}");
    let (audit, usage) = rows_of(&source, 3, event.as_bytes(), &decoded).unwrap();
    let noise = b"\n\n\xff\0";
    let (dead, _) = rows_of(&source, 4, noise, &decode(RecordKind::Usage, noise)).unwrap();
    let cut = CutRow {
        topic: source.topic.clone(),
        partition: 0,
        first: 3,
        last: 4,
        records: 2,
        events: 1,
        dead_letters: 1,
        digest: leaf_hash(noise),
        repair_epoch: 0,
    };
    for _ in 0..2 {
        client
            .insert_block("audit_log", "a/11", &[Stored(audit.clone())])
            .await
            .unwrap();
        client
            .insert_block("audit_log", "a/01", &[Stored(dead.clone())])
            .await
            .unwrap();
        client
            .insert_block("usage_events", "u", &[Stored(usage.clone().unwrap())])
            .await
            .unwrap();
        client
            .insert_block("cuts", "c", &[Stored(cut.clone())])
            .await
            .unwrap();
    }
    let audited =
        "SELECT offset, toString(event_id), hex(leaf), hex(bytes) FROM audit_log ORDER BY offset";
    let zero = "00000000-0000-0000-0000-000000000000";
    let expected = format!(
        "3\t019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b\t{}\t{}\n4\t{zero}\t{}\t0A0AFF00",
        hex::encode_upper(leaf_hash(event.as_bytes())),
        hex::encode_upper(&event),
        hex::encode_upper(leaf_hash(noise)),
    );
    assert_eq!(engine.text(audited).await, expected);
    let used = "SELECT event_id, toUnixTimestamp64Micro(received), outcome, labels['team'], status, producer_seq FROM usage_events";
    assert_eq!(
        engine.text(used).await,
        "019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b\t1795000000000001\tcompleted\ta\\'b\\\\\t200\t12"
    );
    assert_eq!(
        engine
            .text("SELECT first, last, dead_letters FROM cuts")
            .await,
        "3\t4\t1"
    );
}
