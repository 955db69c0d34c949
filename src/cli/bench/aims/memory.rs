//! Memory of a gateway that was started for it: open streams in which nothing happens, and readers that are slow to take
//! long answers. Judging the figures must not live here.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use simulator::load::{LoadSettings, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::super::driver::{Driver, Void, float, millis};
use super::super::processes::Cores;
use super::super::stand::{PATIENT_MODEL, Plan, Stand};
use super::lines::IDLE_STREAMS;

/// Connections begin over this time: all at once would overflow what the kernel lets wait.
const OPENING: Duration = Duration::from_secs(4);
/// A stream is idle for so long after its first content.
const IDLE: Duration = Duration::from_secs(12);
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 20;
/// Files of a process beside two for each stream.
const OTHER_FILES: u64 = 400;
const READERS: u64 = 1_000;
const ANSWER_BYTES: u64 = 10_000_000;
/// What a slow reader takes before it pauses: more than all buffers on the way hold at first.
const SIP_BYTES: u64 = 1 << 20;
/// A reader's own buffer in the kernel.
const RECEIVE_BYTES: u32 = 32 << 10;
/// So many readers go on to the end while the others pause.
const FINISHERS: usize = 50;
const PATIENCE: Duration = Duration::from_mins(1);
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// How many streams the limits of this process, which its children inherit, allow.
pub fn allowed_streams(limit: u64) -> u64 {
    IDLE_STREAMS.min(limit.saturating_sub(OTHER_FILES) / 2)
}

/// Opens so many streams, looks, and lets them end. Gives the resident growth for each, in bytes.
pub async fn idle_streams(cores: Option<Cores>, streams: u64) -> anyhow::Result<f64> {
    let mut driver = Driver::new(Stand::start(cores, &Plan::default())?).await?;
    let (before_mib, _) = driver.resident()?;
    let settings = LoadSettings {
        connections: usize::try_from(streams)?,
        stop: Stop::Requests(streams),
        stream: true,
        include_usage: true,
        max_tokens: 4,
        order: Some(format!("stall_mid=1:{}", millis(OPENING + IDLE))),
        stagger_ms: millis(OPENING),
        ..driver.small(Duration::ZERO)
    };
    let load = driver.load("idle streams", settings);
    let (loaded, looked) = tokio::join!(load, held(&driver, streams));
    loaded?;
    let held_mib = looked?;
    driver.settle().await?;
    driver.prove().await?;
    driver.stop().await?;
    Ok((held_mib - before_mib) * BYTES_PER_MIB / float(streams))
}

/// Waits until all streams are open at once; the most resident of a second thereafter.
async fn held(driver: &Driver, streams: u64) -> anyhow::Result<f64> {
    let deadline = Instant::now() + OPENING + IDLE;
    while driver.metric("tollgate_open_requests").await? != Some(streams) {
        if Instant::now() > deadline {
            return Err(Void(format!("never {streams} streams open at once")).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut most = 0.0_f64;
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        most = most.max(driver.resident()?.0);
    }
    if driver.metric("tollgate_open_requests").await? != Some(streams) {
        return Err(Void("streams ended while they were looked at".to_owned()).into());
    }
    Ok(most)
}

/// The most resident, in MiB, with so many readers that pause within a long answer while some read on to its end.
pub async fn slow_readers(cores: Option<Cores>) -> anyhow::Result<f64> {
    let mut driver = Driver::new(Stand::start(cores, &Plan::default())?).await?;
    let mut sipping = JoinSet::new();
    for number in 0..READERS {
        let (address, request) = (driver.stand.gateway_address, long_answer(&driver, number));
        sipping.spawn(async move {
            let mut reader = Reader::begin(address, &request).await?;
            reader.read_to(SIP_BYTES).await?;
            anyhow::Ok(reader)
        });
    }
    driver.count(READERS);
    let mut pausing = all(sipping).await?;
    if driver.metric("tollgate_open_requests").await? != Some(READERS) {
        bail!(Void(format!("never {READERS} answers under way at once")));
    }
    let mut finishing = JoinSet::new();
    for mut reader in pausing.split_off(pausing.len() - FINISHERS) {
        finishing.spawn(async move {
            reader.read_to(u64::MAX).await?;
            anyhow::Ok(reader)
        });
    }
    for reader in all(finishing).await? {
        if reader.read_bytes < ANSWER_BYTES / 10 * 9 {
            bail!(Void(format!("an answer of {} bytes", reader.read_bytes)));
        }
    }
    let (_, most) = driver.resident()?;
    drop(pausing);
    driver.stop().await?;
    Ok(most)
}

async fn all(mut readers: JoinSet<anyhow::Result<Reader>>) -> anyhow::Result<Vec<Reader>> {
    let gather = async {
        let mut all = Vec::new();
        while let Some(reader) = readers.join_next().await {
            all.push(reader??);
        }
        Ok(all)
    };
    let gathered = tokio::time::timeout(PATIENCE, gather).await;
    gathered.context("VOID: readers were not answered in time")?
}

/// Every second one is a stream.
fn long_answer(driver: &Driver, number: u64) -> Vec<u8> {
    let body = json!({
        "model": PATIENT_MODEL,
        "messages": [{"role": "user", "content": "a long answer, please"}],
        "stream": number.is_multiple_of(2),
        "metadata": {"nonce": format!("slow-{number}"), "sim": format!("big={ANSWER_BYTES}")},
    })
    .to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        driver.stand.keys.written,
        body.len()
    );
    (head + &body).into_bytes()
}

/// An app that reads when it pleases.
struct Reader {
    stream: TcpStream,
    read_bytes: u64,
}

impl Reader {
    async fn begin(address: SocketAddr, request: &[u8]) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        let begun = async {
            let mut stream = socket.connect(address).await?;
            stream.write_all(request).await?;
            std::io::Result::Ok(stream)
        };
        let stream = begun.await.context("VOID: a slow reader's request")?;
        Ok(Self {
            stream,
            read_bytes: 0,
        })
    }

    /// Reads on until so many bytes have come, or to the end.
    async fn read_to(&mut self, bytes: u64) -> anyhow::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        while self.read_bytes < bytes {
            let read = self.stream.read(&mut buffer).await;
            let read = read.with_context(|| {
                format!(
                    "VOID: a slow reader's answer, after {} bytes",
                    self.read_bytes
                )
            })?;
            if read == 0 {
                break;
            }
            self.read_bytes += read as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_needs_two_files_of_the_gateway() {
        assert_eq!(allowed_streams(1_000_000), IDLE_STREAMS);
        assert_eq!(allowed_streams(1_400), 500);
        assert_eq!(allowed_streams(10), 0);
    }
}
