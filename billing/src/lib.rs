//! Price book, rating, periods, reports, audit queries, exports.
