//! The entries of the corpus, how they are cut, and how they are read: as the gateway reads an answer.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its corpus has failed"
)]

pub mod coverage;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use gateway::endpoint::Endpoint;
use gateway::meter::dialect::{Dialect, read};
use gateway::meter::findings::{Findings, TextTally};
use gateway::meter::reader::Reader;
use gateway::meter::scan::Scan;
use gateway::meter::stream::{StreamMeter, UsageFor};
use schemas::Api;
use serde_json::{Value, json};

/// Bodies up to this long are cut at every byte.
const SMALL_BYTES: usize = 1_500;
/// How many random cuttings a body gets.
const RANDOM_CUTTINGS: u64 = 12;

/// An answer and what it must give.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub dialect: Dialect,
    pub body: Vec<u8>,
    /// What a client gets that did not ask for usage.
    pub stripped: Option<Vec<u8>>,
    kind: String,
    expected: Value,
}

/// Every entry.
pub fn corpus() -> Vec<Entry> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let folders = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
        .collect();
    files.sort();
    files.iter().map(|file| Entry::load(file)).collect()
}

impl Entry {
    fn load(file: &Path) -> Self {
        let folder = file.parent().unwrap();
        let dialect = folder.file_name().unwrap().to_str().unwrap();
        let stem = file.file_name().unwrap().to_str().unwrap();
        let stem = stem.trim_end_matches(".expected.json");
        let kind = ["json", "sse", "html"]
            .into_iter()
            .find(|kind| folder.join(format!("{stem}.{kind}")).exists())
            .unwrap_or_else(|| panic!("{dialect}/{stem} has no answer"));
        let bytes = |name: String| std::fs::read(folder.join(name));
        Self {
            name: format!("{dialect}/{stem}"),
            dialect: dialect.parse().unwrap(),
            body: bytes(format!("{stem}.{kind}")).unwrap(),
            stripped: bytes(format!("{stem}.stripped.sse")).ok(),
            kind: kind.to_owned(),
            expected: serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        }
    }

    /// The entry of this name.
    pub fn find(name: &str) -> Self {
        let entry = corpus().into_iter().find(|entry| entry.name == name);
        entry.unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub fn source(&self) -> &str {
        self.expected["source"].as_str().unwrap_or_default()
    }

    /// The endpoint that was called.
    pub fn endpoint(&self) -> Endpoint {
        let path = self.expected["endpoint"].as_str().unwrap_or_default();
        let found = Endpoint::all().find(|endpoint| endpoint.path() == path);
        found.unwrap_or_else(|| panic!("{}: no endpoint `{path}`", self.name))
    }

    /// Its API, as the entry names it.
    pub fn api(&self) -> Api {
        self.expected["api"].as_str().unwrap().parse().unwrap()
    }

    pub fn is_stream(&self) -> bool {
        self.kind == "sse"
    }

    /// What it must give.
    pub fn expected(&self) -> Value {
        let mut expected = self.expected.clone();
        let fields = expected.as_object_mut().unwrap();
        for name in ["source", "note", "endpoint", "api", "status"] {
            fields.remove(name);
        }
        expected
    }

    /// For whom its usage is, where the app did not ask.
    pub fn usage_for(&self) -> UsageFor {
        self.dialect.asks_usage_for().unwrap_or(UsageFor::Client)
    }

    /// What it gives uncut.
    pub fn told(&self) -> Value {
        self.read(&[&self.body], UsageFor::Client).1
    }

    /// The same with a few bytes changed, lost or doubled.
    pub fn damaged(&self, seed: u64) -> Self {
        let mut random = Random::new(seed + self.body.len() as u64);
        let mut damaged = self.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(damaged.body.len().max(1));
            match random.below(4) {
                _ if damaged.body.is_empty() => {}
                0 => drop(damaged.body.remove(at)),
                1 => damaged
                    .body
                    .insert(at, b"{}[]\",:\\\n\r 0n"[random.below(13)]),
                2 => damaged.body[at] = b"{}[]\",:\\\n\r 0n"[random.below(13)],
                _ => damaged.body.truncate(at),
            }
        }
        damaged
    }

    /// Reads it in these parts: what passes on, and what it gives.
    pub fn read(&self, parts: &[&[u8]], usage_for: UsageFor) -> (Vec<u8>, Value) {
        let mut reader = match self.kind.as_str() {
            "sse" => Reader::Stream(Box::new(StreamMeter::new(usage_for))),
            "json" => Reader::Document(Box::<Scan>::default()),
            _ => Reader::Opaque,
        };
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut passed = Vec::new();
        for part in parts {
            let part = Bytes::copy_from_slice(part);
            for bytes in reader.feed(part, &mut found, &mut tally) {
                passed.extend_from_slice(&bytes);
            }
        }
        for bytes in reader.finish(&mut found) {
            passed.extend_from_slice(&bytes);
        }
        let mut told = tell(self.dialect, self.api(), &found);
        if reader.is_stream() {
            told["finished"] = found.is_finished().into();
        }
        (passed, told)
    }
}

fn tell(dialect: Dialect, api: Api, found: &Findings) -> Value {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_deref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let reading = read(dialect, api, found);
    let lines: Vec<Value> = reading
        .lines
        .iter()
        .map(|line| json!({"model": line.model, "service_tier": line.service_tier, "units": line.units}))
        .collect();
    let error = json!({"code": text(&found.error_code), "type": text(&found.error_type)});
    json!({
        "lines": lines,
        "quality": reading.quality,
        "provider_cost": reading.provider_cost,
        "finish_reason": text(&found.finish_reason),
        "error": found.error.then_some(error),
        "done": found.done,
    })
}

/// The units of an entry's first line.
pub fn units_of(entry: &Entry) -> Value {
    entry.told()["lines"][0]["units"].clone()
}

/// The units, line by line, of a document.
pub fn read_whole(dialect: &str, api: Api, document: &Value) -> Value {
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut scan = Scan::default();
    scan.feed(document.to_string().as_bytes(), &mut found, &mut tally);
    scan.finish(&mut found);
    let reading = read(dialect.parse().unwrap(), api, &found);
    reading.lines.iter().map(|line| json!(line.units)).collect()
}

/// Ways to cut a body: whole, byte by byte, at random, and a small one in two at every byte.
pub fn cuttings(body: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut all = vec![vec![body], body.chunks(1).collect()];
    all.extend((1..=RANDOM_CUTTINGS).map(|seed| cut_at_random(body, seed)));
    if body.len() <= SMALL_BYTES {
        all.extend((1..body.len()).map(|at| vec![&body[..at], &body[at..]]));
    }
    all
}

fn cut_at_random(body: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = Random::new(seed);
    let longest = 1 + usize::try_from(seed * 9).unwrap_or(1);
    let mut parts = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (part, after) = rest.split_at((1 + random.below(longest)).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts
}

/// xorshift64: the same cuttings every time.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap_or(0) % bound
    }
}
