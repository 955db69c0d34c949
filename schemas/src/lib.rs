//! Events, ids, units, money, the cut rule, prices, topics and rows: pure, no async, no I/O.
