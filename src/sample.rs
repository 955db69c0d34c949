//! The sample: traffic of three tenants to the simulator, and what it costs. Everything of it is synthetic and on
//! no bill.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use rand::seq::IndexedRandom;
use runtime::shutdown::Shutdown;

use crate::config::Config;

/// The sample's keys: whoever reads the sample's configuration may use them, and they open nothing else.
pub const KEYS: &[&str] = &[
    "tg-sample-acme-search",
    "tg-sample-acme-support",
    "tg-sample-globex",
    "tg-sample-initech",
];
const MODELS: &[&str] = &["gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "chat-default"];
const PROMPTS: &[&str] = &[
    "Summarise the minutes of the last meeting in three sentences.",
    "Which invoices are overdue by more than thirty days?",
    "Translate the release notes into German.",
    "Draft a polite answer to the customer's complaint about the late delivery.",
];
/// Requests a second.
const RATE: u32 = 25;
/// How long the table waits for the last records.
const SETTLE: Duration = Duration::from_secs(20);

/// A provider for the sample.
pub fn start_simulator(listen: SocketAddr) -> std::io::Result<simulator::Simulator> {
    let mut config = simulator::Config {
        listen,
        ..simulator::Config::default()
    };
    config.settings.latency_ms = 30;
    config.settings.latency_jitter_ms = 60;
    config.settings.chunk_delay_ms = 4;
    config.settings.p_429 = 0.01;
    config.settings.p_500 = 0.005;
    simulator::Simulator::start(config)
}

/// Sends the traffic with a progress bar, prints the table, and says how to go on by hand.
pub async fn show(
    config: &Config,
    duration: Duration,
    running: &Arc<gateway::Running>,
    consumer: &Arc<Mutex<Option<consumer::Handle>>>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let url = format!("http://{}/v1/chat/completions", running.app_address());
    eprintln!(
        "sample: three tenants call the simulator through {url}; all of it is synthetic and on no bill"
    );
    send(&url, duration, shutdown).await?;
    if shutdown.is_asked() {
        return Ok(());
    }
    let end = journal_is_written(consumer).await;
    if !end {
        eprintln!("sample: the store is behind; the table below is not complete yet");
    }
    crate::cli::report::print_sample(config).await?;
    eprintln!("{}", how_to_go_on(running.app_address()));
    Ok(())
}

async fn send(url: &str, duration: Duration, shutdown: &Shutdown) -> anyhow::Result<()> {
    let total = u64::from(RATE) * duration.as_secs().max(1);
    let bar = ProgressBar::new(total).with_style(ProgressStyle::with_template(
        "sample traffic [{bar:32}] {pos}/{len} requests, {eta} left",
    )?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut requests = tokio::task::JoinSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    for number in 0..total {
        if shutdown
            .token()
            .run_until_cancelled(tick.tick())
            .await
            .is_none()
        {
            break;
        }
        requests.spawn(send_one(client.clone(), url.to_owned(), number));
        while requests.try_join_next().is_some() {}
        bar.inc(1);
    }
    while requests.join_next().await.is_some() {}
    bar.finish_and_clear();
    Ok(())
}

/// One request of the mix; how it ends is what the records are for.
async fn send_one(client: reqwest::Client, url: String, number: u64) {
    let pick = |list: &[&'static str]| list.choose(&mut rand::rng()).copied().unwrap_or_default();
    let body = serde_json::json!({
        "model": pick(MODELS),
        "stream": number.is_multiple_of(2),
        "max_tokens": 8 + number % 56,
        "messages": [{"role": "user", "content": pick(PROMPTS)}],
    });
    let key = if number.is_multiple_of(97) {
        "tg-nobody"
    } else {
        pick(KEYS)
    };
    let sent = client.post(&url).bearer_auth(key).json(&body).send().await;
    if let Ok(answer) = sent
        && !number.is_multiple_of(41)
    {
        drop(answer.bytes().await);
    }
}

/// Waits until the store has what the log has.
async fn journal_is_written(consumer: &Arc<Mutex<Option<consumer::Handle>>>) -> bool {
    let Some(mut status) = consumer.lock().as_ref().map(consumer::Handle::subscribe) else {
        return false;
    };
    // A batch still open ends after the linger; two beats later everything sent before is written.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let target = status.borrow().readable_end;
    let written = status.wait_for(|status| status.settled >= target);
    matches!(tokio::time::timeout(SETTLE, written).await, Ok(Ok(_)))
}

fn how_to_go_on(app: SocketAddr) -> String {
    let key = KEYS[0];
    format!(
        r#"
Serving on http://{app} until Ctrl-C. Call it:

  curl http://{app}/v1/chat/completions -H 'Authorization: Bearer {key}' \
    -H 'Content-Type: application/json' \
    -d '{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"Hello"}}]}}'

or from Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url="http://{app}/v1", api_key="{key}")
  print(client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "Hello"}}]))

and see what it cost:

  ./target/release/tollgate report chargeback --by tenant,project,model --synthetic only
"#
    )
}
