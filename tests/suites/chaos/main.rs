//! Chaos: a million requests (a hundred thousand in `make test`) over two gateways, three brokers and two consumers, while
//! everything that can die dies, again and again. The clients', the provider's and the store's books must agree in the end,
//! request by request.

mod brokers;
mod consumers;
mod copies;
mod disk;
mod engine;
mod gateways;
mod judge;
mod load;
mod pace;
mod patience;
mod process;
mod run;
mod settle;
mod size;
mod stack;
mod table;
mod tables;
mod truth;

use crate::size::{BOUND, Size};

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_changes_a_number() {
    let size = Size::from_environment();
    println!("chaos: {}", size.again());
    // Built before time counts.
    println!("chaos: {} is tested", tests::tollgate().display());
    let running = tokio::time::timeout(BOUND, Box::pin(run::run(&size)));
    let ended = running.await.unwrap_or_else(|_| {
        panic!(
            "not done within {} minutes: {}",
            BOUND.as_secs() / 60,
            size.again()
        )
    });
    if let Err(why) = ended {
        panic!("{why}\nthe same again: {}", size.again());
    }
}
