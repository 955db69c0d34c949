//! How Kafka is reached and how we are let in: one set of settings for everybody who connects, as plain values.
//!
//! What must not live here: the client library, topics, what is sent or read.

mod connection;
mod pairs;
mod token;

pub use connection::{BadConnection, Connection, Sasl, SaslMechanism, Tls};
pub use pairs::Pairs;
pub use token::{BadToken, Token, TokenFile};
