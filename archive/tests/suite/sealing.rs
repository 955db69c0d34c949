//! Sealing, reading back and verifying: two archivers of one log, deaths at every step, and every kind of damage.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use archive::{
    ArchiveError, Boundaries, Chain, Directory, Draft, Due, Entry, Envelope, Item, Limits, LogId,
    Put, Sealer, Shelf, Verdict, logs, verify,
};
use proptest::prelude::*;
use schemas::RecordKind;

pub(crate) const LIMITS: Limits = Limits {
    bytes: 2_000,
    age_us: 1_000_000,
};

pub(crate) fn log() -> LogId {
    LogId {
        topic: "tollgate.usage.v1".into(),
        topic_id: "00ff".into(),
        partition: 2,
    }
}

/// Records of a log from offset 0: every seventh is a cut, each a tenth of a second after the one before.
pub(crate) fn records(count: i64) -> Vec<Entry> {
    (0..count)
        .map(|offset| Entry {
            offset,
            kind: if offset % 7 == 6 {
                RecordKind::Cut as u8
            } else {
                RecordKind::Usage as u8
            },
            time_us: Some(offset * 100_000),
            envelope: (offset % 2 == 0).then(|| Envelope {
                key: Some(format!("key {offset}").into()),
                headers: vec![("ce_id".into(), Some(format!("{offset}").into()))],
            }),
            bytes: format!("record {offset} {}", "x".repeat(300)).into(),
        })
        .collect()
}

fn sealer(shelf: Arc<dyn Shelf>, limits: Limits) -> Result<Sealer<'static>, ArchiveError> {
    let mut sealer = Sealer::open(shelf, log(), limits, Boundaries::Cuts)?;
    sealer.begin_at(0);
    Ok(sealer)
}

/// Archives everything that is left of `records`.
pub(crate) fn archive(
    shelf: Arc<dyn Shelf>,
    limits: Limits,
    records: &[Entry],
) -> Result<(), ArchiveError> {
    let mut sealer = sealer(shelf, limits)?;
    let from = usize::try_from(sealer.end().unwrap()).unwrap();
    for entry in &records[from..] {
        sealer.push(entry)?;
    }
    Ok(())
}

fn read(shelf: Arc<dyn Shelf>) -> Result<Vec<Entry>, ArchiveError> {
    let chain = Chain::open(shelf, &log())?;
    let items = chain.items().collect::<Result<Vec<_>, _>>()?;
    Ok(items
        .into_iter()
        .filter_map(|item| match item {
            Item::Entry(entry) => Some(entry),
            Item::Missing(_) => None,
        })
        .collect())
}

fn findings(shelf: &dyn Shelf) -> Vec<(Verdict, String)> {
    let found = verify(shelf, &log(), Boundaries::Cuts, |_| {}).unwrap();
    found
        .into_iter()
        .map(|finding| (finding.verdict, finding.what))
        .collect()
}

/// Every file of a directory, with its bytes.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

/// A place that dies at its n-th step, and stays dead.
#[derive(Debug)]
struct Dying {
    inner: Directory,
    left: AtomicU32,
}

impl Dying {
    fn step(&self) -> Result<(), ArchiveError> {
        let before = self.left.load(Ordering::Relaxed);
        self.left.store(before.saturating_sub(1), Ordering::Relaxed);
        if before > 0 {
            return Ok(());
        }
        Err(ArchiveError::Io {
            what: "dead".into(),
            error: std::io::Error::other("dead"),
        })
    }
}

impl Shelf for Dying {
    fn names(&self, folder: &str) -> Result<Vec<String>, ArchiveError> {
        self.inner.names(folder)
    }

    fn settle(&self, folder: &str) -> Result<(), ArchiveError> {
        self.inner.settle(folder)
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, ArchiveError> {
        self.inner.open(name)
    }

    fn draft(&self, folder: &str) -> Result<Draft, ArchiveError> {
        self.step()?;
        self.inner.draft(folder)
    }

    fn put(&self, draft: Draft, name: &str) -> Result<Put, ArchiveError> {
        self.step()?;
        self.inner.put(draft, name)
    }
}

#[test]
fn what_is_sealed_reads_back_and_whoever_seals_makes_the_same_files() {
    let all = records(200);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shelf: Arc<dyn Shelf> = Arc::new(Directory::new(one.path()));
    archive(shelf.clone(), LIMITS, &all).unwrap();
    let sealed = read(shelf.clone()).unwrap();
    assert!(sealed.len() > 150 && sealed == all[..sealed.len()]);
    assert_eq!(logs(&*shelf).unwrap(), [log()]);
    assert_eq!(findings(&*shelf), []);
    // In many runs, each of which dies somewhere.
    let shelf = Arc::new(Directory::new(two.path()));
    for end in [3, 20, 21, 90, 170, 200] {
        archive(shelf.clone(), LIMITS, &all[..end]).unwrap();
    }
    assert_eq!(files(one.path()), files(two.path()));
}

#[test]
fn a_death_at_any_step_leaves_no_half_segment_and_the_next_run_makes_the_same() {
    let all = records(60);
    let whole = tempfile::tempdir().unwrap();
    archive(Arc::new(Directory::new(whole.path())), LIMITS, &all).unwrap();
    for steps in 0..24 {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Directory::new(dir.path()));
        let dying = Dying {
            inner: Directory::new(dir.path()),
            left: AtomicU32::new(steps),
        };
        archive(Arc::new(dying), LIMITS, &all).unwrap_err();
        let sealed = read(shelf.clone()).unwrap();
        assert_eq!(sealed, all[..sealed.len()], "after {steps} steps");
        assert!(
            findings(&*shelf)
                .iter()
                .all(|(verdict, _)| *verdict == Verdict::Note)
        );
        archive(shelf, LIMITS, &all).unwrap();
        assert_eq!(
            files(dir.path()),
            files(whole.path()),
            "after {steps} steps"
        );
    }
}

