//! The watch: are all numbers that producers claim in the store, and do those who should speak still speak?
//!
//! A number counts as missing only when everything is in the store that could be read at a moment after the claim: claims are
//! read, then how far every partition reaches, and only when the store has all of that are the claimed numbers looked for. What
//! is in flight is therefore never a false alarm. How far a log reaches must not live here.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{ProducerRecord, ProducerState, Text, WIRE_VERSION};
use store::{Client, StoreError};
use tokio::time::Instant;

use super::boot::{Boot, Claim, Key};
use super::facts;
use super::gaps::Range;
use super::report::{Board, Gap, MAX_SHOWN, ProducerNews, Report};
use crate::metrics::Metrics;
use crate::options::Options;

/// So many numbers are looked for with one question.
const NUMBERS_A_QUESTION: i64 = 1_000_000;
/// After the first look, only records with a clock of the last day are read again, or of as long ago as one that was written since:
/// a producer's clock may be wrong, and a journal may be published long after it was written.
const LOOK_BACK_US: i64 = 86_400_000_000;
/// All records are read again so often.
const ALL_EVERY: u32 = 240;

/// The log, as far as the watch needs it.
pub(crate) trait Log {
    /// How far all its partitions reach at some moment.
    type Mark;

    /// How far they reach now.
    fn mark(&self) -> Result<Self::Mark, String>;

    /// Whether the store has everything before the mark.
    async fn covers(&self, mark: &Self::Mark) -> Result<bool, String>;

    /// The earliest clock in what was written into `producer_log` since this was last asked.
    fn take_oldest(&self) -> Option<i64>;

    /// Writes a record about a producer into the log, and waits until the log has taken it.
    async fn say(&self, record: &ProducerRecord) -> Result<(), String>;
}

/// Claims that wait until the store has what could be read when they were made.
struct Pending<M> {
    claims: BTreeMap<Key, i64>,
    mark: M,
    at: Instant,
}

/// The watch of a log.
pub(crate) struct Watch<M> {
    /// Each of the store's servers: a producer's records are spread over all of them.
    servers: Vec<Client>,
    every: Duration,
    silent_after: Duration,
    clock: fn() -> i64,
    who: Text,
    board: Board,
    metrics: Metrics,
    started: Instant,
    due_at: Instant,
    boots: BTreeMap<Key, Boot>,
    pending: Option<Pending<M>>,
    passes: u32,
    /// The earliest clock in what was written and not read yet.
    oldest: Option<i64>,
    looks: u64,
}

impl<M> Watch<M> {
    /// Due at once. `who` is named where it says something of a producer.
    pub(crate) fn new(options: &Options, who: &str, board: Board, metrics: Metrics) -> Self {
        let now = Instant::now();
        Self {
            servers: options.servers().to_vec(),
            every: options.watch_every,
            silent_after: options.silent_after,
            clock: options.clock,
            who: Text::cut(who),
            board,
            metrics,
            started: now,
            due_at: now,
            boots: BTreeMap::new(),
            pending: None,
            passes: 0,
            oldest: None,
            looks: 0,
        }
    }

    /// When there is something to do.
    pub(crate) fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Another watched meanwhile: what it wrote is not known here.
    pub(crate) fn begin_anew(&mut self) {
        (self.passes, self.pending) = (0, None);
    }

    /// Looks, if it is time; what could not be asked is asked again later.
    pub(crate) async fn look(&mut self, log: &impl Log<Mark = M>) {
        if Instant::now() < self.due_at {
            return;
        }
        if let Err(why) = self.step(log).await {
            tracing::info!(
                why,
                "producers' numbers are not looked for now; tried again"
            );
        }
        // Whether the store has caught up is asked more often than what is claimed.
        let pause = if self.pending.is_some() {
            self.every / 5
        } else {
            self.every
        };
        self.due_at = Instant::now() + pause;
    }

    async fn step(&mut self, log: &impl Log<Mark = M>) -> Result<(), String> {
        if let Some(pending) = self.pending.take() {
            match log.covers(&pending.mark).await {
                Ok(true) => return self.judge(log, &pending).await.map_err(|e| e.to_string()),
                not_yet => {
                    self.pending = Some(pending);
                    return not_yet.map(drop);
                }
            }
        }
        let at = Instant::now();
        self.hear(log).await.map_err(|error| error.to_string())?;
        let mark = log.mark()?;
        let claims = self.boots.iter().filter(|(_, boot)| !boot.is_done());
        let claims = claims.map(|(key, boot)| (key.clone(), boot.claim.last));
        self.pending = Some(Pending {
            claims: claims.collect(),
            mark,
            at,
        });
        Ok(())
    }

    /// Reads what is claimed.
    async fn hear(&mut self, log: &impl Log<Mark = M>) -> Result<(), StoreError> {
        let is_first = self.passes == 0;
        self.oldest = self.oldest.into_iter().chain(log.take_oldest()).min();
        let since = if self.passes.is_multiple_of(ALL_EVERY) {
            0
        } else {
            let recent = (self.clock)() - LOOK_BACK_US;
            self.oldest.map_or(recent, |oldest| oldest.min(recent))
        };
        let claims = facts::claims(&self.servers, since).await?;
        let whole = if is_first {
            facts::whole(&self.servers).await?
        } else {
            BTreeMap::new()
        };
        self.passes = self.passes.wrapping_add(1);
        self.oldest = None;
        let now = self.started.elapsed();
        // What is over, whole and no longer spoken of is forgotten.
        self.boots
            .retain(|key, boot| !boot.is_done() || claims.contains_key(key));
        for (key, claim) in claims {
            self.hear_of(key, &claim, &whole, now);
        }
        Ok(())
    }

