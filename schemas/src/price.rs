//! Prices: what one unit costs, for whom it holds and since when, and where that was read.
//!
//! A price file becomes a [`PriceBook`] or a list of all that is wrong with it; nothing in between. What must
//! not live here: files and their formats (billing reads them), and what a request costs (billing rates it).

mod book;
mod error;
mod instant;
mod row;

pub use book::{ANY_MODEL, PriceBook, Query};
pub use error::{PriceError, Problem};
pub use instant::{BadInstant, parse_instant};
pub use row::{Price, RawPrice};
