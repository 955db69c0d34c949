//! Rows of `audit_log` as the store gives them in `RowBinary`, read in place.

use schemas::rows::{AuditRow, Columns};

use super::row_bytes::take_length;
use crate::BillingError;

/// One row, and its bytes as they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    /// The whole row.
    pub(super) whole: &'a [u8],
    pub(super) offset: i64,
    pub(super) fate: i8,
    pub(super) reason: &'a [u8],
    pub(super) producer: &'a [u8],
    pub(super) boot: &'a [u8],
    pub(super) number: Option<i64>,
    pub(super) leaf: [u8; 32],
    /// The record.
    pub(super) bytes: &'a [u8],
}

/// The columns to ask for.
pub(super) fn columns() -> String {
    AuditRow::COLUMNS.join(", ")
}

/// All rows of an answer.
pub(super) fn stored(answer: &[u8]) -> Result<Vec<Stored<'_>>, BillingError> {
    let mut rest = answer;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let row = row(&mut rest)
            .ok_or_else(|| BillingError::Answer("a row of audit_log ends too early".to_owned()))?;
        rows.push(row);
    }
    Ok(rows)
}

/// All texts of an answer of one column.
pub(super) fn texts(answer: &[u8]) -> Result<Vec<&[u8]>, BillingError> {
    let mut rest = answer;
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let text = text(&mut rest)
            .ok_or_else(|| BillingError::Answer("a text ends too early".to_owned()))?;
        texts.push(text);
    }
    Ok(texts)
}

fn row<'a>(rest: &mut &'a [u8]) -> Option<Stored<'a>> {
    let from = *rest;
    let _topic = text(rest)?;
    let _partition = fixed::<4>(rest)?;
    let offset = i64::from_le_bytes(fixed(rest)?);
    let fate = i8::from_le_bytes(fixed(rest)?);
    let reason = text(rest)?;
    let _event_id = fixed::<16>(rest)?;
    let _tenant = text(rest)?;
    let producer = text(rest)?;
    let boot = text(rest)?;
    let number = match fixed::<1>(rest)? {
        [0] => Some(i64::from_le_bytes(fixed(rest)?)),
        _ => None,
    };
    let _received = fixed::<8>(rest)?;
    let leaf = fixed(rest)?;
    let bytes = text(rest)?;
    let whole = &from[..from.len() - rest.len()];
    Some(Stored {
        whole,
        offset,
        fate,
        reason,
        producer,
        boot,
        number,
        leaf,
        bytes,
    })
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}
