//! Where to go on: never at an end of the log because nobody said otherwise.

use std::collections::BTreeSet;

use rdkafka::admin::AdminOptions;
use schemas::{RecordKind, Topic};
use tests::eventually;

use super::events::beat;
use super::member::Member;
use super::stand::{GROUP, Stand};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_committed_offsets_it_goes_on_from_the_last_cut_and_a_topic_made_anew_is_another_log()
 {
    let stand = Stand::new().await;
    stand.produce(0..300);
    stand.flush().await;
    let member = Member::start(&stand, "one");
    stand.holds_exactly(300, &[&member]).await;
    member.stop().await;

    // Committed offsets expire; the store knows how far it is.
    let deleted = stand
        .admin()
        .delete_groups(&[GROUP], &AdminOptions::new())
        .await;
    assert!(deleted.expect("an answer")[0].is_ok(), "the group is gone");
    stand.produce(300..500);
    stand.flush().await;
    let member = Member::start(&stand, "one");
    stand.holds_exactly(500, &[&member]).await;
    let cuts = stand.count("SELECT count() FROM cuts FINAL").await;
    let copies = stand.count("SELECT count() FROM cuts").await;
    assert_eq!(copies, cuts, "no batch was written again");
    member.stop().await;

    let usage = Stand::topic(Topic::Usage);
    let deleted = stand
        .admin()
        .delete_topics(&[&usage], &AdminOptions::new())
        .await;
    assert!(deleted.expect("an answer")[0].is_ok(), "the topic is gone");
    stand.make_topics().await;
    stand.produce(500..700);
    stand.flush().await;
    let member = Member::start(&stand, "one");
    eventually("the new log is read from its beginning", async || {
        let topics = "SELECT uniqExact(topic) FROM cuts";
        let is_there = stand.count(topics).await == 2;
        let events = stand.count("SELECT count() FROM usage_events").await;
        (is_there && events == 700).then_some(())
    })
    .await;
    stand.holds_exactly(700, &[&member]).await;
    member.stop().await;
}

pub(crate) fn say(stand: &Stand, producer: &str, position: i64) {
    let beat = beat(producer, position, None).encode();
    stand.send_of(RecordKind::Heartbeat, Topic::Producers, None, &beat, |_| {});
}

pub(crate) async fn is_heard(stand: &Stand, producer: &str, position: i64) {
    let sql = format!(
        "SELECT count() FROM producer_log WHERE producer = '{producer}' AND synced_position = {position}"
    );
    eventually("what it says is in the store", async || {
        (stand.count(&sql).await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producers_topic_made_anew_is_read_from_its_beginning_whatever_was_committed_of_the_old_one()
 {
    let stand = Stand::new().await;
    for position in 0..3 {
        say(&stand, "gw-1", position);
    }
    stand.flush().await;
    let member = Member::start(&stand, "one");
    is_heard(&stand, "gw-1", 2).await;
    member.stop().await;

    make_producers_anew(&stand).await;
    // The new one is longer than what was committed of the old.
    say(&stand, "gw-2", 7);
    for position in 3..9 {
        say(&stand, "gw-1", position);
    }
    stand.flush().await;
    let member = Member::start(&stand, "one");
    is_heard(&stand, "gw-1", 8).await;
    is_heard(&stand, "gw-2", 7).await;
    member.stop().await;
}

async fn make_producers_anew(stand: &Stand) {
    let producers = Stand::topic(Topic::Producers);
    let deleted = stand
        .admin()
        .delete_topics(&[&producers], &AdminOptions::new())
        .await;
    assert!(deleted.expect("an answer")[0].is_ok(), "the topic is gone");
    stand.make_topics().await;
}

/// The identities of the producers' topics that a member was given.
fn topics_read(log: &str) -> BTreeSet<&str> {
    let given = log
        .lines()
        .filter(|line| line.contains("what producers say of themselves is read"));
    given
        .filter_map(|line| line.split_once("topic_id=")?.1.split(' ').next())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_of_a_producers_topic_outlives_it_while_the_store_is_away() {
    let mut stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    say(&stand, "gw-1", 1);
    stand.flush().await;
    is_heard(&stand, "gw-1", 1).await;
    stand.kill_engine();
    say(&stand, "gw-1", 2);
    stand.flush().await;
    eventually("it is read and can not be written", async || {
        let waits = "what producers say waits for the store";
        member.log().contains(waits).then_some(())
    })
    .await;
    make_producers_anew(&stand).await;
    // Its group may give it the new one before it is asked which one it is.
    eventually("it is seen that the topic is another one", async || {
        (topics_read(&member.log()).len() == 2).then_some(())
    })
    .await;
    say(&stand, "gw-2", 3);
    stand.flush().await;
    stand.start_engine().await;
    is_heard(&stand, "gw-2", 3).await;
    is_heard(&stand, "gw-1", 2).await;
    member.stop().await;
}
