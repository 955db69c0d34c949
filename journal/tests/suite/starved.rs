//! A process that can open no further file: what is appended still becomes durable, and all goes on once files are closed.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Item, Journal, Options, RealLayer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::options;

const DIR_VARIABLE: &str = "JOURNAL_STARVED_DIR";
const FILES: u64 = 96;
const DEADLINE: Duration = Duration::from_mins(1);

fn has_spare(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_string_lossy().ends_with(".new"))
}

fn append_until(journal: &Journal, is_there: impl Fn(&Journal) -> bool) {
    while !is_there(journal) {
        journal.append(1, &[7; 200]).unwrap();
    }
}

/// All files that this process may still open.
fn open_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Runs in the child only, whose limit is its own.
#[tokio::test]
async fn child_that_opens_all_it_can() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else {
        return;
    };
    let dir = Path::new(&dir);
    let options = Options {
        sync_interval: Duration::from_millis(2),
        ..options(dir)
    };
    let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let few = Rlimit {
        current: Some(FILES),
        maximum,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    append_until(&journal, |journal| journal.stats().bytes > 1500);
    let started = Instant::now();
    while !has_spare(dir) {
        assert!(started.elapsed() < DEADLINE, "no spare is made");
        journal.sync_now().await.unwrap();
    }
    let mut open = open_all();
    assert!(open.len() > 10, "{}", open.len());
    append_until(&journal, |journal| journal.stats().segments == 2);
    journal.sync_now().await.unwrap();
    // The full segment's file has been closed, or will be soon.
    let started = Instant::now();
    let (mut reader, error) = loop {
        open.extend(open_all());
        let mut reader = journal.reader(0);
        match reader.read() {
            Err(error) => break (reader, error),
            Ok(_) => assert!(started.elapsed() < DEADLINE, "there is always one more"),
        }
    };
    assert!(error.is_shortage(), "{error}");
    journal.sync_now().await.unwrap();
    drop(open);
    append_until(&journal, |journal| journal.stats().segments == 4);
    journal.sync_now().await.unwrap();
    assert!(!journal.stats().poisoned);
    let mut frames = 0;
    while let Some(item) = reader.read().unwrap() {
        assert!(matches!(item, Item::Frame(_)), "{item:?}");
        frames += 1;
    }
    assert_eq!(frames, journal.stats().end);
    println!("it went on");
}

#[test]
fn a_process_without_descriptors_syncs_past_a_segments_end_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "starved::child_that_opens_all_it_can"])
        .args(["--nocapture", "--test-threads=1"])
        .env(DIR_VARIABLE, dir.path())
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        child.status.success() && said.contains("it went on"),
        "{said}"
    );
}
