//! Reads the records of a period's batches again, page by page, and holds them against their leaf hashes, the digests of
//! their cuts, and the columns beside them; grows the trees, and sums up what `usage_events` must hold.

use std::collections::HashMap;
use std::time::Duration;

use schemas::rows::{BatchDigest, Fate, Source, leaf_hash, rows_of};
use schemas::{Decoded, RecordKind, Text, decode};
use store::Client;

use super::merkle::Tree;
use super::model::{Finding, PartitionReport, Range, Verdict};
use super::places::{Cut, Piece, Stretch, pieces};
use super::read::{self, Stored};
use super::row_bytes::row_bytes;
use super::rows::Expectations;
use crate::BillingError;
use crate::sql::quoted;

const TIMEOUT: Duration = Duration::from_secs(55);
/// Records of one page, unless a single batch has more.
const PAGE_RECORDS: i64 = 8_192;
/// Places of one page where no batch says how many records there are.
const PAGE_PLACES: i64 = 65_536;
/// Findings that are kept; further ones are counted.
const MAX_FINDINGS: usize = 1_000;

/// Findings, the first of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    pub(super) left_out: i64,
    pub(super) changed: bool,
    pub(super) missing: bool,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        match finding.verdict {
            Verdict::Integrity => self.changed = true,
            Verdict::Completeness => self.missing = true,
        }
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        } else {
            self.left_out += 1;
        }
    }
}

/// Numbers that were seen, 4,096 to a page: a start's numbers are dense.
#[derive(Debug, Default)]
struct Seen(HashMap<(Text, String), HashMap<i64, [u64; 64]>>);

impl Seen {
    /// Whether it is seen for the first time.
    fn is_new(&mut self, producer: &Text, boot: &str, number: i64) -> bool {
        let key = (producer.clone(), boot.to_owned());
        let page = self.0.entry(key).or_default().entry(number >> 12);
        let page = page.or_insert([0; 64]);
        let (word, bit) = ((number >> 6) & 63, number & 63);
        let Some(word) = usize::try_from(word)
            .ok()
            .and_then(|word| page.get_mut(word))
        else {
            return true;
        };
        let is_new = *word & (1 << bit) == 0;
        *word |= 1 << bit;
        is_new
    }
}

/// What reading found.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) partitions: Vec<PartitionReport>,
    pub(super) findings: Findings,
    /// Batches that are not whole: their digest shows nothing.
    pub(super) not_whole: i64,
    pub(super) expected: Expectations,
    pub(super) events: i64,
    seen: Seen,
    tree: Tree,
}

/// What belongs to the period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) producer: Option<&'a str>,
}

impl Reading {
    /// Reads one stretch up to `end`, the last place that is written, if batches are still being written.
    pub(super) async fn stretch(
        &mut self,
        client: &Client,
        stretch: &Stretch,
        wanted: Wanted<'_>,
        end: Option<i64>,
    ) -> Result<(), BillingError> {
        self.begin(stretch);
        let source = Source {
            topic: Text::cut(&stretch.topic),
            partition: stretch.partition,
        };
        let mut from = None;
        loop {
            let pieces = pieces(client, stretch, from).await?;
            let Some(last) = pieces.last().map(|piece| piece.places().last) else {
                break;
            };
            let written = pieces
                .into_iter()
                .filter(|piece| end.is_none_or(|end| piece.places().first <= end));
            for page in pages(written.collect()) {
                self.page(client, &source, &page, wanted).await?;
            }
            from = Some(last + 1);
        }
        Ok(())
    }

    fn begin(&mut self, stretch: &Stretch) {
        let same = self.partitions.last().is_some_and(|report| {
            (&report.topic, report.partition) == (&stretch.topic, stretch.partition)
        });
        if same {
            return;
        }
        self.end();
        self.partitions.push(PartitionReport {
            topic: stretch.topic.clone(),
            partition: stretch.partition,
            cuts: 0,
            records: 0,
            copies: 0,
            leaves: 0,
            root: String::new(),
        });
    }

    /// Closes the tree of the last partition.
    pub(super) fn end(&mut self) {
        let tree = std::mem::take(&mut self.tree);
        if let Some(report) = self.partitions.last_mut() {
            report.leaves = tree.len();
            report.root = hex::encode(tree.root());
        }
    }

