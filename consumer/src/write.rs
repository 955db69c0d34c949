//! Write: the fourth stage. One insert a table and month, in a fixed order, each with a token that names exactly its rows.
//! A call whose fate is unknown is repeated with the same token, for ever; one that was refused stops the consumer.

use std::cell::Cell;
use std::fmt::Display;
use std::time::Duration;

use schemas::rows::{Columns, Source as Place};
use schemas::{CutRow, UsageRow};
use store::{Class, Client, StoreError, Stored};
use tokio_util::sync::CancellationToken;

use crate::decode::Rows;
use crate::error::Halt;
use crate::options::Options;
use crate::status::{News, State};

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

    /// Inserts the rows of a batch into the three tables.
    pub(crate) async fn write(&self, rows: &Rows, repair_epoch: u32) -> Result<(), Halt> {
        self.options.pass("consumer.before_insert").await;
        for (month, audit) in rows.audit() {
            self.insert(&token("audit_log", rows, *month, repair_epoch), audit)
                .await?;
        }
        self.options.pass("consumer.after_audit_insert").await;
        for (month, usage) in rows.usage() {
            self.insert(&token(UsageRow::TABLE, rows, *month, repair_epoch), usage)
                .await?;
        }
        self.options.pass("consumer.after_usage_insert").await;
        let cut = [Stored(rows.cut(repair_epoch))];
        self.insert(&token(CutRow::TABLE, rows, NO_MONTH, repair_epoch), &cut)
            .await
    }

    async fn insert<C: Columns + 'static>(
        &self,
        token: &str,
        rows: &[Stored<C>],
    ) -> Result<(), Halt> {
        let attempt = async |client: Client| {
            let result = client.insert_block(C::TABLE, token, rows).await;
            self.news
                .metrics
                .insert(C::TABLE, result.as_ref().map_or_else(label, |()| "ok"));
            result
        };
        self.until_answered(format_args!("insert {token}"), attempt)
            .await
    }

    /// Repeats a call until the store answers it. Only for calls that may be repeated.
    pub(crate) async fn until_answered<T>(
        &self,
        what: impl Display,
        call: impl AsyncFn(Client) -> Result<T, StoreError>,
    ) -> Result<T, Halt> {
        let mut pause = self.options.retry_first;
        loop {
            match call(self.options.client.clone()).await {
                Ok(answer) => {
                    self.news.state(State::Running);
                    return Ok(answer);
                }
                Err(error) if error.class() == Class::Rejected => {
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
        self.was_away.set(true);
        let text = format!("{what}: {error}");
        tracing::warn!(retry_in_ms = pause.as_millis(), "{text}");
        self.news.change(|status| {
            status.state = State::WaitingForStore;
            status.last_error = Some(text);
        });
        let paused = self
            .stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await;
        paused.ok_or(Halt::Asked)
    }
}

fn label(error: &StoreError) -> &'static str {
    match error.class() {
        Class::Unavailable => "unavailable",
        Class::Ambiguous => "ambiguous",
        Class::Rejected => "rejected",
    }
}
