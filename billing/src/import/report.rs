//! The report of another gateway's figures, by source first: figures of two gateways are never added, and none of ours.

use std::fmt;
use std::str::FromStr;

use schemas::Micros;
use serde::{Deserialize, Serialize};
use store::Client;

use super::ledger::{SUMS, Sums};
use super::spend::Figures;
use crate::sql::{instant, lines};
use crate::{BillingError, Period};

const NAMES: &str =
    "tenant, project, key, user, end_user, model, model_group, provider, api, status, day";
/// More rows than this are not kept in memory.
const MAX_ROWS: usize = 100_000;
/// More days than this are not listed.
const MAX_DAYS: usize = 3_700;

/// A column of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The team there.
    Tenant,
    /// The project there.
    Project,
    /// The key's name.
    Key,
    /// The user.
    User,
    /// Whom the app called for.
    EndUser,
    /// The model.
    Model,
    /// The name it was asked for by.
    ModelGroup,
    /// Who ran it.
    Provider,
    /// The kind of call, in the source's word.
    Api,
    /// How it ended, in the source's word.
    Status,
    /// The day of the period's zone.
    Day,
}

/// Not a list of columns.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadColumn {
    /// Not one of them.
    #[error("`{0}` is not a column of imported spend: the columns are {NAMES}")]
    Unknown(String),
    /// The same one again.
    #[error("`{0}` stands twice in --by")]
    Twice(Column),
}

impl Column {
    const ALL: [Self; 11] = [
        Self::Tenant,
        Self::Project,
        Self::Key,
        Self::User,
        Self::EndUser,
        Self::Model,
        Self::ModelGroup,
        Self::Provider,
        Self::Api,
        Self::Status,
        Self::Day,
    ];

    /// Its name, and the table's for all but the day.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Project => "project",
            Self::Key => "key",
            Self::User => "user",
            Self::EndUser => "end_user",
            Self::Model => "model",
            Self::ModelGroup => "model_group",
            Self::Provider => "provider",
            Self::Api => "api",
            Self::Status => "status",
            Self::Day => "day",
        }
    }

    /// Reads a list with commas between.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadColumn> {
        let mut list = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let column: Self = part.parse()?;
            if list.contains(&column) {
                return Err(BadColumn::Twice(column));
            }
            list.push(column);
        }
        Ok(list)
    }
}

impl FromStr for Column {
    type Err = BadColumn;

    fn from_str(text: &str) -> Result<Self, BadColumn> {
        let found = Self::ALL.into_iter().find(|column| column.name() == text);
        found.ok_or_else(|| BadColumn::Unknown(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct ImportedRequest {
    /// Calls that began in it.
    pub period: Period,
    /// By what, beside the source.
    pub by: Vec<Column>,
    /// Only this tenant.
    pub tenant: Option<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedRow {
    /// Which gateway told it.
    pub source: String,
    /// In the order of the columns.
    pub columns: Vec<String>,
    /// In what the spend is.
    pub currency: String,
    /// The sums.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedReport {
    /// What its figures are, for whoever reads the JSON alone.
    pub note: &'static str,
    /// The period, as it was written.
    pub period: String,
    /// Its zone.
    pub zone: String,
    /// Its first instant.
    pub start_us: Micros,
    /// The first instant no longer in it.
    pub end_us: Micros,
    /// The names of the columns.
    pub by: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<ImportedRow>,
    /// The sums of each source and currency.
    pub totals: Vec<ImportedRow>,
}

/// What must be known of every figure of the report.
pub const NOTE: &str = "Figures of another gateway, as it told them: not measured, priced or proved here, and part of no bill.";

#[derive(Deserialize)]
struct Group {
    source: String,
    dims: Vec<String>,
    currency: String,
    #[serde(flatten)]
    sums: Sums,
}

/// Makes the report.
pub async fn imported(
    client: &Client,
    request: &ImportedRequest,
) -> Result<ImportedReport, BillingError> {
    let rows = ask(client, request, &request.by).await?;
    if rows.len() > MAX_ROWS {
        return Err(BillingError::TooManyGroups(MAX_ROWS));
    }
    Ok(ImportedReport {
        note: NOTE,
        period: request.period.name().to_owned(),
        zone: request.period.zone().name().to_owned(),
        start_us: request.period.start(),
        end_us: request.period.end(),
        by: request.by.iter().map(|column| column.name()).collect(),
        rows,
        totals: ask(client, request, &[]).await?,
    })
}

async fn ask(
    client: &Client,
    request: &ImportedRequest,
    by: &[Column],
) -> Result<Vec<ImportedRow>, BillingError> {
    let mut query = client.query(&sql(request, by)?);
    if let Some(tenant) = &request.tenant {
        query = query.bind(tenant.as_str());
    }
    let bytes = query.bytes("JSONEachRow").await?;
    let row = |group: Group| {
        Ok(ImportedRow {
            source: group.source,
            columns: group.dims,
            currency: group.currency,
            figures: group.sums.figures().map_err(BillingError::Answer)?,
        })
    };
    lines(&bytes)?.into_iter().map(row).collect()
}

fn sql(request: &ImportedRequest, by: &[Column]) -> Result<String, BillingError> {
    let mut dims = Vec::new();
    for column in by {
        dims.push(match column {
            Column::Day => day(&request.period)?,
            column => format!("toString({})", column.name()),
        });
    }
    let tenant = if request.tenant.is_some() {
        " AND tenant = ?"
    } else {
        ""
    };
    Ok(format!(
        "SELECT source, CAST([{}] AS Array(String)) AS dims, currency, {SUMS} FROM imported_spend FINAL \
         WHERE started >= {} AND started < {}{tenant} \
         GROUP BY source, dims, currency ORDER BY source, dims, currency LIMIT {}",
        dims.join(", "),
        instant(request.period.start()),
        instant(request.period.end()),
        MAX_ROWS + 1
    ))
}

/// The day's date, from instants computed here: the store's own time zones are not asked.
fn day(period: &Period) -> Result<String, BillingError> {
    let days = period
        .days(MAX_DAYS)
        .ok_or(BillingError::TooManyDays(MAX_DAYS))?;
    let starts: Vec<_> = days.iter().map(|(at, _)| at.0.to_string()).collect();
    let dates: Vec<_> = days.iter().map(|(_, day)| format!("'{day}'")).collect();
    Ok(format!(
        "arrayElement([{}], arrayCount(x -> x <= toUnixTimestamp64Micro(started), [{}]))",
        dates.join(", "),
        starts.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_by_their_names_and_none_twice() {
        let names: Vec<_> = NAMES.split(", ").collect();
        let list = Column::parse_list(&names.join(",")).unwrap();
        assert_eq!(list, Column::ALL);
        let unknown = Column::parse_list("team").unwrap_err().to_string();
        assert!(
            unknown.contains("`team`") && unknown.contains(NAMES),
            "{unknown}"
        );
        assert_eq!(
            Column::parse_list("day,day"),
            Err(BadColumn::Twice(Column::Day))
        );
    }
}