    async fn page(
        &mut self,
        client: &Client,
        source: &Source,
        page: &[Piece],
        wanted: Wanted<'_>,
    ) -> Result<(), BillingError> {
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            return Ok(());
        };
        let sql = format!(
            "SELECT {} FROM audit_log WHERE topic = {} AND partition = {} AND offset >= {} AND offset <= {} ORDER BY offset",
            read::columns(),
            quoted(source.topic.as_str()),
            source.partition,
            first.places().first,
            last.places().last
        );
        let answer = client
            .statement(&sql)
            .timeout(TIMEOUT)
            .bytes("RowBinary")
            .await?;
        let rows = read::stored(&answer)?;
        let mut rest = rows.as_slice();
        for piece in page {
            let places = piece.places();
            let until = rest.partition_point(|row| row.offset <= places.last);
            let (of_piece, after) = rest.split_at(until);
            rest = after;
            self.piece(source, piece, of_piece, wanted);
        }
        Ok(())
    }

    fn piece(&mut self, source: &Source, piece: &Piece, rows: &[Stored<'_>], wanted: Wanted<'_>) {
        let mut facts = Facts::default();
        for same_place in rows.chunk_by(|a, b| a.offset == b.offset) {
            self.place(source, same_place, wanted, &mut facts);
        }
        if let Some(report) = self.partitions.last_mut() {
            report.records += facts.records;
            report.copies += i64::try_from(rows.len()).unwrap_or(i64::MAX) - facts.records;
            report.cuts += i64::from(matches!(piece, Piece::Batch(_)));
        }
        match piece {
            Piece::Batch(cut) => self.judge_batch(source, cut, facts),
            Piece::Uncovered(places) => {
                self.not_whole += 1;
                self.uncovered(source, *places, rows);
            }
        }
    }

    /// One place of the log, and its copies.
    fn place(
        &mut self,
        source: &Source,
        rows: &[Stored<'_>],
        wanted: Wanted<'_>,
        facts: &mut Facts,
    ) {
        let Some(row) = rows.first() else { return };
        let leaf = leaf_hash(row.bytes);
        facts.records += 1;
        facts.digest.push(&leaf);
        facts.events += i64::from(row.fate == Fate::Event as i8);
        facts.dead_letters += i64::from(row.fate == Fate::DeadLetter as i8);
        if rows.iter().any(|copy| copy.leaf != leaf_hash(copy.bytes)) {
            let what = "its bytes in audit_log do not have the leaf hash that is kept beside them";
            self.changed(source, row, what);
        }
        if rows.iter().any(|copy| copy.bytes != row.bytes) {
            self.changed(source, row, "two different records stand at one place");
        }
        if row.fate == Fate::DeadLetter as i8 {
            return;
        }
        let is_cut = row.fate == Fate::Cut as i8;
        let kind = if is_cut {
            RecordKind::Cut
        } else {
            RecordKind::Usage
        };
        let decoded = decode(kind, row.bytes);
        let Some((mut audit, usage)) = rows_of(source, row.offset, row.bytes, &decoded) else {
            self.changed(
                source,
                row,
                "it is of a version that this program does not know",
            );
            return;
        };
        // What is kept of the leaf is judged above.
        audit.leaf = row.leaf;
        let given = row_bytes(&audit);
        let mut differs = |copy: &Stored<'_>| {
            if copy.whole == given {
                return false;
            }
            // Of whose letter it is the replay its bytes do not say.
            let told = replayed(copy.reason).filter(|_| !is_cut);
            told.is_none_or(|reason| {
                reason.clone_into(&mut audit.reason);
                copy.whole != row_bytes(&audit)
            })
        };
        if rows.iter().any(&mut differs) {
            self.changed(
                source,
                row,
                "its columns in audit_log are not what its bytes give",
            );
        }
        let (Decoded::Event(event), Some(usage)) = (&decoded, usage) else {
            return;
        };
        let is_wanted = wanted
            .producer
            .is_none_or(|producer| producer == event.producer.as_str());
        if !is_wanted || event.received_us.0 < wanted.from || event.received_us.0 >= wanted.to {
            return;
        }
        self.tree.push(leaf);
        if self
            .seen
            .is_new(&event.producer, audit.boot.as_str(), event.producer_seq)
        {
            self.events += 1;
            self.expected.add(event.received_us.0, &usage);
        }
    }

    fn judge_batch(&mut self, source: &Source, cut: &Cut, facts: Facts) {
        if facts.records < cut.records {
            self.not_whole += 1;
            let lacks = cut.records - facts.records;
            let what = format!(
                "audit_log lacks {lacks} of the {} records of a batch",
                cut.records
            );
            self.of_batch(Verdict::Completeness, source, cut, what);
        } else if facts.records > cut.records {
            let what = format!(
                "audit_log has {} records where the batch's cut counts {}",
                facts.records, cut.records
            );
            self.of_batch(Verdict::Integrity, source, cut, what);
        } else if hex::encode(facts.digest.finish()) != cut.digest {
            let what = "the records of a batch do not have the digest of its cut".to_owned();
            self.of_batch(Verdict::Integrity, source, cut, what);
        } else if (facts.events, facts.dead_letters) != (cut.events, cut.dead_letters) {
            let what = "audit_log counts other events or dead letters than the cut".to_owned();
            self.of_batch(Verdict::Integrity, source, cut, what);
        }
    }

    fn of_batch(&mut self, verdict: Verdict, source: &Source, cut: &Cut, what: String) {
        self.findings.push(Finding {
            partition: Some((source.topic.to_string(), source.partition)),
            places: Some(Range {
                first: cut.first,
                last: cut.last,
            }),
            ..Finding::at_large(verdict, what)
        });
    }

    fn changed(&mut self, source: &Source, row: &Stored<'_>, what: &str) {
        let text = |bytes: &[u8]| {
            Some(String::from_utf8_lossy(bytes).into_owned()).filter(|text| !text.is_empty())
        };
        self.findings.push(Finding {
            verdict: Verdict::Integrity,
            producer: text(row.producer),
            boot: text(row.boot),
            numbers: row.number.map(|number| Range {
                first: number,
                last: number,
            }),
            partition: Some((source.topic.to_string(), source.partition)),
            places: Some(Range {
                first: row.offset,
                last: row.offset,
            }),
            what: what.to_owned(),
        });
    }

    /// Says of which numbers the records are that no cut covers.
    fn uncovered(&mut self, source: &Source, places: Range, rows: &[Stored<'_>]) {
        let mut boots: Vec<(&[u8], &[u8], Range)> = Vec::new();
        for row in rows {
            let Some(number) = row.number else { continue };
            let of_row = (row.producer, row.boot);
            let at = boots
                .iter()
                .position(|(producer, boot, _)| (*producer, *boot) == of_row);
            if let Some((_, _, range)) = at.and_then(|at| boots.get_mut(at)) {
                range.first = range.first.min(number);
                range.last = range.last.max(number);
            } else if boots.len() < MAX_FINDINGS {
                let range = Range {
                    first: number,
                    last: number,
                };
                boots.push((row.producer, row.boot, range));
            }
        }
        let what = "no row of cuts covers these places".to_owned();
        let base = Finding {
            partition: Some((source.topic.to_string(), source.partition)),
            places: Some(places),
            ..Finding::at_large(Verdict::Completeness, what)
        };
        if boots.is_empty() {
            self.findings.push(base.clone());
        }
        for (producer, boot, numbers) in boots {
            self.findings.push(Finding {
                producer: Some(String::from_utf8_lossy(producer).into_owned()),
                boot: Some(String::from_utf8_lossy(boot).into_owned()),
                numbers: Some(numbers),
                ..base.clone()
            });
        }
    }
}

/// What was read of a batch.
#[derive(Debug, Default)]
struct Facts {
    records: i64,
    events: i64,
    dead_letters: i64,
    digest: BatchDigest,
}

/// Pieces in pages that are read at once.
fn pages(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut pages: Vec<Vec<Piece>> = Vec::new();
    let mut records = 0;
    for piece in pieces.into_iter().flat_map(small) {
        let more = match &piece {
            Piece::Batch(cut) => cut.records,
            Piece::Uncovered(_) => PAGE_RECORDS,
        };
        match pages.last_mut() {
            Some(page) if records + more <= PAGE_RECORDS => {
                page.push(piece);
                records += more;
            }
            _ => {
                pages.push(vec![piece]);
                records = more;
            }
        }
    }
    pages
}

/// Places without a batch, cut to what can be read at once.
fn small(piece: Piece) -> Vec<Piece> {
    let Piece::Uncovered(places) = piece else {
        return vec![piece];
    };
    // Nobody knows how many records there are: a gap of any width is read in a bounded number of pages.
    let step = PAGE_PLACES.max(places.count() / 4_096 + 1);
    let mut parts = Vec::new();
    let mut first = places.first;
    while first <= places.last {
        let last = places.last.min(first + step - 1);
        parts.push(Piece::Uncovered(Range { first, last }));
        first = last + 1;
    }
    parts
}

/// What a consumer keeps beside a record that is the replay of a dead letter: `replay of TOPIC/PARTITION/OFFSET`.
fn replayed(reason: &[u8]) -> Option<&str> {
    let reason = std::str::from_utf8(reason).ok()?;
    let mut parts = reason.strip_prefix("replay of ")?.rsplitn(3, '/');
    let (offset, partition) = (parts.next()?, parts.next()?);
    let is_place = offset.parse::<u64>().is_ok() && partition.parse::<u32>().is_ok();
    (is_place && !parts.next()?.is_empty()).then_some(reason)
}
