//! Write: the fourth stage. One insert a table and month, in a fixed order, each with a token that names exactly its rows.
//! A call whose fate is unknown is repeated with the same token, for ever; one that was refused stops the consumer. Whether the
//! store remembers a token that long is not taken on trust: what may be old is looked for first.

use std::cell::Cell;
use std::fmt::Display;
use std::time::Duration;

use schemas::rows::{Columns, Source as Place};
use schemas::{AuditRow, CutRow, UsageRow};
use store::{Class, Client, StoreError, Stored};
use tokio_util::sync::CancellationToken;

use crate::decode::{ByMonth, Rows};
use crate::error::Halt;
use crate::options::Options;
use crate::status::{News, State};
use crate::worker::{Fate, Step};

/// The month of a token whose table is not split by month.
const NO_MONTH: u32 = 0;

/// The name of an insert: the same name always means the same rows.
pub fn token(table: &str, rows: &Rows, month: u32, repair_epoch: u32) -> String {
    let Place { topic, partition } = rows.place();
    let (first, last) = (rows.first(), rows.last());
    format!("{table}/{topic}/{partition}/{first}-{last}/{month}/{repair_epoch}")
}

/// Writes batches, and asks the store whatever else the consumer wants to know.
#[derive(Debug)]
pub(crate) struct Writer {
    pub options: Options,
    pub news: News,
    pub stop: CancellationToken,
    /// A call failed for want of the store since this was last taken.
    pub was_away: Cell<bool>,
}

impl Writer {
    pub(crate) fn new(options: Options, news: News, stop: CancellationToken) -> Self {
        Self {
            options,
            news,
            stop,
            was_away: Cell::new(false),
        }
    }

    /// Inserts the rows of a batch into the three tables, until they are there.
    pub(crate) async fn write(&self, rows: &Rows, repair_epoch: u32) -> Result<(), Halt> {
        self.write_steps(rows, &Step::ALL, repair_epoch).await
    }

    /// Inserts the rows of records that are part of a batch: no cut is made of them.
    pub(crate) async fn write_rows(&self, rows: &Rows, repair_epoch: u32) -> Result<(), Halt> {
        let steps = [Step::Audit, Step::Usage];
        self.write_steps(rows, &steps, repair_epoch).await
    }

    async fn write_steps(
        &self,
        rows: &Rows,
        steps: &[Step],
        repair_epoch: u32,
    ) -> Result<(), Halt> {
        for &step in steps {
            let attempt = async |client| self.table(&client, rows, step, repair_epoch, &[]).await;
            self.options.pass(point_before(step)).await;
            self.until_answered(describe(rows, step), attempt).await?;
        }
        Ok(())
    }

    /// Tries to insert the rows of one table, once; looks first which months are there already if it is told to.
    pub(crate) async fn step(
        &self,
        rows: &Rows,
        step: Step,
        look_first: bool,
    ) -> Result<Fate, Halt> {
        self.options.pass(point_before(step)).await;
        let client = &self.options.client;
        let trying = async {
            let there = if look_first {
                months_there(client, rows, step).await?
            } else {
                Vec::new()
            };
            self.table(client, rows, step, 0, &there).await?;
            let fate = if there.is_empty() {
                Fate::Done
            } else {
                Fate::WasThere
            };
            Ok::<_, StoreError>(fate)
        };
        match trying.await {
            Ok(fate) => {
                self.news.state(State::Running);
                Ok(fate)
            }
            Err(error) if error.class() == Class::Rejected => Err(Halt::Rejected {
                what: describe(rows, step),
                error,
            }),
            Err(error) => {
                self.note_away(&describe(rows, step), &error);
                Ok(match error.class() {
                    Class::Ambiguous => Fate::Unknown,
                    Class::Unavailable | Class::Rejected => Fate::NotDone,
                })
            }
        }
    }

    /// The inserts of one table, one a month; `there` are months that have theirs.
    async fn table(
        &self,
        client: &Client,
        rows: &Rows,
        step: Step,
        repair_epoch: u32,
        there: &[u32],
    ) -> Result<(), StoreError> {
        let is_missing = |month: &u32| !there.contains(month);
        match step {
            Step::Audit => {
                for (month, audit) in rows.audit().iter().filter(|(month, _)| is_missing(month)) {
                    let token = token(AuditRow::TABLE, rows, *month, repair_epoch);
                    self.insert(client, &token, audit.iter()).await?;
                }
            }
            Step::Usage => {
                for (month, usage) in rows.usage().iter().filter(|(month, _)| is_missing(month)) {
                    let token = token(UsageRow::TABLE, rows, *month, repair_epoch);
                    self.insert(client, &token, usage.iter()).await?;
                }
            }
            Step::Cut => {
                let cut = [Stored(rows.cut(repair_epoch))];
                let token = token(CutRow::TABLE, rows, NO_MONTH, repair_epoch);
                self.insert(client, &token, cut.iter()).await?;
            }
            Step::DeadLetters => {}
        }
        Ok(())
    }

