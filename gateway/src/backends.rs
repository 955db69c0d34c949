//! Whether a provider's door answers: a TCP connection every few seconds, which costs no token.
//!
//! It informs readiness and operators; no request is refused for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use parking_lot::RwLock;
use schemas::name::Text;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);

/// What was last seen of each backend's door.
#[derive(Debug, Default)]
pub struct Backends {
    reachable: RwLock<BTreeMap<Text, bool>>,
}

impl Backends {
    /// Whether every backend was tried and none answered.
    pub fn none_answers(&self) -> bool {
        let reachable = self.reachable.read();
        !reachable.is_empty() && reachable.values().all(|answers| !answers)
    }

    /// Name and last answer of each.
    pub fn all(&self) -> BTreeMap<Text, bool> {
        self.reachable.read().clone()
    }
}

/// Tries every backend of the configuration in force, until `stop`.
pub async fn watch(gate: Arc<Gate>, stop: CancellationToken) {
    while stop.run_until_cancelled(try_all(&gate)).await.is_some() {
        if stop
            .run_until_cancelled(tokio::time::sleep(EVERY))
            .await
            .is_none()
        {
            return;
        }
    }
}

async fn try_all(gate: &Gate) {
    let mut tries = JoinSet::new();
    let snapshot = gate.snapshot.load_full();
    let doors: BTreeMap<Text, Uri> = snapshot
        .backends()
        .map(|backend| (backend.id.clone(), backend.door.clone()))
        .collect();
    for (id, url) in doors {
        tries.spawn(async move { (id, answers(&url).await) });
    }
    let seen: BTreeMap<Text, bool> = tries.join_all().await.into_iter().collect();
    let before = std::mem::replace(&mut *gate.backends.reachable.write(), seen.clone());
    for (id, answers) in seen {
        if before.get(&id).is_some_and(|then| *then != answers) {
            tracing::warn!(
                deployment = id.as_str(),
                answers,
                "a provider's door changed"
            );
        }
    }
}

async fn answers(url: &Uri) -> bool {
    let Some(host) = url.host() else {
        return false;
    };
    let usual = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let port = url.port_u16().unwrap_or(usual);
    let host = host.trim_matches(['[', ']']);
    let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect((host, port)));
    matches!(connecting.await, Ok(Ok(_)))
}
