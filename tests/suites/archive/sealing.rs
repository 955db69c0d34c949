//! `tollgate up` seals its journal; a death at any point of it leaves no half segment, and the next start goes on.

use schemas::RecordKind;
use tests::eventually;

use super::stand::{archived, dir, logs, manifests, segment, send, setup, verify};
use tests::{Stack, read_journal};

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_sealing_leaves_no_half_segment() {
    let mut stack = Stack::start(setup(None)).await;
    for point in ["before_segment", "after_segment", "after_manifest"] {
        send(&stack, 0..24).await;
        stack.kill();
        // Signs of life alone make a segment; it may be due before the gateway is ready.
        stack.start_again(Some(&format!("archive.{point}:1")));
        eventually("it is killed while it seals", async || {
            stack.serving.ended()
        })
        .await;
        let (code, said) = verify(&stack).await;
        assert_eq!(code, Some(0), "{point}: {said}");
        assert!(!said.contains("damaged"), "{point}: {said}");
        stack.start_again(None);
        stack.ready().await;
    }
    stack.settled().await;
    archived(&stack).await;
    let (code, said) = verify(&stack).await;
    assert_eq!(code, Some(0), "{said}");
    holds_what_the_journal_holds(&stack);
}

/// Every published record and every sign of life, byte for byte, in order.
fn holds_what_the_journal_holds(stack: &Stack) {
    let shelf = std::sync::Arc::new(archive::Directory::new(dir(stack)));
    let log = logs(stack).pop().expect("a log");
    let chain = archive::Chain::open(shelf, &log).expect("a chain");
    let end = chain.end().expect("segments");
    let mut archived = std::collections::BTreeMap::new();
    let mut lives = 0;
    for item in chain.items() {
        let archive::Item::Entry(entry) = item.expect("a sound archive") else {
            panic!("nothing is missing")
        };
        let kind = RecordKind::from_byte(entry.kind).expect("a kind");
        lives += u64::from(matches!(kind, RecordKind::Heartbeat | RecordKind::Producer));
        if kind.is_published() {
            let leaf = hex::encode(schemas::rows::leaf_hash(&entry.bytes));
            archived.insert(u64::try_from(entry.offset).expect("a place"), leaf);
        }
    }
    assert!(lives > 0, "signs of life are archived");
    let end = u64::try_from(end).expect("a place");
    let mut published = read_journal(&stack.data_dir()).published;
    published.retain(|place, _| *place < end);
    assert_eq!(archived, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_segment_is_named() {
    let stack = Stack::start(setup(None)).await;
    for round in 0..3 {
        send(&stack, round * 8..round * 8 + 8).await;
        stack.settled().await;
        archived(&stack).await;
    }
    assert!(manifests(&stack).len() >= 3);
    let path = segment(&stack, 1);
    let sound = std::fs::read(&path).expect("a segment");
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    std::fs::write(&path, damaged).expect("it can be hurt");
    let (code, said) = verify(&stack).await;
    assert!(
        code == Some(1) && said.contains("damaged") && said.contains(name),
        "{said}"
    );
    std::fs::remove_file(&path).expect("it can be removed");
    let (code, said) = verify(&stack).await;
    assert!(
        code == Some(1) && said.contains("missing") && said.contains(name),
        "{said}"
    );
    std::fs::write(&path, sound).expect("it can be mended");
    assert_eq!(verify(&stack).await.0, Some(0));
}
