//! TLS and SASL against a real broker: each mechanism lets us in, a wrong password or authority does not, is named, loses nothing,
//! and no secret is shown.

use std::fmt::Write as _;
use std::path::Path;

use schemas::Topic;
use tests::secure::{PLAIN, SCRAM, certificates, secure_brokers, token};
use tests::{Ask, Cluster, eventually};

use crate::stand::{Plan, Stand};
use crate::topic::read_topic;
use crate::topics::make_topics;

/// When the tokens of these tests end, in seconds since the epoch: not within them.
const YEARS: i64 = 4_102_444_800;

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

fn by_scram(mechanism: &str, password: &Path) -> String {
    format!(
        "mechanism = \"{mechanism}\", username = \"tollgate\", password_file = \"{}\"",
        password.display()
    )
}

fn shows_no_secret(stand: &Stand) {
    let log = stand.log();
    for secret in [PLAIN, SCRAM, token(YEARS).as_str()] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mechanism_is_let_in_over_tls() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let cluster = Cluster::start_with(1, &secure_brokers(folder.path())).await;
    let authority = folder.path().join("ca.pem");
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{SCRAM}\n")).expect("a file");
    let tokens = folder.path().join("token");
    std::fs::write(&tokens, token(YEARS)).expect("a file");
    for sasl in [
        "mechanism = \"PLAIN\", username = \"tollgate\", password_env = \"TEST_KAFKA_PASSWORD\""
            .to_owned(),
        by_scram("SCRAM-SHA-256", &password),
        by_scram("SCRAM-SHA-512", &password),
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
    let cluster = Cluster::start_with(1, &secure_brokers(folder.path())).await;
    let other = tempfile::tempdir().expect("a scratch directory");
    certificates(other.path());
    let password = folder.path().join("password");
    std::fs::write(&password, "not-the-password").expect("a file");
    let wrong = by_scram("SCRAM-SHA-512", &password);
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
