//! Which events of the trail are asked for.

use std::str::FromStr;

use schemas::{Micros, Outcome};

use crate::audit::Cursor;

/// The most events of one page.
pub const MAX_LIMIT: usize = 10_000;
const DEFAULT_LIMIT: usize = 100;

/// A name and the value it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter {
    /// The label.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A filter that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadFilter {
    /// Not a name and a value.
    #[error("`{0}` is not a label filter: write NAME=VALUE")]
    Label(String),
    /// More than a page holds.
    #[error(
        "a page has at most {MAX_LIMIT} events and at least one: take the rest by the cursor that comes with it"
    )]
    Limit,
    /// Nothing lies between.
    #[error("`since` is not before `until`: no event can match")]
    Empty,
}

impl FromStr for LabelFilter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(BadFilter::Label(text.chars().take(64).collect())),
        }
    }
}

/// What events must be like; an absent condition always holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Who pays.
    pub tenant: Option<String>,
    /// What for.
    pub project: Option<String>,
    /// Which credential.
    pub key: Option<String>,
    /// Received at or after.
    pub since: Option<Micros>,
    /// Received before.
    pub until: Option<Micros>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The id that was given back to the app.
    pub request_id: Option<String>,
    /// Claims of the client, all of which must hold.
    pub labels: Vec<LabelFilter>,
    /// The most events of the page.
    pub limit: usize,
    /// Only what comes after this.
    pub after: Option<Cursor>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            tenant: None,
            project: None,
            key: None,
            since: None,
            until: None,
            outcome: None,
            request_id: None,
            labels: Vec::new(),
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }
}

impl Filter {
    /// Checks what the types do not hold.
    pub fn check(&self) -> Result<(), BadFilter> {
        if !(1..=MAX_LIMIT).contains(&self.limit) {
            return Err(BadFilter::Limit);
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(BadFilter::Empty);
        }
        Ok(())
    }

    /// The condition, and the values for its question marks in their order.
    pub(super) fn condition(&self) -> (String, Vec<String>) {
        let texts = [
            ("tenant = ?", &self.tenant),
            ("project = ?", &self.project),
            ("key_id = ?", &self.key),
            ("request_id = ?", &self.request_id),
        ];
        let mut parts = vec!["1".to_owned()];
        let mut bound = Vec::new();
        for (part, value) in texts {
            if let Some(value) = value {
                parts.push(part.to_owned());
                bound.push(value.clone());
            }
        }
        for label in &self.labels {
            parts.push("(mapContains(labels, ?) AND labels[?] = ?)".to_owned());
            bound.extend([label.name.clone(), label.name.clone(), label.value.clone()]);
        }
        let instant = crate::sql::instant;
        parts.extend(self.outcome.map(|outcome| format!("outcome = '{outcome}'")));
        parts.extend(
            self.since
                .map(|since| format!("received >= {}", instant(since))),
        );
        parts.extend(
            self.until
                .map(|until| format!("received < {}", instant(until))),
        );
        parts.extend(self.after.map(|after| {
            let (received, id) = (instant(after.received), after.event_id);
            format!("(received, toString(event_id)) > ({received}, '{id}')")
        }));
        (parts.join(" AND "), bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_a_name_and_a_value() {
        let label: LabelFilter = "team=a=b".parse().unwrap();
        assert_eq!((label.name.as_str(), label.value.as_str()), ("team", "a=b"));
        assert!("team".parse::<LabelFilter>().is_err());
        assert!("=x".parse::<LabelFilter>().is_err());
    }

    #[test]
    fn texts_are_bound_and_never_written_into_the_query() {
        let hostile = "'; DROP TABLE usage_events --".to_owned();
        let filter = Filter {
            tenant: Some(hostile.clone()),
            labels: vec![LabelFilter {
                name: hostile.clone(),
                value: hostile.clone(),
            }],
            ..Filter::default()
        };
        let (sql, bound) = filter.condition();
        assert!(!sql.contains("DROP"), "{sql}");
        assert_eq!(bound, vec![hostile; 4]);
        assert_eq!(sql.matches('?').count(), 4);
    }

    #[test]
    fn pages_have_bounds_and_times_an_order() {
        let limit = |limit| {
            Filter {
                limit,
                ..Filter::default()
            }
            .check()
        };
        assert_eq!(limit(0), Err(BadFilter::Limit));
        assert_eq!(limit(MAX_LIMIT), Ok(()));
        assert_eq!(limit(MAX_LIMIT + 1), Err(BadFilter::Limit));
        let backwards = Filter {
            since: Some(Micros(2)),
            until: Some(Micros(2)),
            ..Filter::default()
        };
        assert_eq!(backwards.check(), Err(BadFilter::Empty));
    }
}
