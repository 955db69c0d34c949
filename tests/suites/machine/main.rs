//! Suites of one machine that are a file each: one program, because linking a program for each takes longer than running it. What
//! needs the machine for itself has a program of its own.

#[path = "../completeness.rs"]
mod completeness;
#[path = "../contracts.rs"]
mod contracts;
#[path = "../corpus.rs"]
mod corpus;
#[path = "../documents.rs"]
mod documents;
#[path = "../power_cut.rs"]
mod power_cut;
#[path = "../producers.rs"]
mod producers;
#[path = "../ready.rs"]
mod ready;
#[path = "../reload.rs"]
mod reload;
#[path = "../replay.rs"]
mod replay;
#[path = "../restored.rs"]
mod restored;
#[path = "../shutdown.rs"]
mod shutdown;
#[path = "../synced_answers.rs"]
mod synced_answers;
#[path = "../tls.rs"]
mod tls;
#[path = "../trace.rs"]
mod trace;
