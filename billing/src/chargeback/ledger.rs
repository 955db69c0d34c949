//! A period's sums, read from the ledger: fast where the rows allow it, and each row once.
//!
//! Two queries see two moments. Rows that the first leaves to the second are marked by it, and the second says which it took: where
//! they are not the same, something was written between them, and both are asked again.

use std::time::Duration;

use schemas::PriceBook;
use schemas::rated::MAX_COUNTS;
use store::Client;

use crate::BillingError;
use crate::chargeback::Request;
use crate::chargeback::groups::{self, Group};
use crate::chargeback::plain::{self, Marks, Plain};
use crate::chargeback::sql::{self, Rows};

/// How long the store may take to add a period up.
const TIMEOUT: Duration = Duration::from_mins(5);
const TIMEOUT_SECONDS: &str = "290";
/// So often both queries are asked before all is read by the slow one.
const ATTEMPTS: usize = 2;

/// The sums of a period.
pub(super) async fn groups(
    client: &Client,
    request: &Request,
    book: &PriceBook,
) -> Result<Vec<Group>, BillingError> {
    for attempt in 0..ATTEMPTS {
        let counts = if attempt == 0 {
            Counts::OfTexts
        } else {
            Counts::All
        };
        let plain = match plain(client, request, book, (Marks::None, counts)).await? {
            Read::Whole(plain) => plain,
            Read::Changed => continue,
            Read::Unfit => break,
        };
        if plain.others.rows == 0 {
            return Ok(plain.groups);
        }
        // Mostly rows that an older version wrote: to pick them out costs more than to read them all.
        if plain.others.rows > plain.rows / 4 {
            break;
        }
        let marked = self::plain(client, request, book, (Marks::Given, Counts::All)).await?;
        let Read::Whole(mut marked) = marked else {
            continue;
        };
        let (more, taken) = slow(client, request, book, Rows::Unrated).await?;
        if taken == marked.others {
            marked.groups.extend(more);
            return few(marked.groups);
        }
    }
    let (groups, _) = slow(client, request, book, Rows::All).await?;
    few(groups)
}

fn few(groups: Vec<Group>) -> Result<Vec<Group>, BillingError> {
    if groups.len() > sql::MAX_GROUPS {
        return Err(BillingError::TooManyGroups(sql::MAX_GROUPS));
    }
    Ok(groups)
}

/// Which counts are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// Those that the texts have which are there before. One that comes in meanwhile spoils the answer.
    OfTexts,
    All,
}

/// What the fast way gives.
#[derive(Debug)]
enum Read {
    Whole(Plain),
    /// Something was written between two questions, or two texts have one hash.
    Changed,
    /// More groups, or more texts, than are given.
    Unfit,
}

/// What is asked for last has all that came in meanwhile.
async fn plain(
    client: &Client,
    request: &Request,
    book: &PriceBook,
    (marks, counts): (Marks, Counts),
) -> Result<Read, BillingError> {
    let by = plain::rated_texts(request);
    let before = match counts {
        Counts::OfTexts => Some(ask(client, &by.0, &by.1, "JSONEachRow").await?),
        Counts::All => None,
    };
    let most = match &before {
        Some(texts) => plain::most_counts(texts)?,
        None => MAX_COUNTS,
    };
    let sums = plain::sums(request, book, marks, most)?;
    let sums = ask(client, &sums.0, &sums.1, "JSONEachRow").await?;
    let rated = match before {
        Some(texts) => texts,
        None => ask(client, &by.0, &by.1, "JSONEachRow").await?,
    };
    let texts = match plain::texts(request)? {
        // The reader has bounds that more texts than groups may pass. A store that is away is found by the next question.
        Some(texts) => match ask(client, &texts.0, &texts.1, "JSONEachRow").await {
            Ok(texts) => texts,
            Err(error) => {
                tracing::info!(%error, "a report's texts are not given: it is made the slow way");
                return Ok(Read::Unfit);
            }
        },
        None => bytes::Bytes::new(),
    };
    Ok(match plain::read(&sums, [&rated, &texts], request)? {
        Some(plain) if plain.groups.len() > sql::MAX_GROUPS => Read::Unfit,
        Some(plain) => Read::Whole(plain),
        None => Read::Changed,
    })
}

async fn slow(
    client: &Client,
    request: &Request,
    book: &PriceBook,
    rows: Rows,
) -> Result<(Vec<Group>, plain::Others), BillingError> {
    let (text, bound) = sql::query(request, book, rows)?;
    let answer = ask(client, &text, &bound, "JSONEachRow").await?;
    groups::read(&answer)
}

/// Asks with the bounds of a report.
pub(super) async fn ask(
    client: &Client,
    text: &str,
    bound: &[String],
    format: &str,
) -> Result<bytes::Bytes, BillingError> {
    let mut query = client.query(text);
    for value in bound {
        query = query.bind(value.as_str());
    }
    let answer = query
        .timeout(TIMEOUT)
        .setting("max_execution_time", TIMEOUT_SECONDS)
        .setting("output_format_json_named_tuples_as_objects", "1")
        .setting("output_format_json_quote_64bit_integers", "0")
        // Rows that replace each other have one hour of receipt, so one month.
        .setting("do_not_merge_across_partitions_select_final", "1")
        .bytes(format)
        .await?;
    Ok(answer)
}
