//! Prices: what one unit costs, for whom it holds and since when, and where that was read.
//!
//! A price file becomes a [`PriceBook`] or a list of all that is wrong with it; nothing in between. What must
//! not live here: files and their formats (billing reads them), and what a request costs (billing rates it).

mod alias;
mod book;
mod build;
mod calendar;
mod entry;
mod error;
mod hours;
mod instant;
mod parse;
mod raw;
mod row;
mod sku;
mod timeline;
mod uplift;

pub use alias::Alias;
pub use book::{ANY_MODEL, Interval, PriceBook, Priced, Query};
pub use entry::{Entry, Item};
pub use error::{PriceError, Problem};
pub use hours::{Holiday, HourBand, When};
pub use instant::{BadInstant, parse_instant};
pub use parse::Origin;
pub use raw::{Kind, RawPrice};
pub use row::Price;
pub use uplift::{Uplift, UpliftUnit};
