//! Ports for servers that keep their port over restarts: below those that the kernel hands out, so that no outgoing
//! connection can take one while its server is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;
/// What lies between the beginnings of two processes with numbers one after the other; it has no divisor in common with COUNT.
const APART: u64 = 7_919;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback address that nobody listens on, given out once in this process.
///
/// # Panics
/// If there is none.
pub fn free_address() -> SocketAddr {
    // Processes begin at different places, far apart for those that start one after the other, so that they seldom ask for the
    // same port.
    let start = u64::from(std::process::id()) * APART % u64::from(COUNT);
    let start = u16::try_from(start).expect("below COUNT");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(7, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}
