//! What can go wrong with a report or a query of the ledger.

use store::StoreError;

/// A report or a query could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// The store did not answer, or refused.
    #[error("the ledger cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The store's answer is not what was asked for.
    #[error(
        "the ledger's answer cannot be read ({0}): is the database of another version? run `tollgate migrate`"
    )]
    Answer(String),
    /// The trail was asked for something that cannot be.
    #[error(transparent)]
    Filter(#[from] crate::audit::BadFilter),
    /// An amount left the range in which it is exact.
    #[error(
        "{0}: the amount is too large to be kept exactly, so nothing is reported; take a shorter period"
    )]
    TooLarge(String),
    /// More groups than are kept in memory.
    #[error("the report has more than {0} groups: take a shorter period, or fewer columns in `by`")]
    TooManyGroups(usize),
    /// The period has more days than are listed.
    #[error("the period has more than {0} days: take a shorter period, or leave `day` out of `by`")]
    TooManyDays(usize),
    /// Prices change more often in the period than is listed.
    #[error("prices change more than {0} times in the period: take a shorter period")]
    TooManyIntervals(usize),
}
