//! Drives the audit, a page at a time so that it never holds up the batches for long: look at what was verified before,
//! verify what is new, repair what is not whole, and look again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::facts::{self, Page};
use super::older::{self, Counts};
use super::repair::{Repaired, Wanted, repair};
use super::rest;
use super::verdict::{Finding, Verdict, judge};
use crate::commit::Commit;
use crate::error::Halt;
use crate::signals::AuditRequests;
use crate::source::{Source, SourceError};
use crate::write::Writer;

/// A look at what was verified before may cost at most this share of the time.
const LOOK_SHARE: u32 = 20;
/// A batch that is not whole after it was inserted again was hurt again meanwhile, more likely than not: so often it is
/// tried, a pass each, before a person has to look.
const MAX_TRIES: u32 = 5;
const NOT_KEPT: &str = "it is no longer in the log";

/// Remembers what was verified, and when the next audit is due.
#[derive(Debug)]
pub(crate) struct Auditor<'a, S> {
    source: &'a S,
    every: Duration,
    requests: AuditRequests,
    due_at: Instant,
    /// The request that the pass under way answers; `None` between passes.
    answering: Option<u64>,
    proof: Option<Proof>,
    look_again_at: Instant,
    /// How often a batch was inserted again in vain, by its first place.
    tries: BTreeMap<i64, u32>,
}

/// What was found good so far.
#[derive(Debug)]
struct Proof {
    /// Everything from the origin up to this boundary was verified.
    verified: i64,
    /// Counts of what was verified, each stretch from before it was.
    counts: Counts,
    surplus: i64,
    events: i64,
    /// First places of what could not be repaired.
    given_up: BTreeSet<i64>,
    /// The first place that is in the log and not whole in the store: nothing from here on counts as safe. What the log does not
    /// have any more is lost for ever, and no more of the log is kept for it.
    unsafe_from: Option<i64>,
    /// Something was hurt while it was repaired or counted: the next pass verifies everything again.
    look_again: bool,
}

/// A page, what was counted of it, and what it means.
#[derive(Debug)]
struct Judged {
    page: Page,
    counts: Counts,
    verdict: Verdict,
}

impl Proof {
    fn nothing(origin: i64) -> Self {
        Self {
            verified: origin,
            counts: Counts::default(),
            surplus: 0,
            events: 0,
            given_up: BTreeSet::new(),
            unsafe_from: None,
            look_again: false,
        }
    }

    /// The finding is of what the log has, from the place `kept` on.
    fn is_not_whole(&mut self, finding: &Finding, kept: i64) {
        let (first, last) = finding.range();
        if last < kept {
            return;
        }
        let first = first.max(kept);
        self.unsafe_from = Some(self.unsafe_from.map_or(first, |from| from.min(first)));
    }

    /// Everything before this place is whole in the store, or gone from the log.
    fn safe_below(&self) -> i64 {
        self.unsafe_from
            .map_or(self.verified, |from| from.min(self.verified))
    }
}

impl<'a, S: Source> Auditor<'a, S> {
    /// Due at once: the first pass verifies everything.
    pub(crate) fn new(source: &'a S, every: Duration, requests: AuditRequests) -> Self {
        let now = Instant::now();
        Self {
            source,
            every,
            requests,
            due_at: now,
            answering: None,
            proof: None,
            look_again_at: now,
            tries: BTreeMap::new(),
        }
    }

    /// The store was away: look now.
    pub(crate) fn hurry(&mut self) {
        self.due_at = Instant::now();
        self.look_again_at = self.due_at;
    }

    /// The next audit goes on where this one was refused.
    pub(crate) fn give_up_pass(&mut self) {
        self.answering = None;
        self.due_at = Instant::now() + self.every;
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due_at <= Instant::now()
    }

