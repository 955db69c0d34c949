//! A group behind TLS and SASL: a member by each mechanism, the one with a token beyond its token's end.

use std::path::Path;

use tests::secure::{PLAIN, SCRAM, secure_brokers, token};
use tests::{eventually, free_address};

use super::member::Member;
use super::stand::Stand;

/// A token lives for so long, in seconds: long enough to join with.
const SHORT_S: i64 = 10;

fn now_s() -> i64 {
    runtime::clock::now_us() / 1_000_000
}

pub(crate) fn member(stand: &Stand, folder: &Path, name: &str, sasl: &str) -> Member {
    let ops = free_address();
    let authority = folder.join("ca.pem");
    let more = format!(
        "topics = \"trust\"\ntls = {{ ca_file = \"{}\" }}\nsasl = {{ {sasl} }}",
        authority.display()
    );
    let toml = stand.toml_by(name, ops, &stand.cluster.secure_servers(), &more);
    Member::with(stand, name, ops, &toml)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_by_each_mechanism_shares_the_partitions_and_a_token_is_renewed() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let stand = Stand::over(secure_brokers(folder.path())).await;
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{SCRAM}\n")).expect("a file");
    let tokens = folder.path().join("token");
    let ends = now_s() + SHORT_S;
    std::fs::write(&tokens, token(ends)).expect("a file");
    let by_token = format!(
        "mechanism = \"OAUTHBEARER\", token_file = \"{}\"",
        tokens.display()
    );
    let by_password = format!(
        "mechanism = \"SCRAM-SHA-512\", username = \"tollgate\", password_file = \"{}\"",
        password.display()
    );
    let in_the_clear =
        "mechanism = \"PLAIN\", username = \"tollgate\", password_env = \"TEST_KAFKA_PASSWORD\"";
    let members = [
        member(&stand, folder.path(), "token", &by_token),
        member(&stand, folder.path(), "scram", &by_password),
        member(&stand, folder.path(), "plain", in_the_clear),
    ];
    let members: Vec<&Member> = members.iter().collect();
    eventually("each member has a partition", async || {
        for member in &members {
            (member.partitions().await.len() == 1).then_some(())?;
        }
        Some(())
    })
    .await;
    let fresh = token(ends + 3_600);
    std::fs::write(&tokens, &fresh).expect("a file");
    stand.produce(0..300);
    stand.flush().await;
    stand.holds_exactly(300, &members).await;

    eventually("the first token has ended", async || {
        (now_s() > ends + 1).then_some(())
    })
    .await;
    stand.produce(300..600);
    stand.flush().await;
    stand.holds_exactly(600, &members).await;
    for member in &members {
        let log = member.log();
        for secret in [PLAIN, SCRAM, fresh.as_str()] {
            assert!(!log.contains(secret), "a secret is in the log");
        }
        assert_eq!(member.partitions().await.len(), 1, "{log}");
    }
}
