//! The columns a report can be made by.

use std::fmt;
use std::str::FromStr;

/// The most columns of one report.
pub const MAX_DIMENSIONS: usize = 32;
const NAMES: &str =
    "tenant, project, key, model, provider, deployment, route, api, day, outcome, label:NAME";

/// A column of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Who pays.
    Tenant,
    /// What for.
    Project,
    /// Which credential.
    Key,
    /// The model as it is priced; of each line, where one answer used several.
    Model,
    /// Who runs the backend.
    Provider,
    /// The backend.
    Deployment,
    /// The route.
    Route,
    /// The API that was called.
    Api,
    /// The day of the period's zone.
    Day,
    /// The final fate.
    Outcome,
    /// A claim of the client, by name.
    Label(String),
}

/// Not a list of columns.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadDimension {
    /// Not one of them.
    #[error("`{0}` is not a column of a report: the columns are {NAMES}")]
    Unknown(String),
    /// The same one again.
    #[error("`{0}` stands twice in `by`")]
    Twice(Dimension),
    /// Too many.
    #[error("`by` has more than {MAX_DIMENSIONS} columns")]
    TooMany,
}

impl Dimension {
    /// Reads a list with commas between, such as `tenant,model,label:team`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadDimension> {
        let mut list = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let dimension: Self = part.parse()?;
            if list.contains(&dimension) {
                return Err(BadDimension::Twice(dimension));
            }
            if list.len() == MAX_DIMENSIONS {
                return Err(BadDimension::TooMany);
            }
            list.push(dimension);
        }
        Ok(list)
    }
}

impl FromStr for Dimension {
    type Err = BadDimension;

    fn from_str(text: &str) -> Result<Self, BadDimension> {
        Ok(match text {
            "tenant" => Self::Tenant,
            "project" => Self::Project,
            "key" => Self::Key,
            "model" => Self::Model,
            "provider" => Self::Provider,
            "deployment" => Self::Deployment,
            "route" => Self::Route,
            "api" => Self::Api,
            "day" => Self::Day,
            "outcome" => Self::Outcome,
            _ => match text.strip_prefix("label:") {
                Some(name) if !name.is_empty() => Self::Label(name.to_owned()),
                _ => return Err(BadDimension::Unknown(text.chars().take(64).collect())),
            },
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::Project => "project",
            Self::Key => "key",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Deployment => "deployment",
            Self::Route => "route",
            Self::Api => "api",
            Self::Day => "day",
            Self::Outcome => "outcome",
            Self::Label(name) => return write!(f, "label:{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_alike() {
        let text = "tenant,project,key,model,provider,deployment,route,api,day,outcome,label:team";
        let list = Dimension::parse_list(text).unwrap();
        let names: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(names.join(","), text);
        assert_eq!(Dimension::parse_list("").unwrap(), []);
    }

    #[test]
    fn unknown_double_and_too_many_columns_are_refused() {
        let error = Dimension::parse_list("tenant,team")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`team`") && error.contains("label:NAME"),
            "{error}"
        );
        assert!(matches!(
            Dimension::parse_list("key, key"),
            Err(BadDimension::Twice(_))
        ));
        assert!(Dimension::parse_list("label:").is_err());
        let many: Vec<_> = (0..33).map(|at| format!("label:l{at}")).collect();
        assert_eq!(
            Dimension::parse_list(&many.join(",")),
            Err(BadDimension::TooMany)
        );
    }
}
