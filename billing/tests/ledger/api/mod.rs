//! The HTTP API over the real engine, by its router: the same figures as everywhere, for whom they are meant.

mod answers;
mod bounds;
mod description;
mod door;
mod replaced;
mod tenants;
