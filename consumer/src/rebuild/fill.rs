//! Fills new tables from a log: the same cut, the same decoding and the same writer as a consumer's, so the rows are the same.

use schemas::rows::Source as Place;
use store::Client;
use tokio_util::sync::CancellationToken;

use super::error::RebuildError;
use super::records::LogToRead;
use crate::cut::Gathering;
use crate::decode::Rows;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::source::Read;
use crate::status::News;
use crate::write::Writer;

/// Places that neither the archive nor the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first: i64,
    /// The next that could be read.
    pub next: i64,
}

/// What was made of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Which.
    pub place: Place,
    /// The first place that could be read.
    pub from: i64,
    /// Everything before this boundary is in the new tables.
    pub to: i64,
    /// The boundary that was wanted, if one was.
    pub wanted: Option<i64>,
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// What nobody has, from the log's first place on.
    pub lost: Vec<Lost>,
}

impl Filled {
    /// Records that the old tables may have and that could not be read any more, for people; empty if there are none.
    pub fn faults(&self) -> Vec<String> {
        let Place { topic, partition } = &self.place;
        let mut faults: Vec<String> = self
            .lost
            .iter()
            .map(|lost| {
                let (first, last) = (lost.first, lost.next - 1);
                format!("{topic}/{partition}: places {first} to {last} are in neither the archive nor the log")
            })
            .collect();
        if let Some(wanted) = self.wanted.filter(|wanted| *wanted > self.to) {
            let (to, last) = (self.to, wanted - 1);
            faults.push(format!(
                "{topic}/{partition}: what can be read ends before {to}, the store had records up to {last}"
            ));
        }
        faults
    }
}

/// Writes the batches of a log into the client's tables, which nobody else writes; `progress` is told each place that is reached.
pub async fn fill(
    client: &Client,
    mut log: LogToRead,
    mut progress: impl FnMut(i64),
) -> Result<Filled, RebuildError> {
    let options = Options::new(client.clone(), "none.cursor");
    let writer = Writer::new(
        options,
        News::new(Metrics::default()),
        CancellationToken::new(),
    );
    let from = log.start().unwrap_or(0);
    let mut filled = Filled {
        place: log.place.clone(),
        from,
        to: from,
        wanted: log.end,
        batches: 0,
        records: 0,
        lost: Vec::new(),
    };
    let end = log.end.unwrap_or(i64::MAX);
    // Every log begins at 0, whether or not a store is left that could say what was there.
    let before = (0 < from.min(end)).then_some(Lost {
        first: 0,
        next: from,
    });
    filled.lost.extend(before);
    let mut gathering = Gathering::new(Rows::new(log.place.clone(), from));
    for read in log.reads() {
        let record = match read? {
            Read::Record(record) if record.offset < end => record,
            Read::Record(_) | Read::CaughtUp => break,
            Read::Lost { first, next } => {
                // What an archive lacks before its first segment is told already.
                let is_news = first < end && next > from;
                filled.lost.extend(is_news.then_some(Lost { first, next }));
                continue;
            }
        };
        // Signs of life are archived with a journal; no row is made of them.
        if !record.kind.is_published() {
            continue;
        }
        if let Some(rows) = gathering.push(&record)? {
            writer.write(&rows, 0).await?;
            filled.batches += 1;
            filled.records += u64::try_from(rows.records()).unwrap_or(0);
            filled.to = gathering.boundary();
            progress(filled.to);
            runtime::failpoint::hit("rebuild.after_batch");
        }
    }
    Ok(filled)
}
