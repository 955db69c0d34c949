//! The tables are a function of the log: dropped, spoilt or half exchanged, `tollgate rebuild` makes them again to the byte, and
//! changes nothing when it cannot.

use std::path::Path;
use std::sync::Arc;

use archive::{Boundaries, Chain, Directory, Item, Limits, Sealer};
use schemas::fs_names;

use super::stand::{
    TABLES, archived, count, cursor, dir, execute, holdings, killed_rebuild, logs, manifests,
    rebuild, segment, send, setup,
};
use tests::Stack;

/// A ledger, part of it archived and part of it in the journal alone; everything has ended.
async fn ledger() -> Stack {
    let mut stack = Stack::start(setup(None)).await;
    for round in 0..3 {
        send(&stack, round * 48..round * 48 + 48).await;
        stack.settled().await;
        archived(&stack).await;
    }
    send(&stack, 144..200).await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    stack.terminate().await;
    stack
}

fn with_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("a file");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("it can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_tables_come_back_byte_for_byte_and_so_does_the_bill() {
    let stack = ledger().await;
    let engine = stack.own_engine().await;
    execute(
        &engine,
        "INSERT INTO imported_spend (source, source_id) VALUES ('other', '1')",
    )
    .await;
    let before = holdings(&engine).await;
    engine.stop().await;

    let same = rebuild(&stack, &["--dry-run"]).await;
    assert_eq!(same.code, Some(0), "{}{}", same.out, same.err);
    assert!(same.out.contains("equal"), "{}", same.out);

    // One table, then all of them and the consumer's cursor.
    for (tables, forget) in [(&TABLES[1..2], false), (&TABLES[..], true)] {
        let engine = stack.own_engine().await;
        for table in tables {
            execute(&engine, &format!("DROP TABLE {table}")).await;
        }
        engine.stop().await;
        if forget {
            std::fs::remove_file(cursor(&stack)).expect("a cursor");
        }
        let made = rebuild(&stack, &[]).await;
        assert_eq!(made.code, Some(0), "{}{}", made.out, made.err);
        let engine = stack.own_engine().await;
        assert_eq!(holdings(&engine).await, before, "{tables:?}");
        let imported = count(&engine, "SELECT count() FROM imported_spend").await;
        assert_eq!(imported, 1, "what the log does not know stays");
        engine.stop().await;
    }
    goes_on(stack).await;
}

