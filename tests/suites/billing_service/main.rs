//! The billing API as it runs: the real binary beside a gateway and alone, the real engine, traffic through the gateway to
//! the simulator, and a client that knows nothing but HTTP.

mod document;
mod figures;
mod life;
mod stand;
