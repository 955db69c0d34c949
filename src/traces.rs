//! Sets up the traces of a serving process as `[telemetry]` says.

use gateway::trace::Tracer;
use runtime::config::{ConfigError, Loaded};
use runtime::otlp::{Exporter, Worker};

use crate::config::Config;

/// Our name in spans and resources.
const NAME: &str = "tollgate";

/// What traces requests, and the thread that sends their spans; `None` where nothing is to be traced.
pub fn start(loaded: &Loaded<Config>) -> anyhow::Result<Option<(Tracer, Worker)>> {
    let version = env!("CARGO_PKG_VERSION");
    let target = loaded
        .value
        .telemetry
        .target(&[("service.version", version)])
        .map_err(|bad| ConfigError::at(&loaded.path, &loaded.text, &bad.needle, bad.message))?;
    let Some(target) = target else {
        return Ok(None);
    };
    let ratio = target.sample_ratio;
    let (exporter, worker) = Exporter::start(target, (NAME, version))?;
    Ok(Some((Tracer::new(exporter, ratio), worker)))
}
