//! A model of a whole group: brokers, members, a store, and whatever can go wrong between them, drawn from a seed. It runs our worker
//! and four weaker algorithms through the same faults. Tests only.

mod dice;
mod ours;
mod store;
mod tests;
mod weaker;
mod world;
