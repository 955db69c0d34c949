//! Cursor files: stored bytes or the ones before, never a mixture.

use std::path::Path;
use std::sync::Arc;

use journal::cursor::{Cursor, CursorError, MAX_CURSOR_BYTES};
use journal::testing::{Effect, Operation, Survival};
use journal::{FileLayer, OpenMode};

use crate::common::memory;

#[test]
fn a_cursor_survives_what_happens_while_it_is_stored() {
    let steps = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::SyncDir,
    ];
    for failing in steps {
        for seed in 0..20 {
            let layer = memory();
            let cursor = Cursor::new("/journal/sink", Arc::new(layer.clone()));
            assert_eq!(cursor.load().unwrap(), None);
            cursor.store(b"first").unwrap();
            layer.inject(failing, Effect::Fail(5));
            cursor.store(b"second").unwrap_err();
            layer.power_cut(Survival::Random { seed }).unwrap();
            layer.restart();
            let held = cursor.load().unwrap().unwrap();
            assert!(
                held == b"first" || held == b"second",
                "{failing:?}: {held:?}"
            );
            cursor.store(b"third").unwrap();
            layer.power_cut(Survival::Random { seed }).unwrap();
            layer.restart();
            assert_eq!(cursor.load().unwrap().unwrap(), b"third");
        }
    }
}

#[test]
fn a_flip_is_noticed_and_size_is_bounded() {
    let layer = memory();
    let cursor = Cursor::new("/journal/sink", Arc::new(layer.clone()));
    cursor.store(&[7; MAX_CURSOR_BYTES]).unwrap();
    assert_eq!(cursor.load().unwrap().unwrap(), [7; MAX_CURSOR_BYTES]);
    assert!(matches!(
        cursor.store(&[7; MAX_CURSOR_BYTES + 1]),
        Err(CursorError::Io { .. })
    ));
    cursor.store(b"held").unwrap();
    let path = Path::new("/journal/sink");
    for at in 0..16 {
        let file = layer.open(path, OpenMode::Write).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_at(&[byte[0] ^ 1], at).unwrap();
        assert!(
            matches!(cursor.load(), Err(CursorError::Damaged { .. })),
            "byte {at}"
        );
        file.write_at(&byte, at).unwrap();
    }
    assert_eq!(cursor.load().unwrap().unwrap(), b"held");
}
