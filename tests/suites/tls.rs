//! Providers behind TLS: a certificate that the system trusts is taken and the call is metered; another one is refused
//! before the credential leaves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tests::{Plan, Rig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const KEY: &str = "tls-app-key";

/// A TLS door before a provider that is known later.
struct Door {
    address: SocketAddr,
    authority: PathBuf,
    provider: Arc<OnceLock<SocketAddr>>,
    /// Connections that got through the handshake.
    shaken: Arc<AtomicUsize>,
    accepting: tokio::task::JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// A certificate for `localhost` of an authority that only `authority` tells of.
fn certificate(authority: &Path) -> ServerConfig {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    std::fs::write(authority, issuer.pem()).expect("the authority can be written");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("certificate and key belong together")
}

impl Door {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let authority = folder.path().join("authority.pem");
        let acceptor = TlsAcceptor::from(Arc::new(certificate(&authority)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (provider, shaken) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let mut accepting = tokio::task::JoinSet::new();
        let (to, count) = (provider.clone(), shaken.clone());
        accepting.spawn(async move {
            let mut passing = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, to, count) = (acceptor.clone(), to.clone(), count.clone());
                passing.spawn(async move { pass(acceptor, stream, &to, &count).await });
            }
        });
        Self {
            address,
            authority,
            provider,
            shaken,
            accepting,
            _folder: folder,
        }
    }

    fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }
}

async fn pass(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    to: &OnceLock<SocketAddr>,
    count: &AtomicUsize,
) {
    let Ok(mut app) = acceptor.accept(stream).await else {
        return;
    };
    // A client may finish its part of the handshake before it has judged the certificate: what counts is what it sends.
    let mut first = vec![0; 16 << 10];
    let Ok(len) = app.read(&mut first).await else {
        return;
    };
    if len == 0 {
        return;
    }
    count.fetch_add(1, Ordering::SeqCst);
    let provider = to.get().expect("the provider is known before it is called");
    let mut provider = TcpStream::connect(provider)
        .await
        .expect("the provider listens");
    provider
        .write_all(&first[..len])
        .await
        .expect("the provider reads");
    // How a connection ends is for the gateway to judge.
    drop(tokio::io::copy_bidirectional(&mut app, &mut provider).await);
}

async fn start(door: &Door, environment: Vec<(&'static str, String)>) -> Rig {
    let plan = Plan {
        environment,
        ..Plan::default()
    };
    let plan = plan
        .backend(
            "secure",
            &door.base_url(),
            "auth = \"none\"",
            &["gpt-4o-mini"],
        )
        .tenant("acme", "", &[("k", KEY, "")]);
    let rig = Rig::start(plan).await;
    door.provider.set(rig.simulator.addr()).expect("set once");
    rig
}

async fn call(rig: &Rig, stream: bool) -> (u16, String) {
    let body = json!({
        "model": "gpt-4o-mini", "stream": stream, "max_tokens": 7,
        "messages": [{"role": "user", "content": "hello"}],
    });
    let sent = rig
        .http()
        .post(rig.url("/v1/chat/completions"))
        .bearer_auth(KEY)
        .json(&body);
    let answer = sent.send().await.expect("the gateway answers");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("the answer is whole"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_provider_is_called_over_tls_and_metered() {
    let door = Door::open().await;
    let authority = door.authority.display().to_string();
    let rig = start(&door, vec![("SSL_CERT_FILE", authority)]).await;
    for stream in [false, true] {
        let (status, text) = call(&rig, stream).await;
        assert_eq!(status, 200, "{text}\n{}", rig.log());
    }
    let events = rig.events().await;
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event["outcome"], "completed");
        assert_eq!(event["usage_source"], "provider");
        assert_eq!(event["output_text"], 7, "{event}");
    }
    assert!(door.shaken.load(Ordering::SeqCst) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_nobody_vouches_for_gets_nothing() {
    let door = Door::open().await;
    let stranger = tempfile::tempdir().expect("a scratch directory");
    let other = stranger.path().join("other.pem");
    drop(certificate(&other));
    let rig = start(&door, vec![("SSL_CERT_FILE", other.display().to_string())]).await;
    let (status, text) = call(&rig, false).await;
    assert_eq!(status, 502, "{text}");
    let body: Value = serde_json::from_str(&text).expect("an error in the provider's shape");
    assert_eq!(body["error"]["code"], "upstream_unreachable");
    let event = rig.events().await.remove(0);
    assert_eq!(event["outcome"], "upstream_error");
    assert_eq!(event["billable"], "no");
    assert_eq!(door.shaken.load(Ordering::SeqCst), 0, "something was sent");
    assert_eq!(door.accepting.len(), 1);
}
