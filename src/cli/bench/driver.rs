//! Driving a stand: load through the gateway and past it, each request counted where it is sent; the provider's settings;
//! waiting until the store has every record. Which figures are taken must not live here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use simulator::load::{Load, LoadReport, LoadRequest, LoadSettings, Stop};
use store::Client;

use super::processes::{self, CpuByThread, cpu_ns, sum_ns};
use super::stand::{Stand, count_events};

/// How long the store may take to have all records of a measure.
const SETTLE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);
/// Between the engine's going on and the gateway's: an answer that was under way is there before its time is up.
const ENGINE_FIRST: Duration = Duration::from_millis(200);
const KIB_PER_MIB: f64 = 1024.0;

/// The run does not count.
#[derive(Debug, thiserror::Error)]
#[error("VOID: {0}; nothing was measured")]
pub struct Void(pub String);

/// A stand that serves, and everything sent to it.
#[derive(Debug)]
pub struct Driver {
    /// What is driven.
    pub stand: Stand,
    /// The engine's process.
    pub engine_pid: u32,
    /// How long the stand took to serve.
    pub ready_after: Duration,
    store: Client,
    http: reqwest::Client,
    /// Requests given to the gateway so far, warm-ups included.
    sent: Arc<AtomicU64>,
}

impl Driver {
    /// Waits until the stand serves.
    pub async fn new(mut stand: Stand) -> anyhow::Result<Self> {
        let (engine_pid, store) = stand.ready().await?;
        Ok(Self {
            ready_after: stand.started.elapsed(),
            stand,
            engine_pid,
            store,
            http: reqwest::Client::builder().no_proxy().build()?,
            sent: Arc::default(),
        })
    }

    /// Small requests in a closed loop over 64 connections, for so long.
    pub fn small(&self, window: Duration) -> LoadSettings {
        LoadSettings {
            url: self.stand.gateway_url.clone(),
            api_key: Some(self.stand.keys.written.clone()),
            connections: 64,
            stop: Stop::Millis(millis(window)),
            ..LoadSettings::default()
        }
    }

    /// Load through the gateway.
    pub async fn load(&self, name: &str, settings: LoadSettings) -> anyhow::Result<LoadReport> {
        run(name, settings, self.sent.clone()).await
    }

    /// The same with all keys of the stand's plan in turn, if it has any.
    pub async fn load_by_keys(
        &self,
        name: &str,
        settings: LoadSettings,
    ) -> anyhow::Result<LoadReport> {
        let keys = self.stand.keys.more.clone();
        if keys.is_empty() {
            return self.load(name, settings).await;
        }
        let key = move |index: u64| {
            let index = usize::try_from(index).unwrap_or(0) % keys.len();
            Some(keys[index].clone())
        };
        run_with_keys(name, settings, self.sent.clone(), key).await
    }

    /// Load past the gateway.
    pub async fn direct(&self, name: &str, settings: &LoadSettings) -> anyhow::Result<LoadReport> {
        let url = format!("{}/v1/chat/completions", self.stand.simulator_url);
        elsewhere(name, settings, url).await
    }

