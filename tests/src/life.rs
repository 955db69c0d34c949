//! A gateway in this process, over a file layer that a test controls: one life, from a start to a stop or a power cut.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway::config;
use journal::{FileLayer, Journal, OpenError};
use prometheus_client::registry::Registry;
use schemas::name::Text;
use schemas::{Clock, Micros, fs_names};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::http::App;
use crate::wait::eventually;

/// No task of a gateway may go on for longer when its runtime ends.
const RUNTIME_ENDS: Duration = Duration::from_secs(30);
const SEGMENT_BYTES: u64 = 1 << 20;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        Micros(runtime::clock::now_us())
    }
}

/// The gateway's sections of a configuration file; the others are for the program.
#[derive(Deserialize)]
struct Sections {
    gateway: config::Settings,
    deployments: Vec<config::Deployment>,
    routes: Vec<config::Route>,
    tenants: Vec<config::Tenant>,
}

/// One life of a gateway.
pub struct Life {
    /// Its journal.
    pub journal: Journal,
    /// Its lasting identity.
    pub producer: Text,
    running: gateway::Running,
    runtime: Runtime,
}

impl Life {
    /// Starts a gateway on the data directory, as soon as the last one has let go of it.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(config_text: &str, data_dir: &Path, layer: Arc<dyn FileLayer>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let prepared = eventually("the directory is free", async || {
            let mut registry = Registry::default();
            let start = start(config_text, data_dir, layer.clone());
            let preparing = async move { gateway::prepare(start, &mut registry).await };
            match runtime.spawn(preparing).await.expect("no panic") {
                Ok(prepared) => Some(prepared),
                Err(gateway::StartError::Journal(OpenError::Locked { .. })) => None,
                Err(error) => panic!("the gateway starts: {error}"),
            }
        })
        .await;
        let (journal, producer) = (prepared.journal(), prepared.producer());
        let serving = async move { prepared.serve(Arc::new(Registry::default())) };
        Self {
            journal,
            producer,
            running: runtime.spawn(serving).await.expect("no panic"),
            runtime,
        }
    }

    /// An app that calls it.
    pub fn app(&self) -> App {
        App::of(format!(
            "http://{}/v1/chat/completions",
            self.running.app_address()
        ))
    }

    /// Where `/readyz` is.
    pub fn ops_address(&self) -> SocketAddr {
        self.running.ops_address()
    }

    /// Ends it where it stands: nothing of it runs when this returns.
    ///
    /// # Panics
    /// If its runtime does not end.
    pub async fn end_abruptly(self) {
        drop((self.running, self.journal));
        let ending = move || self.runtime.shutdown_timeout(RUNTIME_ENDS);
        let ended = tokio::task::spawn_blocking(ending).await;
        ended.expect("a runtime ends");
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// If it does not stop.
    pub async fn stop(self) {
        let stopped = self.runtime.spawn(self.running.stop()).await;
        stopped.expect("no panic");
        // A poisoned journal says so; there is nothing left to close.
        drop(self.journal.close());
        drop(self.journal);
        let ending = move || self.runtime.shutdown_timeout(RUNTIME_ENDS);
        let ended = tokio::task::spawn_blocking(ending).await;
        ended.expect("a runtime ends");
    }
}

fn start(config_text: &str, data_dir: &Path, layer: Arc<dyn FileLayer>) -> gateway::Start {
    let sections: Sections = toml::from_str(config_text).expect("a configuration");
    let mut options = journal::Options::new(data_dir.join(fs_names::JOURNAL_DIR));
    options.segment_bytes = SEGMENT_BYTES;
    gateway::Start {
        config: config::Config {
            settings: sections.gateway,
            deployments: sections.deployments,
            routes: sections.routes,
            tenants: sections.tenants,
            kafka: None,
        },
        config_text: config_text.to_owned(),
        data_dir: data_dir.to_owned(),
        journal: options,
        layer,
        clock: Arc::new(SystemClock),
        tracer: None,
    }
}
