//! What a consumer shows to operators: `/livez`, `/readyz`, `/metrics`, `/partitions`. Four short answers to GET need no framework.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use consumer::Group;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A head is not read further than this.
const MAX_HEAD_BYTES: usize = 4 << 10;
/// Who is slower than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers until `stop`, one asker after the other.
pub async fn serve(listener: TcpListener, group: Arc<Group>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let _hung_up_or_slow = tokio::time::timeout(PATIENCE, answer(stream, &group)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the operators' door");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, group: &Group) -> std::io::Result<()> {
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
        (Some("GET"), Some("/readyz")) => ready(group),
        (Some("GET"), Some("/metrics")) => metrics(group),
        (Some("GET"), Some("/partitions")) => ("200 OK", partitions(group)),
        _ => ("404 Not Found", "not here\n".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// Well is who reads; a partition that stands still for a person is not.
fn ready(group: &Group) -> (&'static str, String) {
    let status = group.status();
    let halted: Vec<String> = status
        .halted()
        .map(|(partition, why)| format!("partition {partition}: {why}\n"))
        .collect();
    if !halted.is_empty() {
        return ("503 Service Unavailable", halted.concat());
    }
    match status.last_error {
        Some(error) if status.partitions.is_empty() => {
            ("503 Service Unavailable", format!("{error}\n"))
        }
        _ => ("200 OK", "ok\n".to_owned()),
    }
}

fn metrics(group: &Group) -> (&'static str, String) {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, group.registry()) {
        Ok(()) => ("200 OK", text),
        Err(error) => ("500 Internal Server Error", format!("{error}\n")),
    }
}

/// A line a partition: number, committed, settled, readable, alarms.
fn partitions(group: &Group) -> String {
    let mut text = String::new();
    for (partition, status) in group.status().partitions {
        let (committed, settled, end) = (status.committed, status.settled, status.readable_end);
        let alarms = status.alarms.join("; ");
        let line = writeln!(text, "{partition} {committed} {settled} {end} {alarms}");
        if line.is_err() {
            break;
        }
    }
    text
}