#[test]
fn of_two_archivers_one_hears_that_the_other_was_first() {
    let all = records(100);
    let dir = tempfile::tempdir().unwrap();
    let shelf: Arc<dyn Shelf> = Arc::new(Directory::new(dir.path()));
    // Of another opinion about the size, even.
    let larger = Limits {
        bytes: 9_000,
        ..LIMITS
    };
    let mut slow = sealer(shelf.clone(), larger).unwrap();
    let mut entries = all.iter();
    for entry in entries.by_ref().take(6) {
        slow.push(entry).unwrap();
    }
    archive(shelf.clone(), LIMITS, &all).unwrap();
    let refused = entries.find_map(|entry| slow.push(entry).err());
    assert!(
        matches!(refused, Some(ArchiveError::Taken { .. })),
        "{refused:?}"
    );
    archive(shelf.clone(), larger, &all).unwrap();
    let sealed = read(shelf.clone()).unwrap();
    assert_eq!(sealed, all[..sealed.len()]);
    let verdicts = findings(&*shelf);
    assert!(
        verdicts
            .iter()
            .all(|(verdict, _)| *verdict == Verdict::Note),
        "{verdicts:?}"
    );
}

#[test]
fn a_quiet_log_is_sealed_by_the_clock_at_a_boundary_only() {
    let all = records(9);
    let dir = tempfile::tempdir().unwrap();
    let large = Limits {
        bytes: 1 << 20,
        ..LIMITS
    };
    let mut sealer = sealer(Arc::new(Directory::new(dir.path())), large).unwrap();
    assert_eq!(sealer.idle(i64::MAX).unwrap(), Due::Nothing);
    for entry in &all[..6] {
        sealer.push(entry).unwrap();
    }
    assert_eq!(sealer.idle(999_999).unwrap(), Due::Nothing);
    assert_eq!(sealer.idle(1_000_000).unwrap(), Due::Cut);
    sealer.push(&all[6]).unwrap();
    assert_eq!(sealer.idle(1_000_000).unwrap(), Due::Sealed);
    assert_eq!(sealer.end(), Some(7));
    assert_eq!(sealer.take_sealed().records, 7);
    assert_eq!(sealer.idle(i64::MAX).unwrap(), Due::Nothing);
}

#[test]
fn what_the_log_lost_is_said_by_the_chain_and_by_the_verification() {
    let all = records(40);
    let dir = tempfile::tempdir().unwrap();
    let shelf: Arc<dyn Shelf> = Arc::new(Directory::new(dir.path()));
    let mut sealer = sealer(shelf.clone(), LIMITS).unwrap();
    for entry in &all[..10] {
        sealer.push(entry).unwrap();
    }
    sealer.gap(10, 12).unwrap();
    sealer.gap(12, 15).unwrap();
    for entry in &all[15..] {
        sealer.push(entry).unwrap();
    }
    drop(sealer);
    let archived = read(shelf.clone()).unwrap();
    let offsets: Vec<i64> = archived.iter().map(|entry| entry.offset).collect();
    let wanted: Vec<i64> = (0..10).chain(15..35).collect();
    assert_eq!(offsets[..25], wanted[..25]);
    let missing = findings(&*shelf);
    assert!(
        matches!(&missing[..], [(Verdict::Missing, _)]),
        "{missing:?}"
    );
}