    /// Waits until it is due, or asked for.
    pub(crate) async fn due(&mut self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.due_at) => {}
            () = self.requests.asked() => self.hurry(),
        }
    }

    /// The next page of a pass.
    pub(crate) async fn step(&mut self, writer: &Writer, commit: &mut Commit) -> Result<(), Halt> {
        if self.answering.is_none() {
            self.begin_pass(writer, commit).await?;
        }
        let mut proof = self
            .proof
            .take()
            .unwrap_or_else(|| Proof::nothing(commit.mark().origin));
        let verified = self.verify_page(&mut proof, writer, commit).await;
        let is_done = match verified {
            Ok(is_done) => is_done,
            Err(halt) => {
                // What was verified before stays so; of what was found lost meanwhile nobody may rely on it.
                writer
                    .news
                    .change(|status| status.verified = proof.safe_below());
                self.proof = Some(proof);
                return Err(halt);
            }
        };
        writer
            .news
            .change(|status| status.verified = proof.safe_below());
        if is_done {
            self.end_pass(&mut proof, writer);
        }
        let is_stale = is_done && proof.look_again;
        self.proof = Some(proof).filter(|_| !is_stale);
        Ok(())
    }

    /// Looks whether what was verified is still there; forgets the proof if not.
    async fn begin_pass(&mut self, writer: &Writer, commit: &Commit) -> Result<(), Halt> {
        let asked = self.requests.last();
        if writer.news.answered() < asked {
            self.look_again_at = Instant::now();
        }
        self.answering = Some(asked);
        let Some(verified) = self.proof.as_ref().map(|proof| proof.verified) else {
            return Ok(());
        };
        let started = Instant::now();
        if started < self.look_again_at {
            return Ok(());
        }
        let origin = commit.mark().origin;
        let looked = self.look(writer, origin, verified).await;
        self.look_again_at = Instant::now() + started.elapsed() * LOOK_SHARE;
        if looked.is_err() && writer.news.answered() < asked {
            // Who asked is answered all the same: everything is verified again, a page at a time.
            self.proof = None;
        }
        let now = looked?;
        let counted = self.proof.as_ref();
        if let Some(loss) = counted.and_then(|proof| proof.counts.loss(&now, proof.events)) {
            tracing::warn!(
                loss,
                "the store is not as it was verified; everything is verified again"
            );
            self.proof = Some(Proof::nothing(origin));
        }
        Ok(())
    }

    /// Verifies the next stretch; `true` if nothing committed is left to verify.
    async fn verify_page(
        &mut self,
        proof: &mut Proof,
        writer: &Writer,
        commit: &mut Commit,
    ) -> Result<bool, Halt> {
        let (from, committed) = (proof.verified, commit.mark().committed);
        let mut judged = self.judge_page(writer, from, committed).await?;
        if self
            .repair_all(&judged.verdict.findings, proof, writer, commit)
            .await?
        {
            judged = self.judge_page(writer, from, committed).await?;
            for finding in &judged.verdict.findings {
                self.try_again_or_give_up(finding, proof, writer, commit)
                    .await?;
            }
        }
        let Judged {
            page,
            counts,
            verdict,
        } = judged;
        // Others were there when they were counted: they are verified again.
        proof.look_again |= counts.cuts() != page.cuts.len() as u64;
        proof.counts.add(&counts);
        proof.verified = verdict.end;
        proof.surplus += verdict.surplus;
        proof.events += verdict.events;
        Ok(page.is_last)
    }

    /// A batch was inserted again and still is not whole.
    async fn try_again_or_give_up(
        &mut self,
        finding: &Finding,
        proof: &mut Proof,
        writer: &Writer,
        commit: &mut Commit,
    ) -> Result<(), Halt> {
        let kept = self.source.first_kept();
        let (first, last) = finding.range();
        if last < kept {
            give_up(proof, writer, finding, NOT_KEPT);
            return Ok(());
        }
        if first < kept && matches!(finding, Finding::Short { .. }) {
            // It stays short for ever. Whether its rest is there is asked after it was counted: what goes later, a look misses.
            let repair_epoch = commit.mark().repair_epoch + 1;
            let saved = rest::save(self.source, writer, commit, (kept, last), repair_epoch).await?;
            if saved == Repaired::Done(0) {
                give_up(proof, writer, finding, NOT_KEPT);
                return Ok(());
            }
        }
        proof.is_not_whole(finding, kept);
        let tries = self.tries.entry(finding.range().0).or_default();
        *tries += 1;
        if *tries < MAX_TRIES && finding.can_heal() {
            tracing::warn!(%finding, tries, "inserted again and still not whole; the next audit tries once more");
            proof.look_again = true;
        } else {
            give_up(
                proof,
                writer,
                finding,
                "it was inserted again and still is not whole",
            );
        }
        Ok(())
    }

    async fn judge_page(&self, writer: &Writer, from: i64, committed: i64) -> Result<Judged, Halt> {
        let place = self.source.place();
        let asked = writer.answered_in_time("audit: batches", async |client: store::Client| {
            let page = facts::page(&client, place, from, committed).await?;
            // In this order: what goes after it was counted is missed, by the verdict or by a later look.
            let end = page.end(from, committed);
            let counts = older::look(&client, place, from, end).await?;
            let seen = facts::seen(&client, place, &page.cuts).await?;
            Ok((page, counts, seen))
        });
        let (page, counts, seen) = asked.await?;
        let verdict = judge(from, committed, &page, &seen);
        Ok(Judged {
            page,
            counts,
            verdict,
        })
    }

    /// Repairs what can be repaired; `true` if anything was inserted. Where the log can not be read now, what is behind is looked at all the
    /// same, and the next audits try again.
    async fn repair_all(
        &mut self,
        findings: &[Finding],
        proof: &mut Proof,
        writer: &Writer,
        commit: &mut Commit,
    ) -> Result<bool, Halt> {
        let mut inserted = false;
        let repair_epoch = commit.mark().repair_epoch + 1;
        for finding in findings {
            tracing::error!(%finding, "the store has lost records");
            let kept = self.source.first_kept();
            let (first, last) = finding.range();
            if let Some(lost) = finding.below(kept) {
                give_up(proof, writer, &lost, NOT_KEPT);
            }
            if last < kept {
                continue;
            }
            let repaired = match finding {
                Finding::Gap { .. } => {
                    let wanted = Wanted::stretch(first.max(kept), last);
                    repair(self.source, writer, commit, wanted, repair_epoch).await
                }
                Finding::Short { .. } if first < kept => {
                    rest::save(self.source, writer, commit, (kept, last), repair_epoch).await
                }
                Finding::Short {
                    records, digest, ..
                } => {
                    let wanted = Wanted::batch(first, last, *records, digest);
                    repair(self.source, writer, commit, wanted, repair_epoch).await
                }
                Finding::Overlap { .. } => Ok(Repaired::Impossible(
                    "the cuts were made from different boundaries".to_owned(),
                )),
            };
            let repaired = match repaired {
                Err(Halt::Source(SourceError::Failed(why))) => {
                    let tries = self.tries.entry(first).or_default();
                    *tries += 1;
                    if *tries < MAX_TRIES {
                        tracing::error!(%finding, why, tries, "the log can not be read for a repair; the next audit tries again");
                        proof.is_not_whole(finding, kept);
                        proof.look_again = true;
                        continue;
                    }
                    Repaired::Impossible(why)
                }
                other => other?,
            };
            match repaired {
                Repaired::Done(_) => inserted = true,
                Repaired::Impossible(why) => {
                    proof.is_not_whole(finding, kept);
                    give_up(proof, writer, finding, &why);
                }
            }
        }
        Ok(inserted)
    }

    async fn look(&self, writer: &Writer, from: i64, below: i64) -> Result<Counts, Halt> {
        let place = self.source.place();
        let asked = writer.answered_in_time("audit: counts", async |client: store::Client| {
            older::look(&client, place, from, below).await
        });
        asked.await
    }

    fn end_pass(&mut self, proof: &mut Proof, writer: &Writer) {
        if !proof.look_again {
            self.tries.clear();
        }
        let metrics = &writer.news.metrics;
        metrics.audits.inc();
        metrics.surplus_copies.set(proof.surplus);
        metrics
            .unrepairable
            .set(i64::try_from(proof.given_up.len()).unwrap_or(i64::MAX));
        let answered = self.answering.take().unwrap_or(0);
        writer.news.change(|status| {
            status.audits += 1;
            status.answered = answered;
            status.surplus_copies = u64::try_from(proof.surplus).unwrap_or(0);
        });
        // What was asked for while it ran is answered by the next pass.
        let pause = if self.requests.last() > answered {
            Duration::ZERO
        } else {
            self.every
        };
        self.due_at = Instant::now() + pause;
    }
}

fn give_up(proof: &mut Proof, writer: &Writer, finding: &Finding, why: &str) {
    proof.given_up.insert(finding.range().0);
    writer.news.alarm(format!(
        "the store has lost records that can not be repaired: {finding}: {why}"
    ));
}
