//! What a consumer shows to operators: `/livez`, `/readyz`, `/metrics`, `/partitions`, `/gaps`. Five short answers to GET need no framework.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use consumer::{Group, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A head is not read further than this.
const MAX_HEAD_BYTES: usize = 4 << 10;
/// Who is slower than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers until `stop`, one asker after the other.
pub async fn serve(listener: TcpListener, groups: Vec<Arc<Group>>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let _hung_up_or_slow =
                    tokio::time::timeout(PATIENCE, answer(stream, &groups)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the operators' door");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, groups: &[Arc<Group>]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    let (status, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/livez")) => ("200 OK", "ok\n".to_owned()),
        (Some("GET"), Some("/readyz")) => ready(groups),
        (Some("GET"), Some("/metrics")) => metrics(groups),
        (Some("GET"), Some("/partitions")) => (
            "200 OK",
            groups
                .first()
                .map_or_else(String::new, |group| partitions(group)),
        ),
        (Some("GET"), Some("/gaps")) => {
            let gaps = groups.first().map(|group| group.producers().json());
            ("200 OK", gaps.unwrap_or_default())
        }
        _ => ("404 Not Found", "not here\n".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// Well is who reads; a partition that stands still for a person is not.
fn ready(groups: &[Arc<Group>]) -> (&'static str, String) {
    let mut faults = String::new();
    for status in groups.iter().map(|group| group.status()) {
        for (partition, why) in status.halted() {
            faults.extend(["partition ", &partition.to_string(), ": ", why, "\n"]);
        }
        for finding in status.topics.iter().chain(&status.lives) {
            faults.extend([finding.as_str(), "\n"]);
        }
        if let Some(error) = status.last_error.filter(|_| status.partitions.is_empty()) {
            faults.extend([error.as_str(), "\n"]);
        }
    }
    if faults.is_empty() {
        ("200 OK", "ok\n".to_owned())
    } else {
        ("503 Service Unavailable", faults)
    }
}

fn metrics(groups: &[Arc<Group>]) -> (&'static str, String) {
    let mut text = String::new();
    let encoded = groups.iter().try_for_each(|group| {
        prometheus_client::encoding::text::encode_registry(&mut text, group.registry())
    });
    match encoded.and_then(|()| prometheus_client::encoding::text::encode_eof(&mut text)) {
        Ok(()) => ("200 OK", text),
        Err(error) => ("500 Internal Server Error", format!("{error}\n")),
    }
}

/// A line a partition: number, committed, settled, readable, what it does, alarms.
fn partitions(group: &Group) -> String {
    let mut text = String::new();
    for (partition, status) in group.status().partitions {
        let (committed, settled, end) = (status.committed, status.settled, status.readable_end);
        let state = state(&status.state);
        let is_news = |alarm: &&String| !state.contains(alarm.as_str());
        let alarms: String = status
            .alarms
            .iter()
            .filter(is_news)
            .fold(String::new(), |alarms, alarm| alarms + "; " + alarm);
        let line = writeln!(
            text,
            "{partition} {committed} {settled} {end} {state}{alarms}"
        );
        if line.is_err() {
            break;
        }
    }
    text
}

fn state(state: &State) -> String {
    match state {
        State::Starting => "starting".to_owned(),
        State::Running => "running".to_owned(),
        State::WaitingForStore => "waiting for the store".to_owned(),
        State::Ended => "ended".to_owned(),
        State::Halted(why) => format!("halted: {why}"),
    }
}