#[test]
fn a_manifest_says_who_wrote_its_last_record_and_a_log_that_parted_from_it_shows() {
    let all = records(60);
    let dir = tempfile::tempdir().unwrap();
    let shelf: Arc<dyn Shelf> = Arc::new(Directory::new(dir.path()));
    // As the version before wrote it, which did not ask.
    archive(shelf.clone(), LIMITS, &all[..30]).unwrap();
    let wrote = |place: i64| Some(format!("{}-aa", 1 + place / 35));
    let mut sealer = sealer(shelf.clone(), LIMITS).unwrap().naming(wrote);
    assert_eq!(sealer.parted(), None, "nobody knows who wrote it");
    let from = usize::try_from(sealer.end().unwrap()).unwrap();
    for entry in &all[from..] {
        sealer.push(entry).unwrap();
    }
    drop(sealer);
    assert_eq!(findings(&*shelf), []);
    let chain = Chain::open(shelf.clone(), &log()).unwrap();
    for manifest in &chain.manifests {
        let named = manifest.first >= i64::try_from(from).unwrap();
        let wanted = named.then(|| wrote(manifest.last).unwrap());
        assert_eq!(manifest.written_by, wanted);
    }
    let texts: Vec<_> = files(dir.path())
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|is| is == "json"))
        .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
        .collect();
    let of = |version: &str| texts.iter().filter(|text| text.contains(version)).count();
    assert!(of("tollgate-archive-1") > 0 && of("tollgate-archive-2") > 0);
    assert_eq!(of("written_by"), of("tollgate-archive-2"));

    let last = chain.end().unwrap() - 1;
    let reopened = || Sealer::open(shelf.clone(), log(), LIMITS, Boundaries::Cuts).unwrap();
    assert_eq!(reopened().naming(wrote).parted(), None);
    assert_eq!(reopened().naming(|_| None).parted(), None);
    let parted = reopened().naming(|_| Some("2-bb".into())).parted();
    assert_eq!(parted, Some((last, "2-aa".into(), "2-bb".into())));
}

/// The path of the manifest of a segment, and that of its file.
fn paths(dir: &Path, segment: usize) -> (PathBuf, PathBuf) {
    let chain = Chain::open(Arc::new(Directory::new(dir)), &log()).unwrap();
    let manifest = &chain.manifests[segment];
    (dir.join(manifest.name()), dir.join(manifest.segment_name()))
}

#[test]
fn every_kind_of_damage_is_named_and_nothing_of_a_damaged_segment_is_given() {
    type Hurt = fn(&Path, &Path);
    let hurts: [(&str, Hurt); 6] = [
        ("zst", |_, file| flip(file)),
        ("zst", |_, file| {
            let bytes = std::fs::read(file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("zst", |_, file| std::fs::remove_file(file).unwrap()),
        ("json", |manifest, _| {
            std::fs::remove_file(manifest).unwrap();
        }),
        ("json", |manifest, _| {
            std::fs::write(manifest, "{}").unwrap();
        }),
        ("json", |manifest, _| {
            let text = std::fs::read_to_string(manifest).unwrap();
            let digest = text.find("\"digest\": \"").unwrap() + 11;
            let other = if text.as_bytes()[digest] == b'0' {
                "1"
            } else {
                "0"
            };
            let text = format!("{}{other}{}", &text[..digest], &text[digest + 1..]);
            std::fs::write(manifest, text).unwrap();
        }),
    ];
    for (at, (end, hurt)) in hurts.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let shelf: Arc<dyn Shelf> = Arc::new(Directory::new(dir.path()));
        archive(shelf.clone(), LIMITS, &records(120)).unwrap();
        let (manifest, file) = paths(dir.path(), 2);
        hurt(&manifest, &file);
        let named = findings(&*shelf);
        let hurt_file = if end == "zst" { &file } else { &manifest };
        let hurt_name = hurt_file
            .strip_prefix(dir.path())
            .unwrap()
            .to_str()
            .unwrap();
        let is_named = |(verdict, what): &(Verdict, String)| {
            *verdict == Verdict::Damaged && what.contains(hurt_name)
        };
        // A manifest whose digest was changed is found by its segment's bytes, or by the next link.
        let is_found = named.iter().any(is_named)
            || (at == 5
                && named
                    .iter()
                    .any(|(verdict, _)| *verdict == Verdict::Damaged));
        assert!(is_found, "hurt {at}: {named:?}");
        assert!(read(shelf).is_err(), "hurt {at}");
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever byte of whatever file of an archive is changed: it is found.
    #[test]
    fn any_flipped_byte_is_found(file in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Directory::new(dir.path());
        archive(Arc::new(shelf.clone()), LIMITS, &records(40)).unwrap();
        let all = files(dir.path());
        // The last manifest has nothing after it that names its digest; what it says of its segment is compared all the same.
        let last = all.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "json")).max().unwrap().0.clone();
        let rest: Vec<_> = all.into_iter().filter(|(path, _)| *path != last).collect();
        let (path, mut bytes) = rest[file.index(rest.len())].clone();
        let at = byte.index(bytes.len());
        bytes[at] ^= 1 << bit;
        std::fs::write(dir.path().join(path), bytes).unwrap();
        let found = verify(&shelf, &log(), Boundaries::Cuts, |_| {});
        let is_found = match found {
            Ok(findings) => findings.iter().any(|finding| finding.verdict == Verdict::Damaged),
            Err(error) => matches!(error, ArchiveError::Newer { .. }),
        };
        prop_assert!(is_found);
    }
}
