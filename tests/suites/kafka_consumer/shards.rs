//! A store of two shards, each a real engine: a partition of the log is written to its own shard for ever, and a member that was
//! told of other shards writes nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;

use store::{Client, DataDir};
use tests::command::run;
use tests::{eventually, free_address};

use super::member::Member;
use super::producers::{gaps, say, until_gaps};
use super::stand::{PARTITIONS, Stand, client, start_engine};

const EVENTS: u64 = 600;
/// What a halted partition says.
pub(super) const OTHER: &str = "to another shard of the store before";

/// A line of another gateway's spend.
const SPEND: &str = r#"{"request_id":"a","call_type":"acompletion","api_key":"","spend":0.1,"total_tokens":30,"prompt_tokens":20,"completion_tokens":10,"startTime":"2026-11-24T12:00:00Z","endTime":"2026-11-24T12:00:00Z","model":"m","model_group":"","custom_llm_provider":"openai","user":"","metadata":{},"cache_hit":"False","request_tags":[],"team_id":"red","end_user":"","status":"success"}"#;

/// A second engine, with the first one's passwords.
pub(super) struct Second {
    engine: Child,
    pub(super) client: Client,
    pub(super) url: String,
    folder: PathBuf,
    address: SocketAddr,
}

impl Second {
    pub(super) async fn start(stand: &Stand) -> Self {
        let (folder, address) = (stand.folder().join("second"), free_address());
        let secrets = |folder: &std::path::Path| DataDir::new(folder.join("data")).secrets();
        let (from, to) = (secrets(stand.folder()), secrets(&folder));
        std::fs::create_dir_all(&to).expect("a folder can be made");
        for file in std::fs::read_dir(from).expect("passwords lie there") {
            let file = file.expect("a name");
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
        let engine = start_engine(&folder.join("data"), address);
        let client = client(&folder, address).await;
        Self {
            engine,
            client,
            url: format!("http://{address}"),
            folder,
            address,
        }
    }

    fn kill(&mut self) {
        self.engine.kill().expect("it runs");
        self.engine.wait().expect("it ends");
    }

    async fn start_again(&mut self) {
        self.engine = start_engine(&self.folder.join("data"), self.address);
        client(&self.folder, self.address).await;
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        drop((self.engine.kill(), self.engine.wait()));
    }
}

/// A member whose store has these shards, in this order.
pub(super) fn member(stand: &Stand, name: &str, shards: &[&str]) -> Member {
    Member::start_with(stand, name, |text| with_shards(&text, shards))
}

pub(super) fn with_shards(text: &str, shards: &[&str]) -> String {
    let section = format!("[store]\nshards = {shards:?}\n");
    text.replace("[store]\n", &section)
}

async fn partitions(client: &Client, table: &str) -> Vec<i32> {
    let sql = format!("SELECT DISTINCT partition FROM {table} ORDER BY partition");
    client.fetch_all(&sql).await.expect("an answer")
}

pub(super) async fn events(client: &Client) -> u64 {
    let asked = client.query("SELECT uniqExact(event_id) FROM usage_events");
    // The second engine has no tables before the member has made them.
    asked.fetch_one().await.unwrap_or(0)
}

/// The member has all partitions, and everything that can be read of them is written.
pub(super) async fn all_committed(member: &Member) {
    eventually("everything readable is committed", async || {
        let at = member.partitions().await;
        let is_done = at.values().all(|at| at.committed == at.readable);
        (is_done && at.len() == PARTITIONS as usize).then_some(())
    })
    .await;
}

/// Each partition does, and says why.
async fn stands_still(member: &Member) {
    eventually("it stands still and says why", async || {
        let (status, text) = member.ask("/readyz").await?;
        let halted = text.matches(OTHER).count();
        (status == 503 && halted == PARTITIONS as usize).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_written_to_its_own_shard_and_never_to_another() {
    let stand = Stand::new().await;
    let second = Second::start(&stand).await;
    let first_url = stand.engine_url();
    let one = member(&stand, "one", &[&first_url, &second.url]);
    stand.produce(0..EVENTS);
    stand.flush().await;
    let all = async || events(&stand.client).await + events(&second.client).await;
    eventually("all events are in the store", async || {
        (all().await >= EVENTS).then_some(())
    })
    .await;
    all_committed(&one).await;
    for table in ["audit_log", "usage_events", "cuts"] {
        assert_eq!(partitions(&stand.client, table).await, [0, 2], "{table}");
        assert_eq!(partitions(&second.client, table).await, [1], "{table}");
    }
    assert_eq!(all().await, EVENTS, "each event is on one shard");
    one.stop().await;

    let other = member(&stand, "other", &[&second.url, &first_url]);
    stand.produce(EVENTS..EVENTS + 60);
    stand.flush().await;
    stands_still(&other).await;
    assert_eq!(all().await, EVENTS, "nothing was written");
    other.stop().await;

    let again = member(&stand, "again", &[&first_url, &second.url]);
    eventually("the rest is written by the old order", async || {
        (all().await == EVENTS + 60).then_some(())
    })
    .await;
    again.stop().await;

    // The group's commits say which shard it was, so that a shard that is left out is missed.
    let fewer = member(&stand, "fewer", &[&first_url]);
    eventually("the other shard's partition stands still", async || {
        let (status, text) = fewer.ask("/readyz").await?;
        let halted = text.matches(OTHER).count();
        (status == 503 && halted == 1 && text.contains("partition 1:")).then_some(())
    })
    .await;
    fewer.stop().await;
    // A batch that was only begun has rows, and no cut.
    for client in [&stand.client, &second.client] {
        let emptied = client.statement("TRUNCATE TABLE cuts").execute().await;
        emptied.expect("the cuts are gone");
    }
    let swapped = member(&stand, "swapped", &[&second.url, &first_url]);
    stands_still(&swapped).await;
    assert_eq!(all().await, EVENTS + 60, "nothing was written twice");
    swapped.stop().await;
}

/// How often the member has looked for numbers.
async fn looks(member: &Member) -> Option<u64> {
    gaps(member).await?["looks"].as_u64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_numbers_are_looked_for_on_every_shard() {
    let stand = Stand::new().await;
    let mut second = Second::start(&stand).await;
    let one = member(&stand, "one", &[&stand.engine_url(), &second.url]);
    stand.produce(0..300);
    stand.produce(301..EVENTS - 2);
    let last = i64::try_from(EVENTS).expect("few") - 1;
    say(&stand, 1, last);
    stand.flush().await;
    let holes = [(300, 300), (last - 1, last)];
    until_gaps(&one, "the holes are named, and no other number", &holes).await;
    for client in [&stand.client, &second.client] {
        assert!(events(client).await > 100, "both shards have many of them");
    }
    let claims = "SELECT count() FROM producer_log";
    assert!(
        stand.count(claims).await > 0,
        "claims are on the first shard"
    );
    let strayed = second.client.query(claims).fetch_one::<u64>().await;
    assert_eq!(strayed.expect("an answer"), 0, "and on no other");

    second.kill();
    stand.produce(EVENTS..EVENTS + 300);
    say(&stand, 2, last + 300);
    stand.flush().await;
    eventually("the first shard has its part of them", async || {
        (events(&stand.client).await > 490).then_some(())
    })
    .await;
    let before = looks(&one).await;
    eventually("it was tried while a shard is away", async || {
        one.log()
            .contains("numbers are not looked for now")
            .then_some(())
    })
    .await;
    assert_eq!(looks(&one).await, before, "and judged by none of the rest");
    second.start_again().await;
    stand.produce(300..301);
    stand.produce(EVENTS - 2..EVENTS);
    say(&stand, 3, last + 300);
    stand.flush().await;
    until_gaps(&one, "nothing is missing any more", &[]).await;
    assert_eq!(
        one.log().matches("records are missing").count(),
        holes.len(),
        "no number was named that was only on the other shard"
    );

    for asked in [
        &["report", "chargeback"][..],
        &["audit", "query"],
        &["audit", "completeness"],
        &["producers", "list"],
        &["export", "summary", "--period", "2026-11", "--out", "-"],
        &["rebuild"],
    ] {
        let refused = run(asked, one.config()).await;
        let wrong = refused.unlike(2, &["shards", "cluster"]);
        assert_eq!(wrong, None, "{asked:?} is no answer from one shard of two");
    }
    one.stop().await;
}

/// What reads or writes all of the store says that it can not, before it says or writes anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stated_served_or_imported_from_one_shard_of_two() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (key, stated, spend) = (path("key"), path("day.statement"), path("spend.jsonl"));
    let keygen = [
        "statement",
        "keygen",
        "--name",
        "example.com/t",
        "--out",
        &key,
    ];
    let made = std::process::Command::new(tests::tollgate())
        .args(keygen)
        .output();
    assert!(made.expect("the program starts").status.success());
    std::fs::write(&spend, SPEND).expect("a file");
    // Nothing answers there: who asks a shard at all fails by another word.
    let (one, other) = (free_address(), free_address());
    let config = folder.path().join("tollgate.toml");
    let text = format!(
        "data_dir = \"{}\"\n\
         [store]\nurl = \"http://{one}\"\nuser = \"u\"\npassword_file = \"{key}\"\nshards = [\"http://{one}\", \"http://{other}\"]\n\
         [billing]\nlisten = \"{}\"\n",
        folder.path().display(),
        free_address()
    );
    std::fs::write(&config, text).expect("a file");
    for asked in [
        &[
            "statement",
            "--day",
            "2026-11-24",
            "--key",
            &key,
            "--out",
            &stated,
        ][..],
        &["billing"],
        &["import", "spend", "--from", "litellm", &spend],
        &["report", "imported", "--period", "2026-11"],
    ] {
        let refused = run(asked, &config).await;
        let wrong = refused.unlike(2, &["shards"]);
        assert_eq!(wrong, None, "{asked:?} is no answer from one shard of two");
    }
    assert!(!std::path::Path::new(&stated).exists(), "nothing is stated");
}
