//! Liveness, readiness and which providers answer: for balancers and operators, at the cost of no token.

use std::net::SocketAddr;

use serde_json::Value;
use tests::{Plan, Rig, eventually, free_address};
use tokio::net::TcpListener;

async fn start(provider: SocketAddr) -> Rig {
    let plan = Plan::default()
        .backend(
            "east",
            &format!("http://{provider}/v1"),
            "auth = \"none\"",
            &["gpt-4o"],
        )
        .tenant("acme", "", &[("k", "ready-app-key", "")]);
    Rig::start(plan).await
}

async fn get(rig: &Rig, path: &str) -> (u16, String) {
    let answer = rig.http().get(rig.ops_url(path)).send().await;
    let answer = answer.expect("the operators' door answers");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("the answer is whole"))
}

#[tokio::test(flavor = "multi_thread")]
async fn unready_while_no_provider_answers_and_ready_again_when_one_does() {
    let address = free_address();
    let provider = TcpListener::bind(address).await.expect("the port is free");
    let rig = start(address).await;
    assert_eq!(get(&rig, "/readyz").await.0, 200);

    drop(provider);
    let unready = async || Some(get(&rig, "/readyz").await).filter(|(status, _)| *status == 503);
    let (_, text) = eventually("unready without a provider", unready).await;
    assert!(text.contains("no provider"), "{text}");
    assert_eq!(get(&rig, "/livez").await.0, 200, "it lives all the same");
    let (_, backends) = get(&rig, "/backends").await;
    let backends: Value = serde_json::from_str(&backends).expect("JSON");
    assert_eq!(backends["east"], false);

    let _provider = TcpListener::bind(address).await.expect("the port is free");
    let ready = async || Some(get(&rig, "/readyz").await).filter(|(status, _)| *status == 200);
    eventually("ready with a provider", ready).await;
    // Only its door was tried: no request was made, and none is on record.
    assert!(rig.events().await.is_empty());
}
