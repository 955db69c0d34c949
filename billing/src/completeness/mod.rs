//! Whether a period is whole: what producers claimed against what the store holds, and whether anything in it was changed.
//!
//! Two verdicts that are never mixed. *Completeness* compares numbers: every number that a start of a gateway claimed is
//! there, the tail included. *Integrity* compares bytes: nothing that is there was changed. Which numbers belong to a
//! period is defined in `claims`; `docs/completeness.md` says it in words. What must not live here: prices, printing.

mod bytes;
mod check;
mod claims;
mod dead_letters;
mod dense;
mod judge;
mod merkle;
mod model;
mod numbers;
mod places;
mod read;
mod row_bytes;
mod rows;
mod seen;
mod unclaimed;

pub use check::{AsOf, Request, check, quick};
pub use merkle::Tree;
pub use model::{
    BootReport, Completeness, DeadLetter, DeclaredLoss, Finding, HeldUp, Integrity,
    PartitionReport, Quick, Range, Report, State, Verdict, Verdicts,
};
