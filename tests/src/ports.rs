//! Ports for servers that keep their port over restarts: below those that the kernel hands out, so that no outgoing
//! connection can take one while its server is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback address that nobody listens on, given out once in this process.
///
/// # Panics
/// If there is none.
pub fn free_address() -> SocketAddr {
    // Processes begin at different places, so that they seldom ask for the same port.
    #[expect(clippy::cast_possible_truncation, reason = "below COUNT")]
    let start = (std::process::id() % u32::from(COUNT)) as u16;
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
