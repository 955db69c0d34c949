//! One client connection: HTTP/1.1 by hand, because a load generator should cost less than what it measures.

use std::io;
use std::net::SocketAddr;

use http::Uri;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::chunked::Chunked;
use super::client_log::Seen;
use super::observe::Observed;
use super::settings::LoadRequest;

const MAX_HEAD_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// Where a client hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangUp {
    /// With half of the request sent.
    DuringUpload,
    /// With the request sent, without waiting for anything.
    AfterSend,
    /// With the head of the answer.
    AfterHead,
    /// After so many events of a stream.
    AfterEvents(u64),
    /// With the usage figures.
    AfterUsage,
    /// With `[DONE]`, before the end of the body.
    AfterDone,
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    addr: SocketAddr,
    host: String,
    path: String,
}

impl Target {
    /// Reads a URL and looks its host up once.
    pub(super) async fn resolve(url: &str) -> io::Result<Self> {
        let wrong = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("url `{url}`: {what}"))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("cannot be read"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("must begin with http://"));
        }
        let host = uri
            .authority()
            .ok_or_else(|| wrong("names no host"))?
            .to_string();
        let port = uri.port_u16().unwrap_or(80);
        let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let addr = tokio::net::lookup_host((name, port))
            .await?
            .next()
            .ok_or_else(|| wrong("host has no address"))?;
        let path = uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { addr, host, path })
    }

    fn render(&self, request: &LoadRequest, out: &mut Vec<u8>) {
        let authorization = request
            .api_key
            .as_ref()
            .map(|key| format!("authorization: Bearer {key}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\n{authorization}x-client-request-id: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.path,
            self.host,
            request.nonce,
            request.body.len()
        );
        out.clear();
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&request.body);
    }
}

/// How an exchange went, as far as it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) seen: Seen,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

#[derive(Debug)]
struct Head {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    is_stream: bool,
}