    fn hear_of(&mut self, key: Key, claim: &Claim, whole: &BTreeMap<Key, i64>, now: Duration) {
        let known = whole.get(&key).copied();
        let boot = self.boots.entry(key).or_insert_with(|| Boot::new(now));
        boot.hear(claim, now);
        if let Some(last) = known {
            boot.checked = boot.checked.max(last);
        }
    }

    /// The store has everything that could be read after these claims were made.
    async fn judge(
        &mut self,
        log: &impl Log<Mark = M>,
        pending: &Pending<M>,
    ) -> Result<(), StoreError> {
        for (key, last) in &pending.claims {
            if let Some(mut boot) = self.boots.remove(key) {
                let judged = self.judge_boot(key, &mut boot, *last).await;
                self.boots.insert(key.clone(), boot);
                judged?;
            }
        }
        let heard_until = pending.at.duration_since(self.started);
        self.hear(log).await?;
        self.call_silent(log, heard_until).await;
        self.looks += 1;
        self.publish();
        Ok(())
    }

    async fn judge_boot(&self, key: &Key, boot: &mut Boot, last: i64) -> Result<(), StoreError> {
        let (there, _) = facts::stretches(&self.servers, key, &boot.gaps).await?;
        for (first, last) in boot.turned_up(&there) {
            let (producer, number) = key;
            tracing::warn!(
                producer,
                boot = number,
                first,
                last,
                "missing numbers have turned up in the store"
            );
        }
        while let Some(mut asked) = boot.next(last, NUMBERS_A_QUESTION) {
            let (there, is_cut) = facts::stretches(&self.servers, key, &[asked]).await?;
            let ends_empty = !is_cut && there.last().is_none_or(|(_, to)| *to < asked.1);
            if ends_empty && asked.1 < last {
                // A claim may be of far more numbers than are there: these are not gone through.
                let next = facts::next_there(&self.servers, key, asked.1).await?;
                asked.1 = next.map_or(last, |next| last.min(next - 1));
            }
            for gap in boot.found(asked, &there, is_cut) {
                name(key, gap);
            }
        }
        Ok(())
    }

    /// Says in the log who has not been heard of, where all that was said by `until` is in the store.
    async fn call_silent(&mut self, log: &impl Log<Mark = M>, until: Duration) {
        for ((producer, number), boot) in &mut self.boots {
            if !boot.is_newly_silent(until, self.silent_after) {
                continue;
            }
            let Ok(of) = number.parse() else { continue };
            let seconds = self.silent_after.as_secs_f64();
            let standing = boot.claim.standing;
            let record = ProducerRecord {
                wire: Text::cut(WIRE_VERSION),
                producer: Text::cut(producer),
                boot: of,
                state: ProducerState::Silent,
                last_producer_seq: numbered(boot.claim.last),
                admitted: None,
                settled: None,
                open: None,
                synced_position: standing.heard.filter(|position| *position >= 0),
                clock_us: schemas::Micros((self.clock)()),
                by: Some(self.who.clone()),
                why: Some(Text::cut(&format!("no sign of life for {seconds} s"))),
                exposure: None,
            };
            match log.say(&record).await {
                Ok(()) => {
                    tracing::error!(
                        producer,
                        boot = number,
                        seconds,
                        "a producer is silent: it ended without saying so"
                    );
                    boot.silence_is_said();
                }
                Err(why) => {
                    // So it would be with the others.
                    tracing::warn!(why, "a silent producer could not be written down yet");
                    return;
                }
            }
        }
    }

    fn publish(&self) {
        // What was declared lost is known, and on the statement: it raises no alarm any more.
        let alarming = self.boots.values().filter(|boot| boot.raises_alarm());
        let missing = alarming.map(Boot::missing).sum();
        let silent = self.boots.values();
        let silent = silent.filter(|boot| boot.state() == ProducerState::Silent);
        let of = |((producer, boot), state): (&Key, &Boot)| ProducerNews {
            producer: producer.clone(),
            boot: boot.clone(),
            state: state.state().to_string(),
            claimed: numbered(state.claim.last),
            checked: numbered(state.checked),
        };
        self.metrics.sequence_gaps.set(missing);
        self.metrics
            .silent_producers
            .set(i64::try_from(silent.count()).unwrap_or(i64::MAX));
        self.metrics.looks.inc();
        self.board.show(Report {
            watching: true,
            looks: self.looks,
            missing,
            gaps: self.gaps(),
            producers: self.boots.iter().take(MAX_SHOWN).map(of).collect(),
        });
    }

    fn gaps(&self) -> Vec<Gap> {
        let of = |((producer, boot), state): (&Key, &Boot)| {
            let gaps = state.gaps.clone().into_iter();
            let (producer, boot) = (producer.clone(), boot.clone());
            gaps.map(move |(first, last)| Gap {
                producer: producer.clone(),
                boot: boot.clone(),
                first,
                last,
            })
        };
        let alarming = self.boots.iter().filter(|(_, boot)| boot.raises_alarm());
        alarming.flat_map(of).take(MAX_SHOWN).collect()
    }
}

fn name((producer, boot): &Key, (first, last): Range) {
    tracing::error!(
        producer,
        boot,
        first,
        last,
        "numbers were claimed and are not in the store: records are missing"
    );
}

fn numbered(last: i64) -> Option<i64> {
    (last >= schemas::event::FIRST_PRODUCER_SEQ).then_some(last)
}
