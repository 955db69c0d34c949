//! Rows of every table against the real engine: what is written is what is read.

use crate::events::{encode, event, refusal};
use crate::world::World;
use schemas::rows::{Source as Place, rows_of};
use schemas::{AuditRow, CutRow, RecordKind, UsageRow, decode};
use store::Stored;

fn rows(bytes: &[u8], offset: i64) -> (AuditRow, Option<UsageRow>) {
    let place = Place {
        topic: crate::events::text("journal:gw-1"),
        partition: 0,
    };
    rows_of(&place, offset, bytes, &decode(RecordKind::Usage, bytes)).unwrap()
}

#[tokio::test]
async fn a_full_row_of_each_table_is_stored_as_it_is() {
    let world = World::new().await;
    let (full, bare) = (encode(&event(41)), encode(&refusal(42)));
    let garbage = [b'{', 0xff, 0x00, b'\n', b'\n', 0x80];
    let (audit, usage): (Vec<_>, Vec<_>) = [&full[..], &bare, &garbage]
        .iter()
        .zip(0..)
        .map(|(bytes, offset)| rows(bytes, offset))
        .unzip();
    let audit: Vec<_> = audit.into_iter().map(Stored).collect();
    let usage: Vec<_> = usage.into_iter().flatten().map(Stored).collect();
    let cut = CutRow {
        topic: crate::events::text("journal:gw-1"),
        partition: 0,
        first: 0,
        last: 2,
        records: 3,
        events: 2,
        dead_letters: 1,
        digest: [0xfe; 32],
        repair_epoch: 3,
    };
    world
        .client
        .insert_block("audit_log", "a", &audit[..2])
        .await
        .unwrap();
    world
        .client
        .insert_block("audit_log", "b", &audit[2..])
        .await
        .unwrap();
    world
        .client
        .insert_block("usage_events", "c", &usage)
        .await
        .unwrap();
    world
        .client
        .insert_block("cuts", "d", &[Stored(cut)])
        .await
        .unwrap();

    assert_bytes(&world, &[&full, &bare, &garbage]).await;
    assert_columns(&world).await;
    world.supervisor.stop().await;
}

async fn assert_bytes(world: &World, records: &[&[u8]; 3]) {
    let bytes: Vec<(String, String, String)> = world
        .client
        .query("SELECT hex(bytes), hex(leaf), toString(event_id) FROM audit_log ORDER BY offset")
        .fetch_all()
        .await
        .unwrap();
    let wanted: Vec<_> = [
        (records[0], event(41).event_id.to_string()),
        (records[1], event(42).event_id.to_string()),
    ]
    .into_iter()
    .chain([(
        records[2],
        "00000000-0000-0000-0000-000000000000".to_owned(),
    )])
    .map(|(bytes, id)| {
        (
            hex::encode_upper(bytes),
            hex::encode_upper(schemas::rows::leaf_hash(bytes)),
            id,
        )
    })
    .collect();
    assert_eq!(bytes, wanted);
    assert_eq!(world.count("SELECT count() FROM cuts WHERE digest = unhex(repeat('fe', 32)) AND repair_epoch = 3").await, 1);
}

async fn assert_columns(world: &World) {
    let full_row = "SELECT count() FROM usage_events WHERE request_id = 'request-41' AND event_id = ? \
        AND labels['team'] = 'a😀' AND labels['app'] = 'b\n\n' AND api = 'chat' AND stream AND capacity = 'ptu' \
        AND route_reason = 'spill' AND toUnixTimestamp64Micro(received) = 1794744000000041 AND input_text = 41 AND output_text = 0 \
        AND input_cached IS NULL AND code_interpreter_sessions = 9 AND model = 'gpt-5' AND service_tier = 'default' \
        AND attempt_outcomes = ['upstream_error', 'completed'] AND attempt_statuses = [503, 503] \
        AND priced_as = 'gpt-5' AND attempt_providers = ['azure', 'azure'] AND attempt_priced_as = ['gpt-5', 'gpt-5'] \
        AND attempt_billables = ['unclear', 'yes'] \
        AND extra_models = ['image-1'] AND extra_units[1]['images'] = 2 AND estimated_units['output_text'] = 50 \
        AND status = 200 AND outcome = 'completed' AND durability = 'synced' AND producer_seq = 41";
    let found: u64 = world
        .client
        .query(full_row)
        .bind(event(41).event_id.to_string())
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(found, 1);
    let bare_row = "SELECT count() FROM usage_events WHERE request_id = 'request-42' AND capacity IS NULL AND route IS NULL \
        AND status IS NULL AND model IS NULL AND input_text IS NULL AND empty(labels) AND empty(attempt_outcomes) \
        AND first_byte IS NULL AND usage_raw IS NULL AND outcome = 'refused_auth'";
    assert_eq!(world.count(bare_row).await, 1);
}