/// A client with one connection, opened when it is needed.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    stream: Option<TcpStream>,
    out: Vec<u8>,
    input: Vec<u8>,
    pub(super) observed: Observed,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        let observed = Observed::default();
        Self {
            target,
            stream: None,
            out: Vec::new(),
            input: Vec::with_capacity(READ_BYTES),
            observed,
            bytes_out: 0,
            bytes_in: 0,
        }
    }

    /// The connection is of no further use.
    pub(super) fn disconnect(&mut self) {
        self.stream = None;
        self.input.clear();
    }

    /// Sends a request and reads its answer. Never sends anything twice.
    pub(super) async fn exchange(&mut self, request: &LoadRequest) -> Exchange {
        self.observed.reset();
        let mut status = 0;
        let seen = match self.try_exchange(request, &mut status).await {
            Ok(seen) => seen,
            Err(seen) => {
                self.disconnect();
                seen
            }
        };
        Exchange { status, seen }
    }

    async fn try_exchange(
        &mut self,
        request: &LoadRequest,
        status: &mut u16,
    ) -> Result<Seen, Seen> {
        self.connect().await.map_err(|_| Seen::NotConnected)?;
        self.target.render(request, &mut self.out);
        self.send(request.hang_up).await?;
        let head = self.read_head().await?;
        *status = head.status;
        self.observed.is_stream = head.is_stream;
        if request.hang_up == Some(HangUp::AfterHead) {
            return Err(Seen::HungUp);
        }
        self.read_body(head.framing, request.hang_up).await?;
        if !head.keep_alive {
            self.disconnect();
        }
        Ok(self.verdict(head.status))
    }

    fn verdict(&self, status: u16) -> Seen {
        match status {
            200 if self.observed.error_event => Seen::ErrorEvent,
            200 if self.observed.done => Seen::Complete,
            200 => Seen::Cut,
            _ => Seen::HttpError,
        }
    }

    /// Opens a connection, unless there is one that the other side has left open.
    async fn connect(&mut self) -> io::Result<()> {
        if let Some(stream) = &self.stream {
            let idle = self.input.is_empty()
                && matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if idle {
                return Ok(());
            }
            self.disconnect();
        }
        let stream = TcpStream::connect(self.target.addr).await?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn send(&mut self, hang_up: Option<HangUp>) -> Result<(), Seen> {
        let stream = self.stream.as_mut().ok_or(Seen::NotConnected)?;
        let len = if hang_up == Some(HangUp::DuringUpload) {
            self.out.len() / 2
        } else {
            self.out.len()
        };
        stream
            .write_all(&self.out[..len])
            .await
            .map_err(|_| Seen::NoAnswer)?;
        self.bytes_out += len as u64;
        match hang_up {
            Some(HangUp::DuringUpload | HangUp::AfterSend) => Err(Seen::HungUp),
            _ => Ok(()),
        }
    }

    async fn read_head(&mut self) -> Result<Head, Seen> {
        loop {
            if let Some(end) = memmem::find(&self.input, b"\r\n\r\n") {
                let head = parse_head(&self.input[..end]).ok_or(Seen::BadAnswer)?;
                self.input.drain(..end + 4);
                if head.status >= 200 {
                    return Ok(head);
                }
            } else if self.input.len() > MAX_HEAD_BYTES {
                return Err(Seen::BadAnswer);
            } else if self.fill().await.map_err(|_| Seen::NoAnswer)? == 0 {
                return Err(Seen::NoAnswer);
            }
        }
    }

    async fn read_body(
        &mut self,
        mut framing: Framing,
        hang_up: Option<HangUp>,
    ) -> Result<(), Seen> {
        loop {
            let over = self.take_body(&mut framing).map_err(|()| Seen::BadAnswer)?;
            if hang_up.is_some_and(|at| self.hangs_up(at)) {
                return Err(Seen::HungUp);
            }
            if over {
                self.observed.end();
                return Ok(());
            }
            if self.fill().await.map_err(|_| Seen::Cut)? == 0 {
                if !matches!(framing, Framing::UntilClose) {
                    return Err(Seen::Cut);
                }
                self.observed.end();
                return Ok(());
            }
        }
    }

    fn hangs_up(&self, at: HangUp) -> bool {
        match at {
            HangUp::AfterEvents(events) => self.observed.events >= events,
            HangUp::AfterUsage => self.observed.usage.is_some(),
            HangUp::AfterDone => self.observed.done,
            HangUp::DuringUpload | HangUp::AfterSend | HangUp::AfterHead => false,
        }
    }

    /// Hands what has been read to the observer; says whether the body is over.
    fn take_body(&mut self, framing: &mut Framing) -> Result<bool, ()> {
        let observed = &mut self.observed;
        let (used, over) = match framing {
            Framing::Length(left) => {
                let len = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(self.input.len());
                observed.data(&self.input[..len]);
                *left -= len as u64;
                (len, *left == 0)
            }
            Framing::Chunked(decoder) => {
                let used = decoder
                    .feed(&self.input, |data| observed.data(data))
                    .map_err(|_| ())?;
                (used, decoder.is_done())
            }
            Framing::UntilClose => {
                observed.data(&self.input);
                (self.input.len(), false)
            }
        };
        self.input.drain(..used);
        Ok(over)
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.input.reserve(READ_BYTES / 4);
        let read = stream.read_buf(&mut self.input).await?;
        self.bytes_in += read as u64;
        Ok(read)
    }
}

fn parse_head(head: &[u8]) -> Option<Head> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .get(2..5)?
        .parse()
        .ok()?;
    let mut parsed = Head {
        status,
        framing: Framing::UntilClose,
        keep_alive: true,
        is_stream: false,
    };
    if matches!(status, 204 | 304) {
        parsed.framing = Framing::Length(0);
    }
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => parsed.framing = Framing::Length(value.parse().ok()?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                parsed.framing = Framing::Chunked(Chunked::new());
            }
            "connection" => parsed.keep_alive = !value.eq_ignore_ascii_case("close"),
            "content-type" => parsed.is_stream = value.starts_with("text/event-stream"),
            _ => {}
        }
    }
    Some(parsed)
}