    /// So many requests were sent by other means than `load`.
    pub fn count(&self, requests: u64) {
        self.sent.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests given to the gateway so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// A counter or gauge of the gateway.
    pub async fn metric(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let answer = self.http.get(&self.stand.metrics_url).send().await?;
        Ok(metric(&answer.text().await?, name))
    }

    /// Waits until the consumer has committed a record for every request.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        let sent = self.sent();
        let deadline = Instant::now() + SETTLE;
        loop {
            let committed = self.metric("tollgate_consumer_events_total").await?;
            let committed = committed.unwrap_or(0);
            if committed == sent {
                return Ok(());
            }
            if committed > sent || Instant::now() > deadline {
                let found =
                    format!("{sent} requests, but {committed} records committed to the store");
                return Err(Void(found).into());
            }
            self.stand.check_running()?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Proves that the store has one completed record for every request.
    pub async fn prove(&self) -> anyhow::Result<()> {
        let sent = self.sent();
        let (rows, completed) = count_events(&self.store).await?;
        if (rows, completed) == (sent, sent) {
            return Ok(());
        }
        let found = format!(
            "{sent} requests, but {rows} records in the store, {completed} of them completed with the provider's figures"
        );
        Err(Void(found).into())
    }

    /// Changes settings of the provider.
    pub async fn control(&self, change: serde_json::Value) -> anyhow::Result<()> {
        let url = format!("{}/control", self.stand.simulator_url);
        let answer = self.http.post(url).json(&change).send().await?;
        answer
            .error_for_status()
            .context("the simulator refused a change of its settings")?;
        Ok(())
    }

    /// CPU time of the serving process so far.
    pub fn cpu(&self) -> anyhow::Result<CpuByThread> {
        cpu_ns(self.stand.gateway_pid())
    }

    /// CPU time of the engine's process so far, in nanoseconds.
    pub fn engine_ns(&self) -> anyhow::Result<u64> {
        Ok(sum_ns(&cpu_ns(self.engine_pid)?, ""))
    }

    /// Resident memory of the serving process in MiB: now, and the most there ever was.
    pub fn resident(&self) -> anyhow::Result<(f64, f64)> {
        let (now, most) = processes::resident_kib(self.stand.gateway_pid())?;
        if now == 0 {
            bail!("the serving process shows no memory");
        }
        Ok((float(now) / KIB_PER_MIB, float(most) / KIB_PER_MIB))
    }

    /// Gateway and engine stand still.
    pub fn freeze(&self) -> anyhow::Result<()> {
        processes::freeze(self.stand.gateway_pid()).context("the gateway")?;
        processes::freeze(self.engine_pid).context("the engine")
    }

    /// They go on.
    pub async fn thaw(&self) -> anyhow::Result<()> {
        processes::thaw(self.engine_pid).context("the engine")?;
        tokio::time::sleep(ENGINE_FIRST).await;
        processes::thaw(self.stand.gateway_pid()).context("the gateway")
    }

    /// Stops everything in order.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stand.stop().await
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Whatever stands still would not end. They may be gone already.
        drop(processes::thaw(self.engine_pid));
        drop(processes::thaw(self.stand.gateway_pid()));
    }
}

/// The same load at another address, without a key of the gateway's and without being counted.
pub async fn elsewhere(
    name: &str,
    settings: &LoadSettings,
    url: String,
) -> anyhow::Result<LoadReport> {
    let settings = LoadSettings {
        url,
        api_key: None,
        ..settings.clone()
    };
    run(name, settings, Arc::default()).await
}

/// One load run whose every request is counted where it is sent; void unless all are answered completely.
async fn run(
    name: &str,
    settings: LoadSettings,
    sent: Arc<AtomicU64>,
) -> anyhow::Result<LoadReport> {
    let key = settings.api_key.clone();
    run_with_keys(name, settings, sent, move |_| key.clone()).await
}

async fn run_with_keys(
    name: &str,
    settings: LoadSettings,
    sent: Arc<AtomicU64>,
    key: impl Fn(u64) -> Option<String> + Send + Sync + 'static,
) -> anyhow::Result<LoadReport> {
    // Made once: a load generator should cost less than what it measures.
    let body = settings.request(0).body;
    let wants_usage = !settings.stream || settings.include_usage;
    let load = Load::new(settings).with_requests(move |index| {
        sent.fetch_add(1, Ordering::Relaxed);
        LoadRequest {
            nonce: format!("bench-{index}"),
            api_key: key(index),
            body: body.clone(),
            hang_up: None,
        }
    });
    let report = load.run().await?.report;
    let expected_usage = if wants_usage { report.complete } else { 0 };
    if !report.is_clean() {
        let found = format!(
            "{name}: errors {:?}, {} never sent",
            report.errors, report.unsent
        );
        return Err(Void(found).into());
    }
    if report.with_usage != expected_usage {
        let found = format!(
            "{name}: {} answers showed usage, expected {expected_usage}",
            report.with_usage
        );
        return Err(Void(found).into());
    }
    Ok(report)
}

fn metric(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// Whole milliseconds of a time.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A count as a number to compute with.
#[expect(
    clippy::cast_precision_loss,
    reason = "measurements, read to three digits"
)]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\ntollgate_consumer_events_total 42\ntollgate_consumer_events_total_x 1\n";
        assert_eq!(metric(text, "tollgate_consumer_events_total"), Some(42));
        assert_eq!(metric(text, "tollgate_consumer_records_total"), None);
    }
}
