//! What a report is asked for.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chargeback::Dimension;
use crate::period::Period;

/// What becomes of demo and self-test traffic, which is on no bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synthetic {
    /// Left out; the report says how much.
    #[default]
    Exclude,
    /// Nothing else is shown.
    Only,
    /// Shown together with the rest.
    Include,
}

impl Synthetic {
    /// Whether a report shows an event.
    #[must_use]
    pub fn shows(self, is_synthetic: bool) -> bool {
        match self {
            Self::Exclude => !is_synthetic,
            Self::Only => is_synthetic,
            Self::Include => true,
        }
    }
}

/// Not a way of treating synthetic traffic.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a way of treating synthetic traffic: write exclude, only or include")]
pub struct BadSynthetic(String);

impl FromStr for Synthetic {
    type Err = BadSynthetic;

    fn from_str(text: &str) -> Result<Self, BadSynthetic> {
        match text {
            "exclude" => Ok(Self::Exclude),
            "only" => Ok(Self::Only),
            "include" => Ok(Self::Include),
            _ => Err(BadSynthetic(text.chars().take(64).collect())),
        }
    }
}

/// A report to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of what time.
    pub period: Period,
    /// By which columns; none gives one row.
    pub by: Vec<Dimension>,
    /// Demo and self-test traffic.
    pub synthetic: Synthetic,
    /// Of one tenant alone.
    pub tenant: Option<String>,
}
