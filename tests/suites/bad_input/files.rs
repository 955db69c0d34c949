//! What the machine withholds: a port in use, a data directory that is no directory, read-only, in use, or newer. Each is
//! refused at the start in words, with exit code 1, and nothing is served.

use std::path::PathBuf;

use tests::command::run;
use tests::faulty::{Carried, OddProviders, plan};
use tests::{Rig, free_address};

/// A configuration beside a data directory of its own, with free ports.
fn config(folder: &tempfile::TempDir, data_dir: &str) -> PathBuf {
    let path = folder.path().join("tollgate.toml");
    let text = format!(
        "data_dir = \"{data_dir}\"\n[gateway]\nlisten = \"{}\"\nops_listen = \"{}\"\n",
        free_address(),
        free_address()
    );
    std::fs::write(&path, text).expect("a file can be written");
    path
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch directory")
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_setting() {
    let folder = scratch();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = (taken.local_addr().expect("an address").to_string(), taken);
    for setting in ["listen", "ops_listen"] {
        let path = config(&folder, "data");
        let text = std::fs::read_to_string(&path).expect("a file can be read");
        let lines = text.lines().map(|line| {
            let is_it = line.split(' ').next() == Some(setting);
            if is_it {
                format!("{setting} = \"{}\"", taken.0)
            } else {
                line.to_owned()
            }
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("a file can be written");
        let ended = run(&["up"], &path).await;
        assert_eq!(ended.unlike(1, &[&taken.0, setting]), None);
    }
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let folder = scratch();
    std::fs::write(folder.path().join("file"), "").expect("a file can be written");
    // Nobody writes below /sys, whoever he is: it stands for a disk that is mounted read-only.
    for (data_dir, words) in [
        ("file", &["data directory", "file", "data_dir"][..]),
        ("file/data", &["data directory", "file/data", "data_dir"]),
        (
            "/sys/tollgate",
            &["data directory", "/sys/tollgate", "data_dir"],
        ),
        ("/sys/kernel", &["/sys/kernel", "read-only"]),
    ] {
        let ended = run(&["up"], &config(&folder, data_dir)).await;
        assert_eq!(ended.unlike(1, words), None, "{data_dir}");
    }
}

#[tokio::test]
async fn a_producers_file_that_cannot_be_read_or_is_empty_stops_the_start_and_stays() {
    let folder = scratch();
    let path = config(&folder, "data");
    let (data_dir, secrets) = (
        folder.path().join("data"),
        folder.path().join("data/secrets"),
    );
    std::fs::create_dir_all(data_dir.join("producer")).expect("a folder can be made");
    let ended = run(&["up"], &path).await;
    assert_eq!(ended.unlike(1, &["data/producer", "backup"]), None);
    assert!(data_dir.join("producer").is_dir());
    std::fs::remove_dir(data_dir.join("producer")).expect("an empty folder goes");
    std::fs::write(data_dir.join("producer"), "").expect("a file can be written");
    let ended = run(&["up"], &path).await;
    assert_eq!(ended.unlike(1, &["data/producer", "names nobody"]), None);
    let kept = std::fs::read(data_dir.join("producer")).expect("it is still there");
    assert!(kept.is_empty());
    for never_made in [data_dir.join("journal"), secrets] {
        assert!(!never_made.exists(), "{}", never_made.display());
    }
}

#[tokio::test]
async fn a_data_directory_in_use_or_of_a_newer_version_is_named() {
    let carried = Carried::default();
    let odd = OddProviders::start("odd").await;
    let rig = Rig::start(plan(&carried, &odd, "auth = \"none\"")).await;
    rig.settled().await;
    let folder = scratch();
    let data_dir = rig.data_dir();
    let ended = run(&["up"], &config(&folder, &data_dir.display().to_string())).await;
    assert_eq!(
        ended.unlike(1, &[&data_dir.display().to_string(), "in use"]),
        None
    );

    // What the directory would be if a newer version had written it.
    let newer = folder.path().join("newer");
    copy(&data_dir.join("journal"), &newer.join("journal"));
    let segment = segments(&newer.join("journal")).pop().expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("a segment can be read");
    bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
    let check = journal_check(&bytes[..24]);
    bytes[24..28].copy_from_slice(&check.to_le_bytes());
    std::fs::write(&segment, bytes).expect("a segment can be written");
    let ended = run(&["up"], &config(&folder, "newer")).await;
    assert_eq!(ended.unlike(1, &["newer", "99"]), None);

    let newer = folder.path().join("engine-newer");
    std::fs::create_dir(&newer).expect("a folder can be made");
    std::fs::write(
        newer.join("engine.json"),
        "{\"layout\":99,\"engine\":\"99.1\"}",
    )
    .expect("a file can be written");
    let ended = run(&["report", "chargeback"], &config(&folder, "engine-newer")).await;
    assert_eq!(ended.unlike(1, &["newer", "99"]), None);
}

fn segments(journal: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(journal).expect("a journal lies there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut segments: Vec<PathBuf> = paths
        .filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"TGJRNL")))
        .collect();
    segments.sort();
    segments
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder can be listed") {
        let path = entry.expect("a folder can be listed").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap_or_default()))
                .expect("a file can be copied");
        }
    }
}

/// CRC-32C, bit by bit: the segment's head is checked before its version is believed.
fn journal_check(bytes: &[u8]) -> u32 {
    let mut check = u32::MAX;
    for byte in bytes {
        check ^= u32::from(*byte);
        for _ in 0..8 {
            check = (check >> 1) ^ (0x82f6_3b78 & (check & 1).wrapping_neg());
        }
    }
    !check
}
