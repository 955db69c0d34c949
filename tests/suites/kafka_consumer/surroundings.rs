//! A member of the group in bad surroundings: it says what is wrong, writes nothing meanwhile, and has everything when it is mended.

use std::path::Path;
use std::process::Command;

use tests::secure::{certificates, secure_brokers};
use tests::{eventually, tollgate};

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
