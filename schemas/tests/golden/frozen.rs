//! Version 1 is frozen, and so are the files of the drafts that it reads. Whoever needs another field or another meaning makes
//! version 2, which reads version 1 besides.

use crate::files::{FROZEN, digest, may_be, path};

/// Every file, both ways: none is changed, none is gone, and none is left out.
#[test]
fn what_version_1_reads_and_writes_never_changes() {
    let mut names: Vec<String> = ["golden", "json"]
        .into_iter()
        .flat_map(|folder| {
            let files = std::fs::read_dir(path(folder)).unwrap();
            files.map(move |file| {
                format!("{folder}/{}", file.unwrap().file_name().to_string_lossy())
            })
        })
        .filter(|name| name.contains(".v1.") || name.contains(".v1-draft"))
        .collect();
    names.sort();
    let line = |name: &String| format!("{}  {name}\n", digest(&std::fs::read(path(name)).unwrap()));
    assert_eq!(names.iter().map(line).collect::<String>(), FROZEN);
}

#[test]
fn a_frozen_file_is_not_written_anew() {
    let frozen = "golden/cut.v1.json";
    assert_eq!(
        may_be(frozen, &std::fs::read(path(frozen)).unwrap()),
        Ok(())
    );
    let refused = may_be(frozen, br#"{"wire":"v1" }"#).unwrap_err();
    assert!(refused.contains("is frozen"), "{refused}");
    assert_eq!(may_be("golden/cut.v2.json", br#"{"wire":"v2"}"#), Ok(()));
}