    async fn insert<'a, C: Columns + 'static>(
        &self,
        client: &Client,
        token: &str,
        rows: impl Iterator<Item = &'a Stored<C>> + Clone,
    ) -> Result<(), StoreError> {
        let result = client.insert_rows(C::TABLE, token, rows).await;
        self.news
            .metrics
            .insert(C::TABLE, result.as_ref().map_or_else(label, |()| "ok"));
        result
    }

    /// Repeats a call until the store answers it. Only for calls that may be repeated.
    pub(crate) async fn until_answered<T>(
        &self,
        what: impl Display,
        call: impl AsyncFn(Client) -> Result<T, StoreError>,
    ) -> Result<T, Halt> {
        self.answered(what, call, |_| false).await
    }

    /// The same, but an answer that takes too long is an error: asked again it would take as long, and what comes in waits.
    pub(crate) async fn answered_in_time<T>(
        &self,
        what: impl Display,
        call: impl AsyncFn(Client) -> Result<T, StoreError>,
    ) -> Result<T, Halt> {
        self.answered(what, call, StoreError::is_timeout).await
    }

    async fn answered<T>(
        &self,
        what: impl Display,
        call: impl AsyncFn(Client) -> Result<T, StoreError>,
        gives_up: impl Fn(&StoreError) -> bool,
    ) -> Result<T, Halt> {
        let mut pause = self.options.retry_first;
        loop {
            match call(self.options.client.clone()).await {
                Ok(answer) => {
                    self.news.state(State::Running);
                    return Ok(answer);
                }
                Err(error) if error.class() == Class::Rejected || gives_up(&error) => {
                    return Err(Halt::Rejected {
                        what: what.to_string(),
                        error,
                    });
                }
                Err(error) => self.wait(&what, &error, pause).await?,
            }
            pause = (pause * 2).min(self.options.retry_most);
        }
    }

    async fn wait(
        &self,
        what: &impl Display,
        error: &StoreError,
        pause: Duration,
    ) -> Result<(), Halt> {
        self.note_away(what, error);
        let paused = self
            .stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await;
        paused.ok_or(Halt::Asked)
    }

    fn note_away(&self, what: &impl Display, error: &StoreError) {
        self.was_away.set(true);
        let text = format!("{what}: {error}");
        tracing::warn!("{text}; it is tried again");
        self.news.change(|status| {
            status.state = State::WaitingForStore;
            status.last_error = Some(text);
        });
    }
}

/// The months of a table that have all their rows of a batch. Rows of events may have gone where another record replaced them;
/// then they are inserted again, which changes no event.
async fn months_there(client: &Client, rows: &Rows, step: Step) -> Result<Vec<u32>, StoreError> {
    let (table, wanted): (_, Vec<(u32, usize)>) = match step {
        Step::Audit => (AuditRow::TABLE, lengths(rows.audit())),
        Step::Usage => (UsageRow::TABLE, lengths(rows.usage())),
        Step::Cut | Step::DeadLetters => return Ok(Vec::new()),
    };
    let Some((earliest, latest)) = received(rows) else {
        return Ok(Vec::new());
    };
    // The last condition leaves out the parts of other times: only `audit_log` is in the order of places.
    let sql = format!(
        "SELECT toYYYYMM(received) AS month, uniqExact(offset) FROM {table} \
         WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ? \
            AND received >= fromUnixTimestamp64Micro(?) AND received <= fromUnixTimestamp64Micro(?) GROUP BY month"
    );
    let place = rows.place();
    let query = client
        .query(&sql)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let query = query.bind(rows.first()).bind(rows.last());
    let found: Vec<(u32, u64)> = query.bind(earliest).bind(latest).fetch_all().await?;
    let is_whole = |(month, length): &(u32, usize)| {
        found
            .iter()
            .any(|(there, count)| there == month && usize::try_from(*count) == Ok(*length))
    };
    let whole = wanted.into_iter().filter(is_whole);
    Ok(whole.map(|(month, _)| month).collect())
}

/// The times between which all rows of a batch were received; those of other records than events count as 0.
fn received(rows: &Rows) -> Option<(i64, i64)> {
    let times = || rows.audit().values().flatten().map(|row| row.0.received);
    times().min().zip(times().max())
}

fn lengths<R>(rows: &ByMonth<R>) -> Vec<(u32, usize)> {
    rows.iter()
        .map(|(month, rows)| (*month, rows.len()))
        .collect()
}

/// The named point before a step.
fn point_before(step: Step) -> &'static str {
    match step {
        Step::Audit => "consumer.before_insert",
        Step::Usage => "consumer.after_audit_insert",
        Step::DeadLetters => "consumer.before_letters",
        Step::Cut => "consumer.after_usage_insert",
    }
}

fn describe(rows: &Rows, step: Step) -> String {
    let (first, last) = (rows.first(), rows.last());
    match step {
        Step::Audit => format!("insert {first}-{last} into {}", AuditRow::TABLE),
        Step::Usage => format!("insert {first}-{last} into {}", UsageRow::TABLE),
        Step::Cut => format!("insert {first}-{last} into {}", CutRow::TABLE),
        Step::DeadLetters => format!("dead letters of {first}-{last}"),
    }
}

fn label(error: &StoreError) -> &'static str {
    match error.class() {
        Class::Unavailable => "unavailable",
        Class::Ambiguous => "ambiguous",
        Class::Rejected => "rejected",
    }
}
