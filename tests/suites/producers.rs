//! Producers on one machine: a start that was killed is closed by the next and whole, a gateway that never comes back is named,
//! silent, and declared lost through the journal.

use serde_json::Value;
use store::User;
use tests::command::run;
use tests::{Ask, KEYS, Setup, Stack, eventually};

const GONE: &str = "gw-gone";
const ITS_START: &str = "1-0000000000000001";

/// What is listed; nothing while there are no tables yet.
async fn starts(stack: &Stack) -> Option<Vec<Value>> {
    let listing = ["producers", "list", "--format", "json"];
    let ended = run(&listing, &stack.config_path()).await;
    (ended.code == Some(0)).then(|| serde_json::from_str(&ended.out).expect("JSON"))
}

async fn calls(stack: &Stack, count: usize) {
    for number in 0..count {
        let ask = Ask::new(format!("n-{number}")).key(KEYS[0]);
        let answer = stack.app().call(&ask).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
}

async fn gaps(stack: &Stack) -> Option<Value> {
    let answer = reqwest::get(stack.ops_url("/gaps")).await.ok()?;
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

/// A gateway of another machine, once in this store, of which nothing but one heartbeat is left.
async fn another_was_here(stack: &Stack) {
    let row = format!(
        "INSERT INTO producer_log (producer, boot, kind, clock, last_producer_seq, admitted, settled, open, synced_position) \
         VALUES ('{GONE}', '{ITS_START}', 'heartbeat', now64(6), 4, 7, 5, 2, 9)"
    );
    let writer = stack.engine(User::Writer).await;
    writer.statement(&row).execute().await.expect("a row");
}

async fn state_of_gone(stack: &Stack) -> Option<(String, i64)> {
    let starts = starts(stack).await?;
    let gone = starts.iter().find(|start| start["producer"] == GONE)?;
    Some((
        gone["state"].as_str()?.to_owned(),
        gone["missing"].as_i64()?,
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_start_is_closed_whole_and_one_that_never_returns_is_declared_lost_in_the_journal()
{
    let mut stack = Stack::start(Setup {
        consumer: "watch_seconds = 1\nsilent_seconds = 2".to_owned(),
        ..Setup::default()
    })
    .await;
    calls(&stack, 3).await;
    stack.restart().await;
    calls(&stack, 2).await;
    eventually(
        "the killed start is closed and whole, the other lives",
        async || {
            let starts = starts(&stack).await?;
            let fits = |start: &Value, state: &str, stored: i64| {
                start["state"] == state && start["stored"] == stored && start["missing"] == 0
            };
            (starts.len() == 2 && fits(&starts[0], "closed", 3) && fits(&starts[1], "live", 2))
                .then_some(())
        },
    )
    .await;
    let report = eventually("it is watched", async || {
        gaps(&stack)
            .await
            .filter(|report| report["looks"].as_i64() > Some(0))
    })
    .await;
    assert_eq!(
        (&report["missing"], &report["watching"]),
        (&0.into(), &true.into())
    );

    another_was_here(&stack).await;
    eventually("its numbers are missing and it is silent", async || {
        let report = gaps(&stack).await?;
        let gap = report["gaps"].get(0)?;
        assert_eq!((&gap["first"], &gap["last"]), (&0.into(), &4.into()));
        (state_of_gone(&stack).await? == ("silent".to_owned(), 5)).then_some(())
    })
    .await;
    let lost = [
        "producers",
        "declare-lost",
        GONE,
        ITS_START,
        "--by",
        "ada",
        "--why",
        "burnt",
        "--yes",
    ];
    let declared = run(&lost, &stack.config_path()).await;
    assert_eq!(declared.code, Some(0), "{declared:?}");
    assert!(
        declared.err.contains("Written into the journal"),
        "{declared:?}"
    );
    eventually("it is declared lost, and alarms no more", async || {
        let report = gaps(&stack).await?;
        let is_lost = state_of_gone(&stack).await?.0 == "declared_lost";
        (is_lost && report["missing"] == 0).then_some(())
    })
    .await;
    let again = run(&lost, &stack.config_path()).await;
    assert!(again.err.contains("declared lost already"), "{again:?}");
    assert_eq!(again.code, Some(1));
    stack.terminate().await;
}
