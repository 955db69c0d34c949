//! Chaos: a million requests (a hundred thousand in `make test`) over two gateways, three brokers and two consumers, while
//! everything that can die dies, again and again. The clients', the provider's and the store's books must agree in the end,
//! request by request. And all of Kafka away at once, for longer (`make outage`: ten minutes).

mod brokers;
mod consumers;
mod copies;
mod disk;
mod engine;
mod gateways;
mod judge;
mod load;
mod outage;
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

use crate::outage::Outage;
use crate::size::{BOUND, Size};

/// Each run needs the whole machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_changes_a_number() {
    let size = Size::from_environment();
    bounded(&size.again(), Box::pin(run::run(&size))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_broker_and_with_gateways_killed_no_charge_is_missing() {
    let outage = Outage::from_environment();
    bounded(&outage.again(), Box::pin(outage::run(&outage))).await;
}

async fn bounded(again: &str, run: impl Future<Output = Result<(), String>>) {
    let _alone = ALONE.lock().await;
    println!("chaos: {again}");
    // Built before time counts.
    println!("chaos: {} is tested", tests::tollgate().display());
    let running = tokio::time::timeout(BOUND, run);
    let ended = running
        .await
        .unwrap_or_else(|_| panic!("not done within {} minutes: {again}", BOUND.as_secs() / 60));
    if let Err(why) = ended {
        panic!("{why}\nthe same again: {again}");
    }
}
