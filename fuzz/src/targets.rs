//! The targets by name.

use crate::{boundary, dialects, document, form, query, record, request, stream};

/// Something that judges any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As `make fuzz TARGET=` and the folder of its findings name it.
    pub name: &'static str,
    check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "stream",
        check: stream::check,
    },
    Target {
        name: "document",
        check: document::check,
    },
    Target {
        name: "dialects",
        check: dialects::check,
    },
    Target {
        name: "request",
        check: request::check,
    },
    Target {
        name: "form",
        check: form::check,
    },
    Target {
        name: "boundary",
        check: boundary::check,
    },
    Target {
        name: "query",
        check: query::check,
    },
    Target {
        name: "record",
        check: record::check,
    },
];

impl Target {
    /// Judges these bytes.
    ///
    /// # Panics
    ///
    /// If the code under test panics, or gives what it must not give.
    pub fn check(&self, data: &[u8]) {
        (self.check)(data);
    }
}
