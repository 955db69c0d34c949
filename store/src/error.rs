//! What can go wrong when speaking to ClickHouse, sorted by what the caller should do about it.

use crate::engine::exception_code;
use std::time::Duration;

/// How an error begins whose deadline passed here; what passed there has a number.
const NO_ANSWER: &str = "no answer";
/// ClickHouse's numbers for a query that took too long.
const TOO_SLOW: [u32; 2] = [159, 160];

/// What a failed call means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing happened; the same call may succeed later.
    Unavailable,
    /// It was understood and refused; the same call will be refused again. A bug or a misconfiguration.
    Rejected,
    /// It may have happened or not. Only a call that is safe to repeat (an insert with its token) may be repeated.
    Ambiguous,
}

/// A call to ClickHouse failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// See [`Class::Unavailable`].
    #[error("ClickHouse is not available: {0}; the call can be repeated")]
    Unavailable(String),
    /// See [`Class::Rejected`].
    #[error("ClickHouse rejected the call: {text}")]
    Rejected {
        /// ClickHouse's error number, if it was ClickHouse that spoke.
        code: Option<u32>,
        /// The reason.
        text: String,
    },
    /// See [`Class::Ambiguous`].
    #[error("the fate of the call is not known: {0}; repeat it only with its token")]
    Ambiguous(String),
}

impl StoreError {
    /// What the caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable(_) => Class::Unavailable,
            Self::Rejected { .. } => Class::Rejected,
            Self::Ambiguous(_) => Class::Ambiguous,
        }
    }

    /// ClickHouse's error number, if it rejected the call with one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Rejected { code, .. } => *code,
            Self::Unavailable(_) | Self::Ambiguous(_) => None,
        }
    }

    /// Whether it took longer than it might, here or there.
    pub fn is_timeout(&self) -> bool {
        let Self::Ambiguous(text) = self else {
            return false;
        };
        let code = exception_code(text.trim_start());
        text.starts_with(NO_ANSWER) || code.is_some_and(|code| TOO_SLOW.contains(&code))
    }

    pub(crate) fn rejected(text: impl Into<String>) -> Self {
        Self::Rejected {
            code: None,
            text: text.into(),
        }
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        Self::Ambiguous(format!("{NO_ANSWER} within {} s", after.as_secs()))
    }
}

impl From<clickhouse::error::Error> for StoreError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::Network(source) if never_connected(source.as_ref()) => {
                Self::Unavailable(chain(source.as_ref()))
            }
            Error::Network(source) => Self::Ambiguous(chain(source.as_ref())),
            Error::TimedOut => Self::Ambiguous(format!("{NO_ANSWER} in time")),
            Error::BadResponse(text) => from_response(text),
            other => Self::rejected(chain(&other)),
        }
    }
}

fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn from_response(text: String) -> StoreError {
    match exception_code(text.trim_start()) {
        // Nothing was begun: too many queries, no memory, no space, too many parts, read-only replica, cannot schedule, too few
        // replicas live, quorum of the write before not met.
        Some(202 | 241 | 243 | 252 | 242 | 439 | 173 | 285 | 286) => StoreError::Unavailable(text),
        // It was begun: timeouts, cancelled, network between servers, unknown status of an insert, input and output, no keeper,
        // aborted, replica not in the quorum.
        Some(
            159 | 160 | 394 | 209 | 210 | 279 | 319 | 999 | 74 | 75 | 76 | 1001 | 1002 | 225 | 236
            | 289,
        )
        // Not ClickHouse's words: something between us and it.
        | None => StoreError::Ambiguous(text),
        Some(code) => StoreError::Rejected {
            code: Some(code),
            text,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clickhouse::error::Error;

    #[test]
    fn classes_follow_the_code() {
        let class = |text: &str| StoreError::from(Error::BadResponse(text.into())).class();
        assert_eq!(
            class("Code: 60. DB::Exception: Unknown table"),
            Class::Rejected
        );
        assert_eq!(
            class("Code: 252. DB::Exception: Too many parts"),
            Class::Unavailable
        );
        assert_eq!(class("Code: 159. DB::Exception: Timeout"), Class::Ambiguous);
        for (code, wanted) in [
            (285, Class::Unavailable),
            (286, Class::Unavailable),
            (225, Class::Ambiguous),
            (236, Class::Ambiguous),
            (289, Class::Ambiguous),
        ] {
            let text = format!("Code: {code}. DB::Exception: of a replicated table");
            assert_eq!(class(&text), wanted, "{code}");
        }
        assert_eq!(class("502 Bad Gateway"), Class::Ambiguous);
        let slow = |text: &str| StoreError::from(Error::BadResponse(text.into())).is_timeout();
        assert!(slow("Code: 159. DB::Exception: Timeout") && !slow("502 Bad Gateway"));
        assert!(StoreError::timed_out(Duration::from_secs(3)).is_timeout());
        assert_eq!(StoreError::from(Error::TimedOut).class(), Class::Ambiguous);
        assert_eq!(
            StoreError::from(Error::NotEnoughData).class(),
            Class::Rejected
        );
    }
}
