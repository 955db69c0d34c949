//! The end of a run: everything is well again, nothing is open, the gateways end in order, and the store has what was published.

use std::time::{Duration, Instant};

use store::Client;
use tests::{command, partitions};

use crate::patience::eventually;
use crate::stack::{PARTITIONS, Stack};

/// How often completeness is asked for, and for how long: of a large run each answer takes a minute.
const ASK_EVERY: Duration = Duration::from_secs(3);
const ASK_FOR: Duration = Duration::from_mins(4);

/// Waits until nothing moves any more; gives a client of the store.
pub async fn settle(stack: &mut Stack) -> Client {
    stack.well().await;
    for gateway in &stack.gateways {
        eventually("no request is open, and Kafka has everything", async || {
            let open = gateway.metric("open_requests").await?;
            let drains = gateway.metric("drains").await?;
            (open + drains < 0.5).then_some(())
        })
        .await;
        drained(gateway).await;
    }
    for gateway in &mut stack.gateways {
        gateway.process.end().await;
    }
    let client = stack.engine.client().await;
    eventually("the store has everything", async || {
        let mut at = std::collections::BTreeMap::new();
        for member in &stack.members {
            at.extend(partitions(member.ops).await);
        }
        let is_done = at.values().all(|at| at.committed == at.readable);
        (is_done && at.len() == PARTITIONS).then_some(())
    })
    .await;
    client
}

/// Signs of life go on; after as many acknowledgements as were missing, all that lay before them is there.
async fn drained(gateway: &crate::stack::Gateway) {
    let (lag, acked) = eventually("a gateway says how far Kafka is", async || {
        let lag = gateway.metric("publisher_lag_positions").await?;
        Some((lag, gateway.metric("publisher_acked_total").await?))
    })
    .await;
    eventually("Kafka has what the journal has", async || {
        (gateway.metric("publisher_publishing").await? > 0.0).then_some(())?;
        let idle = gateway.metric("publisher_lag_positions").await? < 1.0;
        let passed = gateway.metric("publisher_acked_total").await? >= acked + lag.max(1.0);
        (idle || passed).then_some(())
    })
    .await;
}

/// Waits until `tollgate audit completeness` is green: the last claims may be on their way. Gives what it says in the end.
pub async fn completeness(stack: &Stack) -> Result<String, String> {
    let config = &stack.members[0].config;
    let mut tick = tokio::time::interval(ASK_EVERY);
    let began = Instant::now();
    loop {
        tick.tick().await;
        let ended = command::run(&["audit", "completeness"], config).await;
        let said = ended.out + &ended.err;
        if ended.code == Some(0) {
            return Ok(said);
        }
        if began.elapsed() > ASK_FOR {
            return Err(said);
        }
    }
}
