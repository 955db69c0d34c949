//! A member of the group in bad surroundings: it says what is wrong, writes nothing meanwhile, and has everything when it is mended.

use std::path::Path;
use std::process::Command;

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use schemas::{Topic, fs_names};
use tests::secure::{certificates, secure_brokers};
use tests::{Brokers, eventually, tollgate};

use super::copies::close;
use super::member::Member;
use super::secure::member;
use super::stand::Stand;

const EVENTS: u64 = 60;

/// It is not well, and says these words in its answer or its log.
async fn says(member: &Member, words: &str) {
    eventually(words, async || {
        let (status, text) = member.ask("/readyz").await?;
        let is_said = text.contains(words) || member.log().contains(words);
        (status == 503 && is_said).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_says_so_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let stand = Stand::over(secure_brokers(folder.path())).await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    let stranger = tempfile::tempdir().expect("a scratch directory");
    certificates(stranger.path());
    let password = folder.path().join("wrong");
    std::fs::write(&password, "not-the-password").expect("a file");
    let wrong = format!(
        "mechanism = \"SCRAM-SHA-512\", username = \"tollgate\", password_file = \"{}\"",
        password.display()
    );
    let right =
        "mechanism = \"PLAIN\", username = \"tollgate\", password_env = \"TEST_KAFKA_PASSWORD\"";
    for (name, authority, sasl, words) in [
        ("password", folder.path(), wrong.as_str(), "uthentication"),
        (
            "authority",
            stranger.path(),
            right,
            "certificate verify failed",
        ),
    ] {
        let refused = member(&stand, authority, name, sasl);
        says(&refused, words).await;
        assert!(!refused.log().contains("not-the-password"));
        refused.stop().await;
    }
    let written = stand.count("SELECT count() FROM audit_log").await;
    assert_eq!(written, 0);
    let let_in = member(&stand, folder.path(), "let-in", right);
    stand.holds_exactly(EVENTS, &[&let_in]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_starts_without_a_broker_waits_for_it() {
    let mut stand = Stand::new().await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.cluster.kill(1);
    let member = Member::start(&stand, "early");
    says(&member, "not in the group").await;
    stand.cluster.start_node(1);
    stand.cluster.ready().await;
    stand.holds_exactly(EVENTS, &[&member]).await;
}

async fn set_policy(stand: &Stand, policy: &str) {
    let topic = Stand::topic(Topic::Usage);
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", policy);
    let altered = stand.admin().alter_configs([&change], &AdminOptions::new());
    let altered = altered.await.expect("the broker answers");
    assert!(altered.iter().all(Result::is_ok), "{altered:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_may_lose_records_are_named_and_read_on() {
    let stand = Stand::new().await;
    set_policy(&stand, "compact").await;
    let member = Member::start_with(&stand, "one", |toml| {
        toml.replace("partitions = 3", "partitions = 4")
            .replace("replication = 1", "replication = 2")
            .replace("min_in_sync = 1", "min_in_sync = 2")
    });
    for words in [
        "topic t.usage.v1 has 3 partitions and 4 are configured: correct `log.kafka.partitions`",
        "topic t.usage.v1 has 1 replicas of a partition and 2 are configured",
        "topic t.usage.v1 has min.insync.replicas=1, fewer copies than configured",
        "topic t.usage.v1 has cleanup.policy=compact, and compaction takes records away",
        "topic t.producers.v1 has min.insync.replicas=1",
    ] {
        says(&member, words).await;
    }
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;

    set_policy(&stand, "delete").await;
    let member = Member::start(&stand, "one");
    stand.produce(EVENTS..2 * EVENTS);
    stand.flush().await;
    stand.holds_exactly(2 * EVENTS, &[&member]).await;
    eventually("it has looked, and is well", async || {
        let has_looked = member.log().contains("the topics are what is configured");
        (member.ask("/readyz").await?.0 == 200 && has_looked).then_some(())
    })
    .await;
    set_policy(&stand, "compact,delete").await;
    member.stop().await;
    let member = Member::start(&stand, "one");
    says(&member, "cleanup.policy=compact,delete").await;
    set_policy(&stand, "delete").await;
    eventually("it sees that it was mended", async || {
        (member.ask("/readyz").await?.0 == 200).then_some(())
    })
    .await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_another_cluster_comes_into_the_store_before_it_is_decided() {
    let stand = Stand::new().await;
    let other = Stand::over(Brokers {
        cluster_id: "YW5vdGhlci1jbHVzdGVyMQ".to_owned(),
        ..Brokers::default()
    })
    .await;
    stand.produce(0..EVENTS);
    stand.flush().await;
    other.produce(EVENTS..2 * EVENTS);
    other.flush().await;
    // What gateways say of themselves is read by another client.
    close(&other, EVENTS);
    other.flush().await;
    let led_to_other =
        |toml: String| toml.replace(&stand.cluster.servers(), &other.cluster.servers());

    let member = Member::start(&stand, "one");
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
    let remembers = stand.folder().join("one").join(fs_names::LOG_CLUSTER);
    let member = Member::start_with(&stand, "one", led_to_other);
    says(
        &member,
        "was read before, and log.kafka.bootstrap leads to YW5v",
    )
    .await;
    says(&member, &remembers.display().to_string()).await;
    member.stop().await;
    let events = "SELECT uniqExact(event_id) FROM usage_events";
    let trail = "SELECT countIf(fate = 'event') FROM audit_log";
    let logs = "SELECT uniqExact(topic) FROM cuts";
    let said = "SELECT count() FROM producer_log";
    for (sql, count) in [(events, EVENTS), (trail, EVENTS), (logs, 1), (said, 0)] {
        assert_eq!(stand.count(sql).await, count, "{sql}");
    }

    // Back, everything goes on; and what was decided is done.
    let member = Member::start(&stand, "one");
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
    std::fs::remove_file(&remembers).expect("it is remembered");
    let member = Member::start_with(&stand, "one", led_to_other);
    eventually("the other log is read too", async || {
        let is_read = stand.count(events).await == 2 * EVENTS;
        (is_read && stand.count(said).await > 0).then_some(())
    })
    .await;
    member.stop().await;
}

fn ask(config: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(tollgate())
        .args(words)
        .arg("--config")
        .arg(config)
        .output();
    let output = output.expect("the program under test starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_ask_the_server_that_is_named_and_never_a_part_of_it() {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    let trail = [
        "audit",
        "query",
        "--since",
        "2020-01-01",
        "--format",
        "csv",
        "--limit",
        "1000",
    ];
    let (code, said) = ask(member.config(), &trail);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("request-").count() as u64, EVENTS, "{said}");

    let of_two = stand.folder().join("of-two.toml");
    let text = std::fs::read_to_string(member.config()).expect("a configuration");
    let shards = format!(
        "[store]\nshards = [\"{}\", \"http://127.0.0.1:9\"]\n",
        stand.engine_url()
    );
    std::fs::write(&of_two, text.replace("[store]\n", &shards)).expect("a file");
    for (words, why) in [
        (&trail[..], "without `cluster`"),
        (&["rebuild"], "for a store on one server"),
    ] {
        let (code, said) = ask(&of_two, words);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    member.stop().await;
}