/// The consumer takes the new tables for its own: nothing twice, nothing missing.
async fn goes_on(mut stack: Stack) {
    stack.start_again(None);
    stack.ready().await;
    send(&stack, 200..240).await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    assert_eq!((books.events.len(), books.surplus_copies()), (240, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_named_and_replaced_only_when_it_is_accepted() {
    let stack = ledger().await;
    let engine = stack.own_engine().await;
    let before = holdings(&engine).await;
    let spoil = "ALTER TABLE usage_events UPDATE output_text = output_text + 1 WHERE output_text > 3 \
                 SETTINGS mutations_sync = 1";
    execute(&engine, spoil).await;
    let spoilt = holdings(&engine).await;
    assert_ne!(spoilt, before);
    engine.stop().await;

    let refused = rebuild(&stack, &[]).await;
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(
        refused.out.contains("not the same in output_text\n"),
        "{}",
        refused.out
    );
    assert!(refused.out.contains("report 20"), "{}", refused.out);
    let engine = stack.own_engine().await;
    assert_eq!(holdings(&engine).await, spoilt, "nothing was changed");
    engine.stop().await;

    killed_rebuild(&stack, "rebuild.after_batch:2", &["--accept-differences"]).await;
    let engine = stack.own_engine().await;
    assert_eq!(
        holdings(&engine).await,
        spoilt,
        "killed before the exchange"
    );
    engine.stop().await;

    // Between two exchanges: old and new tables side by side, which the next rebuild mends.
    killed_rebuild(
        &stack,
        "rebuild.after_exchange:2",
        &["--accept-differences"],
    )
    .await;
    let accepted = rebuild(&stack, &["--accept-differences"]).await;
    assert_eq!(accepted.code, Some(0), "{}{}", accepted.out, accepted.err);
    assert!(
        accepted.out.contains("tollgate_before_rebuild_"),
        "{}",
        accepted.out
    );
    let engine = stack.own_engine().await;
    assert_eq!(holdings(&engine).await, before);
    engine.stop().await;
    let same = rebuild(&stack, &["--dry-run"]).await;
    assert_eq!(same.code, Some(0), "{}{}", same.out, same.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_of_a_damaged_archive_or_beside_a_running_consumer() {
    let mut stack = ledger().await;
    let engine = stack.own_engine().await;
    let before = holdings(&engine).await;
    engine.stop().await;
    assert!(manifests(&stack).len() >= 3);
    let path = segment(&stack, 1);
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
        .to_owned();
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    with_bytes(&path, flip);
    let refused = rebuild(&stack, &[]).await;
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(refused.err.contains(&name), "{}", refused.err);
    with_bytes(&path, flip);

    // Another directory, in which nothing is: the journal alone has everything here.
    let empty = tempfile::tempdir().expect("a directory");
    let alone = empty.path().to_str().expect("a path").to_owned();
    let same = rebuild(&stack, &["--dry-run", "--archive", &alone]).await;
    assert_eq!(same.code, Some(0), "{}{}", same.out, same.err);

    let engine = stack.own_engine().await;
    assert_eq!(holdings(&engine).await, before);
    engine.stop().await;
    stack.start_again(None);
    stack.ready().await;
    let refused = rebuild(&stack, &[]).await;
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(
        refused.err.contains("stop `tollgate up` first"),
        "{}",
        refused.err
    );
}

/// An archive that begins with the second segment of the stack's; gives its first place.
fn begun_late(stack: &Stack, to: &Path) -> i64 {
    let log = logs(stack).pop().expect("a log");
    let chain = Chain::open(Arc::new(Directory::new(dir(stack))), &log).expect("a chain");
    let first = chain.manifests[1].first;
    let limits = Limits {
        bytes: 1,
        age_us: i64::MAX,
    };
    let shelf = Arc::new(Directory::new(to));
    let mut sealer = Sealer::open(shelf, log, limits, Boundaries::Cuts).expect("a sealer");
    sealer.begin_at(first);
    for item in chain.items() {
        match item.expect("a record") {
            Item::Entry(entry) if entry.offset >= first => sealer.push(&entry).expect("a push"),
            Item::Entry(_) => {}
            Item::Missing(missing) => panic!("{missing:?}"),
        }
    }
    assert!(sealer.take_sealed().segments > 0);
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_that_began_late_lacks_is_named_though_no_store_is_left_that_had_it() {
    let stack = ledger().await;
    let late = tempfile::tempdir().expect("a directory");
    let first = begun_late(&stack, late.path());
    let engine = stack.own_engine().await;
    for table in TABLES {
        execute(&engine, &format!("DROP TABLE {table}")).await;
    }
    engine.stop().await;
    std::fs::remove_file(cursor(&stack)).expect("a cursor");
    let journal = stack.data_dir().join(fs_names::JOURNAL_DIR);
    std::fs::remove_dir_all(journal).expect("a journal");

    let whole = rebuild(&stack, &["--dry-run"]).await;
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    let late = late.path().to_str().expect("a path");
    let lacking = rebuild(&stack, &["--archive", late]).await;
    assert_eq!(lacking.code, Some(1), "{}{}", lacking.out, lacking.err);
    let missing = format!("/0: places 0 to {} are in neither", first - 1);
    assert!(lacking.out.contains(&missing), "{}", lacking.out);
    assert_eq!(
        lacking.out.matches("places 0 to").count(),
        1,
        "{}",
        lacking.out
    );
    assert!(
        lacking.out.contains("nothing was changed"),
        "{}",
        lacking.out
    );
}
