//! The log in Kafka, on a real broker: what the journal has synced is there, in order, as it was written, whatever dies.

mod away;
mod backlog;
mod compose;
mod deaths;
mod elsewhere;
mod generations;
mod order;
mod replaced;
mod replicated;
mod saved;
mod security;
mod stand;
mod surroundings;
mod topic;
mod topics;
