//! A column of a block while rows are added to it, by its type in the table.

use clickhouse::native::DataTypeNode as Kind;

use super::dictionary::Dictionary;
use super::out::{Out, put_text};

/// About so long are the pieces of a column of texts.
const PIECE_BYTES: usize = 256 << 10;

/// What a value of fixed width is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Bytes, one by one.
    Bytes,
    /// Two halves of eight bytes.
    Halves,
}

/// Values so far.
#[derive(Debug)]
pub(super) enum Column {
    Fixed {
        family: Family,
        width: usize,
        bytes: Vec<u8>,
    },
    /// Numbers that stand for names: none but those that the type lists, for the engine takes any as it is.
    Names {
        listed: Vec<i8>,
        numbers: Vec<u8>,
    },
    Text(Texts),
    Nullable {
        nulls: Vec<u8>,
        values: Box<Column>,
    },
    FewTexts(Dictionary),
    List {
        /// Where each ends.
        ends: Vec<u64>,
        items: Box<Column>,
    },
    Map {
        ends: Vec<u64>,
        /// Keys and values.
        pair: Box<(Column, Column)>,
    },
}

impl Column {
    /// An empty column of a type; `None` for one that nothing here is written to.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        let fixed = |family, width| Self::Fixed {
            family,
            width,
            bytes: Vec::new(),
        };
        Some(match kind {
            Kind::Bool => fixed(Family::Bool, 1),
            Kind::Int8 => fixed(Family::Signed, 1),
            Kind::Int16 => fixed(Family::Signed, 2),
            Kind::Int32 => fixed(Family::Signed, 4),
            Kind::Int64 => fixed(Family::Signed, 8),
            // Times are microseconds here: those of another precision would be other times.
            Kind::DateTime64(precision, _) if precision.to_string() == "6" => {
                fixed(Family::Signed, 8)
            }
            // Money has 18 places, imported money 27.
            Kind::Int128 | Kind::Decimal(38, 18 | 27, _) => fixed(Family::Signed, 16),
            Kind::UInt8 => fixed(Family::Unsigned, 1),
            Kind::UInt16 => fixed(Family::Unsigned, 2),
            Kind::UInt32 | Kind::DateTime(_) => fixed(Family::Unsigned, 4),
            Kind::UInt64 => fixed(Family::Unsigned, 8),
            Kind::Float64 => fixed(Family::Float, 8),
            Kind::FixedString(width) => fixed(Family::Bytes, *width),
            Kind::UUID => fixed(Family::Halves, 16),
            Kind::Enum(_, names) => Self::Names {
                listed: listed(names.keys())?,
                numbers: Vec::new(),
            },
            Kind::String => Self::Text(Texts::default()),
            Kind::Nullable(inner) => Self::Nullable {
                nulls: Vec::new(),
                values: Box::new(Self::of(inner)?),
            },
            Kind::LowCardinality(inner) => match &**inner {
                Kind::String => Self::FewTexts(Dictionary::new(false)),
                Kind::Nullable(text) if **text == Kind::String => {
                    Self::FewTexts(Dictionary::new(true))
                }
                _ => return None,
            },
            Kind::Array(inner) => Self::List {
                ends: Vec::new(),
                items: Box::new(Self::of(inner)?),
            },
            Kind::Map([key, value]) => Self::Map {
                ends: Vec::new(),
                pair: Box::new((Self::of(key)?, Self::of(value)?)),
            },
            _ => return None,
        })
    }

    /// Stands where there is no value.
    pub(super) fn push_placeholder(&mut self) {
        match self {
            Self::Fixed { width, bytes, .. } => bytes.resize(bytes.len() + *width, 0),
            Self::Names { numbers, .. } => numbers.push(0),
            Self::Text(texts) => texts.push(b""),
            Self::Nullable { nulls, values } => {
                nulls.push(1);
                values.push_placeholder();
            }
            Self::FewTexts(texts) => texts.push(b""),
            Self::List { ends, .. } | Self::Map { ends, .. } => {
                ends.push(ends.last().copied().unwrap_or(0));
            }
        }
    }

    /// What stands before a column's values, of all its parts.
    pub(super) fn prefix(&self, out: &mut Out) {
        match self {
            Self::Fixed { .. } | Self::Names { .. } | Self::Text(_) => {}
            Self::FewTexts(_) => Dictionary::prefix(out),
            Self::Nullable { values, .. } => values.prefix(out),
            Self::List { items, .. } => items.prefix(out),
            Self::Map { pair, .. } => {
                pair.0.prefix(out);
                pair.1.prefix(out);
            }
        }
    }

    /// Its values.
    pub(super) fn encode(self, out: &mut Out) {
        match self {
            Self::Fixed { bytes, .. } => out.give(bytes),
            Self::Names { numbers, .. } => out.give(numbers),
            Self::Text(texts) => texts.encode(out),
            Self::FewTexts(texts) => texts.encode(out),
            Self::Nullable { nulls, values } => {
                out.give(nulls);
                values.encode(out);
            }
            Self::List { ends, items } => {
                give_numbers(&ends, out);
                items.encode(out);
            }
            Self::Map { ends, pair } => {
                give_numbers(&ends, out);
                pair.0.encode(out);
                pair.1.encode(out);
            }
        }
    }
}

/// Texts, each behind its length, in pieces: what has grown long is not moved again.
#[derive(Debug, Default)]
pub(super) struct Texts {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        if self.last.len() + text.len() > PIECE_BYTES && !self.last.is_empty() {
            let next = Vec::with_capacity(PIECE_BYTES);
            self.full.push(std::mem::replace(&mut self.last, next));
        }
        put_text(&mut self.last, text);
    }

    fn encode(self, out: &mut Out) {
        for piece in self.full.into_iter().chain([self.last]) {
            out.give(piece);
        }
    }
}

fn give_numbers(numbers: &[u64], out: &mut Out) {
    out.give(numbers.iter().flat_map(|end| end.to_le_bytes()).collect());
}

/// The numbers that a type lists; `None` where one needs more than a byte.
fn listed<'a>(numbers: impl Iterator<Item = &'a i16>) -> Option<Vec<i8>> {
    numbers.map(|number| i8::try_from(*number).ok()).collect()
}
