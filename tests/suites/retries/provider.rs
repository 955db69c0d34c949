//! A provider that fails as a test says and remembers what it was sent, by its length and digest.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it does with one call of a request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Reads all of it and answers with this status.
    Answer(u16),
    /// Reads so many bytes of its body and answers with this status; then takes no more than comes by itself.
    Early(usize, u16),
}

/// A body as it was read: whether to its end, its length and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub request: String,
    pub whole: bool,
    pub bytes: usize,
    pub sha256: String,
}

/// The provider. Ends when dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Body>>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Known(Mutex<HashMap<String, usize>>);

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","model":"gpt-4o-mini","created":1,"data":[{"b64_json":"eA=="}],"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"input_tokens":5,"output_tokens":1}}"#;

impl Provider {
    /// Starts one. The first call of a request meets the first act, and so on; the last one stays.
    pub async fn start(acts: Vec<Act>) -> Self {
        Self::listen(tests::free_address(), acts).await
    }

    /// The same at this address.
    pub async fn listen(address: SocketAddr, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (acts, known, kept) = (Arc::new(acts), Arc::new(Known::default()), bodies.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut running = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, known, kept) = (acts.clone(), known.clone(), kept.clone());
                running.spawn(async move {
                    if let Some(body) = serve(stream, &acts, &known).await {
                        kept.lock().push(body);
                    }
                });
            }
        });
        Self {
            address,
            bodies,
            _serving: serving,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All bodies, in the order in which they ended.
    pub fn bodies(&self) -> Vec<Body> {
        self.bodies.lock().clone()
    }
}

/// Serves one call, on a connection of its own; nothing for a connection without one.
async fn serve(mut stream: TcpStream, acts: &[Act], known: &Known) -> Option<Body> {
    let (head, rest) = read_head(&mut stream).await?;
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let request = field("x-client-request-id:")?;
    let made = {
        let mut known = known.0.lock();
        let made = known.entry(request.clone()).or_insert(0);
        *made += 1;
        *made - 1
    };
    let act = acts[made.min(acts.len() - 1)];
    let length: usize = field("content-length:")?.parse().ok()?;
    let mut body = Reading {
        stream,
        length,
        read: rest.len(),
        hash: Sha256::new_with_prefix(&rest),
    };
    let (until, status) = match act {
        Act::Answer(status) => (length, status),
        Act::Early(bytes, status) => (bytes, status),
    };
    body.read_to(until).await;
    let text = if status == 200 {
        ANSWER
    } else {
        r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nretry-after-ms: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    // A gateway that has given the call up is gone.
    drop(body.stream.write_all(answer.as_bytes()).await);
    drop(body.stream.shutdown().await);
    body.read_to(length).await;
    Some(Body {
        request,
        whole: body.read == length,
        bytes: body.read,
        sha256: hex::encode(body.hash.finalize()),
    })
}

struct Reading {
    stream: TcpStream,
    length: usize,
    read: usize,
    hash: Sha256,
}

impl Reading {
    async fn read_to(&mut self, until: usize) {
        let mut piece = vec![0; 64 << 10];
        while self.read < until.min(self.length) {
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    self.hash.update(&piece[..count]);
                    self.read += count;
                }
            }
        }
    }
}

/// The head in lower case, and what came after it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut came = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let end = came.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let rest = came.split_off(end + 4);
            let head = String::from_utf8_lossy(&came).to_ascii_lowercase();
            return Some((head, rest));
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => came.extend_from_slice(&piece[..count]),
        }
    }
}
