//! The migrations runner: once each, in order, and never against a database it does not understand.

use crate::common::TestEngine;
use store::Class;
use store::migrate::{MigrateError, migrate, version};

const FIRST: (u32, &str, &str) = (
    1,
    "first",
    "CREATE TABLE IF NOT EXISTS a (x Int64 COMMENT '?') ENGINE = MergeTree ORDER BY x;\n",
);
const SECOND: (u32, &str, &str) = (
    2,
    "second",
    "-- why\nALTER TABLE a ADD COLUMN IF NOT EXISTS y Int64",
);

#[tokio::test]
async fn each_is_applied_once_and_remembered() {
    let engine = TestEngine::start().await;
    let client = engine.writer().in_database("fresh");
    assert_eq!(version(&client).await.unwrap(), 0);
    assert_eq!(migrate(&client, [FIRST]).await.unwrap().applied, [1]);
    assert_eq!(
        migrate(&client, &[FIRST, SECOND]).await.unwrap().applied,
        [2]
    );
    let report = migrate(&client, [FIRST, SECOND]).await.unwrap();
    assert_eq!((report.applied.len(), report.version), (0, 2));
    assert_eq!(version(&client).await.unwrap(), 2);
    assert_eq!(
        engine
            .text("SELECT engine FROM system.databases WHERE name = 'fresh'")
            .await,
        "Atomic"
    );
    let columns =
        "SELECT groupArray(name) FROM system.columns WHERE database = 'fresh' AND table = 'a'";
    assert_eq!(engine.text(columns).await, "['x','y']");
    let record = "SELECT version, name, length(sha256), applied_us > 1700000000000000 FROM fresh.schema_migrations ORDER BY version";
    assert_eq!(
        engine.text(record).await,
        "1\tfirst\t64\t1\n2\tsecond\t64\t1"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let engine = TestEngine::start().await;
    let client = engine.writer();
    migrate(&client, [FIRST, SECOND]).await.unwrap();
    let changing = (
        3,
        "third",
        "ALTER TABLE a MODIFY COLUMN IF EXISTS y Nullable(Int64)",
    );
    let older = migrate(&client, [FIRST]).await.unwrap();
    assert_eq!(
        (older.version, older.applied.len()),
        (2, 0),
        "what only adds is in nobody's way"
    );
    migrate(&client, [FIRST, SECOND, changing]).await.unwrap();
    let newer = migrate(&client, [FIRST, SECOND]).await.unwrap_err();
    assert!(
        matches!(
            newer,
            MigrateError::DatabaseIsNewer {
                database: 3,
                binary: 2
            }
        ),
        "{newer}"
    );
    let changed = migrate(&client, [FIRST, (2, "second", "SELECT 1"), changing])
        .await
        .unwrap_err();
    assert!(
        matches!(changed, MigrateError::Changed { version: 2, .. }),
        "{changed}"
    );
    let gap = migrate(&client, [FIRST, (3, "third", "SELECT 1")])
        .await
        .unwrap_err();
    assert!(
        matches!(
            gap,
            MigrateError::Numbering {
                expected: 2,
                found: 3
            }
        ),
        "{gap}"
    );
    let wrong = (4, "fourth", "SELECT nope()");
    let broken = migrate(&client, [FIRST, SECOND, changing, wrong])
        .await
        .unwrap_err();
    let MigrateError::Statement {
        version: 4, source, ..
    } = broken
    else {
        panic!("{broken}")
    };
    assert_eq!(source.class(), Class::Rejected);
    engine
        .run("ALTER TABLE schema_migrations DELETE WHERE version = 1 SETTINGS mutations_sync = 1")
        .await;
    let hole = migrate(&client, [FIRST, SECOND, changing])
        .await
        .unwrap_err();
    assert!(matches!(hole, MigrateError::Hole { version: 1 }), "{hole}");
}

#[tokio::test]
async fn the_products_own_migrations_apply() {
    let engine = TestEngine::start().await;
    let client = engine.writer().in_database("product");
    let report = migrate(&client, schemas::migrations::ALL).await.unwrap();
    assert_eq!(report.applied.len(), schemas::migrations::ALL.len());
    assert_eq!(
        migrate(&client, schemas::migrations::ALL)
            .await
            .unwrap()
            .applied,
        [0_u32; 0]
    );
}
