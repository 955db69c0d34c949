//! TLS and SASL against a real broker: each mechanism lets us in, a wrong password or authority does not, is named, loses nothing,
//! and no secret is shown.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use schemas::Topic;
use tests::{Ask, Brokers, Cluster, eventually};

use crate::stand::{Plan, Stand};
use crate::topic::read_topic;
use crate::topics::make_topics;

const PLAIN: &str = "plain-secret-7d1c";
const SCRAM: &str = "scram-secret-95ab";

/// An authority and a certificate for `localhost`, as PEM files in a folder.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A certificate whose issuer has its own name is taken for one that signed itself.
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "an authority of tests");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    let names = vec!["localhost".to_owned()];
    let params = CertificateParams::new(names).expect("parameters");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let both = key.serialize_pem() + &certificate.pem();
    std::fs::write(folder.join("server.pem"), both).expect("a file");
}

async fn secure_cluster(folder: &Path) -> Cluster {
    certificates(folder);
    let security = "org.apache.kafka.common.security";
    let secure = format!(
        "listener.name.secure.ssl.keystore.type=PEM\n\
         listener.name.secure.ssl.keystore.location={store}\n\
         listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER\n\
         listener.name.secure.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_tollgate=\"{PLAIN}\";\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
         listener.name.secure.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n",
        store = folder.join("server.pem").display(),
    );
    let brokers = Brokers {
        secure,
        format: vec![
            "--add-scram".into(),
            format!("SCRAM-SHA-512=[name=tollgate,password={SCRAM}]"),
        ],
        ..Brokers::default()
    };
    Cluster::start_with(1, &brokers).await
}

/// A token that this broker takes: unsigned, valid for years.
fn token() -> String {
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"sub":"tollgate","iat":1700000000,"exp":4102444800}"#;
    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(claims))
}

fn plan(cluster: &Cluster, authority: &Path, sasl: &str) -> Plan {
    let mut plan = Plan::single(&cluster.secure_servers());
    let authority = authority.display();
    writeln!(plan.kafka, "tls = {{ ca_file = \"{authority}\" }}").expect("a text grows");
    writeln!(plan.kafka, "sasl = {{ {sasl} }}").expect("a text grows");
    plan.environment = vec![("TEST_KAFKA_PASSWORD", PLAIN.to_owned())];
    plan
}

async fn call(stand: &Stand) {
    let answer = stand.app().call(&Ask::new("n-1")).await;
    assert_eq!(answer.expect("an answer").status, 200);
}

fn shows_no_secret(stand: &Stand) {
    let log = stand.log();
    for secret in [PLAIN, SCRAM, token().as_str()] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mechanism_is_let_in_over_tls() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let cluster = secure_cluster(folder.path()).await;
    let authority = folder.path().join("ca.pem");
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{SCRAM}\n")).expect("a file");
    let tokens = folder.path().join("token");
    std::fs::write(&tokens, token()).expect("a file");
    for sasl in [
        "mechanism = \"PLAIN\", username = \"tollgate\", password_env = \"TEST_KAFKA_PASSWORD\""
            .to_owned(),
        format!(
            "mechanism = \"SCRAM-SHA-512\", username = \"tollgate\", password_file = \"{}\"",
            password.display()
        ),
        format!(
            "mechanism = \"OAUTHBEARER\", token_file = \"{}\"",
            tokens.display()
        ),
    ] {
        let mut plan = plan(&cluster, &authority, &sasl);
        let is_by_token = sasl.contains("OAUTHBEARER");
        if is_by_token {
            plan.kafka.push_str("topics = \"trust\"\n");
        }
        let stand = Stand::start(plan).await;
        call(&stand).await;
        if is_by_token {
            make_topics(&cluster.servers(), &stand, "delete").await;
        }
        stand.drained().await;
        let topic = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
        assert_eq!(topic.len(), 1, "{sasl}");
        shows_no_secret(&stand);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_wrong_authority_are_named_and_requests_are_served() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let cluster = secure_cluster(folder.path()).await;
    let other = tempfile::tempdir().expect("a scratch directory");
    certificates(other.path());
    let password = folder.path().join("password");
    std::fs::write(&password, "not-the-password").expect("a file");
    let wrong = format!(
        "mechanism = \"SCRAM-SHA-512\", username = \"tollgate\", password_file = \"{}\"",
        password.display()
    );
    let right =
        "mechanism = \"PLAIN\", username = \"tollgate\", password_env = \"TEST_KAFKA_PASSWORD\"";
    for (authority, sasl, words) in [
        (folder.path(), wrong.as_str(), "uthentication"),
        (other.path(), right, "certificate verify failed"),
    ] {
        let stand = Stand::start(plan(&cluster, &authority.join("ca.pem"), sasl)).await;
        call(&stand).await;
        eventually(words, async || {
            let (status, text) = stand.readyz().await?;
            assert_eq!(status, 200, "{text}");
            text.contains(words).then_some(())
        })
        .await;
        shows_no_secret(&stand);
    }
}
