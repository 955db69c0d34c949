//! How each API is asked and how it answers: one file an API. The way of a request around that is in `call`.

mod chat;
mod choices;
mod completions;
mod embeddings;
mod form;
mod images;
mod member;
mod models;
mod moderations;
mod plan;
mod responses;
mod sound;
mod speech;
mod transcripts;

pub(crate) use plan::{Made, Plan, Request, make, read};
