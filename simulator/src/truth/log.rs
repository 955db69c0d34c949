//! Keeping the lines of the truth: numbered in order, in memory up to a bound, and in a file if one is named.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::record::{AnswerRecord, Record, RequestRecord};
use super::summary::{Summary, Sums};

/// A handle on the truth of a running simulator.
#[derive(Debug, Clone)]
pub struct TruthLog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    last_seq: u64,
    lines: VecDeque<Record>,
    dropped_lines: u64,
    sums: Sums,
    file: Option<File>,
    file_errors: u64,
}

impl TruthLog {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        let inner = Inner {
            last_seq: 0,
            lines: VecDeque::new(),
            dropped_lines: 0,
            sums: Sums::default(),
            file: path.map(append).transpose()?,
            file_errors: 0,
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
        })
    }

    /// Writes a request down and gives the number of its line.
    pub(crate) fn request(&self, keep: usize, mut request: RequestRecord) -> u64 {
        let mut inner = self.inner.lock();
        inner.last_seq += 1;
        request.seq = inner.last_seq;
        inner.sums.request(&request);
        inner.push(keep, Record::Request(request));
        inner.last_seq
    }

    /// Writes the end of an answer down.
    pub(crate) fn answer(&self, keep: usize, mut answer: AnswerRecord) {
        let mut inner = self.inner.lock();
        inner.last_seq += 1;
        answer.seq = inner.last_seq;
        inner.sums.answer(&answer);
        inner.push(keep, Record::Answer(answer));
    }

    /// The lines in memory whose number is above `seq`.
    pub fn since(&self, seq: u64) -> Vec<Record> {
        let inner = self.inner.lock();
        let start = inner.lines.partition_point(|line| line.seq() <= seq);
        inner.lines.iter().skip(start).cloned().collect()
    }

    /// The same as NDJSON.
    pub fn ndjson(&self, seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for line in self.since(seq) {
            write_line(&mut out, &line);
        }
        out
    }

    /// The sums by key and model.
    pub fn summary(&self) -> Summary {
        let inner = self.inner.lock();
        inner.sums.summary(inner.dropped_lines, inner.file_errors)
    }

    /// Forgets all lines and sums; numbers go on, and the file keeps what it has.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.lines.clear();
        inner.dropped_lines = 0;
        inner.sums = Sums::default();
    }
}

impl Inner {
    fn push(&mut self, keep: usize, record: Record) {
        self.write_file(&record);
        self.lines.push_back(record);
        while self.lines.len() > keep {
            self.lines.pop_front();
            self.dropped_lines += 1;
        }
    }

    fn write_file(&mut self, record: &Record) {
        let Some(file) = &mut self.file else { return };
        let mut line = Vec::with_capacity(320);
        write_line(&mut line, record);
        if let Err(error) = file.write_all(&line) {
            self.file_errors += 1;
            tracing::error!(%error, "truth file: a line could not be written");
        }
    }
}

fn write_line(out: &mut Vec<u8>, record: &Record) {
    if let Err(error) = serde_json::to_writer(&mut *out, record) {
        tracing::error!(%error, "truth: a line could not be rendered");
    }
    out.push(b'\n');
}
