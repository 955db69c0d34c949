//! A journal in use: many threads append, a reader follows, a slow disk delays nobody who
//! does not wait for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use journal::testing::MemoryLayer;
use journal::{
    FileLayer, Item, Journal, LayerDir, LayerFile, LayerLock, OpenMode, Options, ReadError,
    RealLayer,
};
use parking_lot::{Condvar, Mutex};

use crate::common::options;

const THREADS: u64 = 8;
const RECORDS: u64 = 2_000;

/// Reads until the journal is closed; the payloads in order.
async fn follow(journal: &Journal, mut seen: impl FnMut(u64, &[u8])) {
    let mut reader = journal.reader(1);
    loop {
        while let Some(item) = reader.read().unwrap() {
            let Item::Frame(frame) = item else {
                panic!("{item:?}")
            };
            assert!(
                frame.position < journal.synced_end(),
                "never beyond the synced end"
            );
            seen(frame.position, &frame.payload);
        }
        match reader.wait().await {
            Ok(()) => {}
            Err(ReadError::Closed) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn many_threads_append_while_a_reader_follows_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        capacity_bytes: 1 << 30,
        segment_bytes: 16 << 10,
        sync_interval: Duration::from_micros(200),
        ..options(dir.path())
    };
    let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
    let writers: Vec<_> = (0..THREADS)
        .map(|thread| spawn_writer(journal.clone(), thread))
        .collect();
    let closing = journal.clone();
    let closer = std::thread::spawn(move || {
        let placed = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        closing.close().unwrap();
        placed
    });
    let mut read = Vec::new();
    follow(&journal, |position, payload| {
        read.push((position, payload.to_vec()));
    })
    .await;
    let mut placed: Vec<(u64, Vec<u8>)> = closer.join().unwrap();
    placed.sort();
    assert_eq!(placed.len() as u64, THREADS * RECORDS);
    assert!(
        read == placed,
        "what is read is what was appended, in order"
    );
}

fn spawn_writer(journal: Journal, thread: u64) -> std::thread::JoinHandle<Vec<(u64, Vec<u8>)>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    std::thread::spawn(move || {
        let mut placed = Vec::new();
        for record in 0..RECORDS {
            let payload = [thread.to_le_bytes(), record.to_le_bytes()].concat();
            let ticket = journal.append(1, &payload).unwrap();
            if record % 100 == 0 {
                runtime.block_on(ticket.synced()).unwrap();
                assert!(journal.synced_end() > ticket.position());
            }
            placed.push((ticket.position(), payload));
        }
        placed
    })
}

/// A disk whose syncs wait until the test lets them go.
#[derive(Debug, Clone, Default)]
struct SlowDisk {
    memory: MemoryLayer,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    shut: Mutex<bool>,
    moved: Condvar,
    waiting: AtomicBool,
}

#[derive(Debug)]
struct SlowFile(Arc<dyn LayerFile>, Arc<Gate>);

impl FileLayer for SlowDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.memory.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.memory.list(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        Ok(Arc::new(SlowFile(
            self.memory.open(path, mode)?,
            Arc::clone(&self.gate),
        )))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.memory.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.memory.sync_dir(dir)
    }
    fn hold_dir(&self, dir: &Path) -> io::Result<Arc<dyn LayerDir>> {
        self.memory.hold_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LayerLock>> {
        self.memory.lock(path)
    }
}

impl LayerFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        self.0.preallocate(bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        let mut shut = self.1.shut.lock();
        while *shut {
            self.1.waiting.store(true, Ordering::SeqCst);
            self.1.moved.notify_all();
            self.1.moved.wait(&mut shut);
        }
        self.0.sync_data()
    }
}

#[tokio::test]
async fn a_slow_sync_delays_no_append_and_proves_only_what_came_before_it() {
    let disk = SlowDisk::default();
    let options = Options {
        sync_interval: Duration::ZERO,
        ..options("/journal")
    };
    let (journal, _) = Journal::open(options, Arc::new(disk.clone())).unwrap();
    *disk.gate.shut.lock() = true;
    let first = journal.append(1, b"first").unwrap();
    {
        let mut shut = disk.gate.shut.lock();
        while !disk.gate.waiting.load(Ordering::SeqCst) {
            disk.gate.moved.wait(&mut shut);
        }
    }
    // The disk hangs; appends, rolling to new segments included, go on.
    while journal.stats().segments < 4 {
        let ticket = journal.append(1, &[7; 200]).unwrap();
        assert!(ticket.written() && !ticket.is_synced());
    }
    assert_eq!(
        (journal.synced_end(), journal.reader(1).read().unwrap()),
        (1, None)
    );
    let last = journal.append(1, b"last").unwrap();
    *disk.gate.shut.lock() = false;
    disk.gate.moved.notify_all();
    first.synced().await.unwrap();
    last.synced().await.unwrap();
    assert_eq!(journal.synced_end(), last.position() + 1);
}

#[tokio::test]
async fn enough_bytes_start_a_sync_before_its_interval() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        sync_bytes: 1000,
        ..options(dir.path())
    };
    let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
    let mut synced = journal.subscribe_synced();
    synced.mark_unchanged();
    for _ in 0..10 {
        journal.append(1, &[1; 100]).unwrap();
    }
    // The interval is an hour: only the size can have caused this.
    synced.wait_for(|synced| synced.end >= 9).await.unwrap();
}
