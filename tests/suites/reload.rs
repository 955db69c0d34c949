//! Changing the configuration of a running gateway: a good file is in force soon, a bad one is refused with its line while
//! the old one serves, and nobody who is served notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use simulator::load::Outcome as Seen;
use tests::{Ask, KEYS, Key, Setup, Stack, eventually, within};
use tokio::task::JoinSet;

/// A key that is switched off is refused by then.
const PROMISE: Duration = Duration::from_secs(5);

/// Puts a new configuration in place, whole.
fn write_config(stack: &Stack, text: &str) {
    let fresh = stack.config_path().with_extension("new");
    std::fs::write(&fresh, text).expect("a file can be written");
    std::fs::rename(&fresh, stack.config_path()).expect("and put in place");
}

/// Streams without a pause by some keys.
struct Traffic {
    ends: Arc<AtomicBool>,
    whole: Arc<AtomicU64>,
    clients: JoinSet<Vec<String>>,
}

impl Traffic {
    fn start(stack: &Stack, keys: &[Key]) -> Self {
        let (ends, whole) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut clients = JoinSet::new();
        for key in keys.iter().copied() {
            let (app, ends, whole) = (stack.app(), ends.clone(), whole.clone());
            clients.spawn(async move {
                let mut faults = Vec::new();
                for number in 0_u64.. {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    let ask = Ask::new(format!("{}-{number}", key.id)).key(key).streamed();
                    let sent = app
                        .see(ask.tokens(20).ordering("chunk_delay=5"), None)
                        .await;
                    if sent.seen == Seen::Complete {
                        whole.fetch_add(1, Ordering::Relaxed);
                    } else {
                        faults.push(format!("{sent:?}"));
                    }
                }
                faults
            });
        }
        Self {
            ends,
            whole,
            clients,
        }
    }

    /// Waits until more streams have been served to their end since now.
    async fn goes_on(&self) {
        let before = self.whole.load(Ordering::Relaxed);
        eventually("streams are served", async || {
            (self.whole.load(Ordering::Relaxed) > before + 20).then_some(())
        })
        .await;
    }

    /// Every answer that was not whole.
    async fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        let faults = within("the last streams", self.clients.join_all()).await;
        faults.into_iter().flatten().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_switched_off_within_seconds_and_the_others_notice_nothing() {
    let mut stack = Stack::start(Setup::default()).await;
    let (off, others) = KEYS.split_first().expect("there are keys");
    let traffic = Traffic::start(&stack, others);
    traffic.goes_on().await;
    let fine = stack
        .app()
        .call(&Ask::new("still-on").key(*off))
        .await
        .expect("an answer");
    assert_eq!(fine.status, 200);
    stack.setup.disabled_keys.push(off.id.to_owned());
    write_config(&stack, &stack.config_text());
    let changed = Instant::now();
    let mut tries = 0..;
    eventually("the key is refused", async || {
        let ask = Ask::new(format!("off-{}", tries.next()?)).key(*off);
        let answer = stack.app().call(&ask).await.expect("an answer");
        (answer.status == 401).then_some(())
    })
    .await;
    assert!(
        changed.elapsed() < PROMISE,
        "it took {:?}",
        changed.elapsed()
    );
    traffic.goes_on().await;
    assert_eq!(traffic.end().await, Vec::<String>::new());
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    assert!(
        books
            .events
            .iter()
            .any(|event| event.outcome == "refused_auth")
    );
    assert!(
        books
            .events
            .iter()
            .all(|event| event.outcome == "completed" || event.outcome == "refused_auth")
    );
}

/// What a bad file says, and what must be said of it.
fn bad_files(good: &str) -> Vec<(String, usize, &'static str)> {
    let line_of = |needle: &str| {
        good.lines()
            .position(|line| line.contains(needle))
            .expect("it is there")
            + 1
    };
    let deployments = line_of("[[deployments]]");
    vec![
        (
            good.replace("[[deployments]]", "[[deployments"),
            deployments,
            "]]",
        ),
        (
            good.replace("[[deployments]]", "[[deploymints]]"),
            deployments,
            "deploymints",
        ),
        (
            good.replacen("deployment = \"simulator\"", "deployment = \"nowhere\"", 1),
            line_of("deployment = \"simulator\""),
            "nowhere",
        ),
        (
            good.replacen("durability = \"synced\"", "durability = \"perhaps\"", 1),
            line_of("durability = \"synced\""),
            "perhaps",
        ),
        // A start would refuse it, whatever a tenant is promised by it.
        (
            good.replacen("durability = \"synced\"", "durability = \"replicated\"", 1)
                + "\n[log]\nkafka = { bootstrap = \"127.0.0.1:1\" }\n",
            good.lines().count() + 3,
            "`tollgate gateway`",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_its_line_and_a_good_one_is_in_force() {
    let stack = Stack::start(Setup::default()).await;
    let good = stack.config_text();
    let traffic = Traffic::start(&stack, &KEYS);
    for (number, (bad, line, reason)) in bad_files(&good).into_iter().enumerate() {
        write_config(&stack, &bad);
        let refused = u64::try_from(number).expect("few") + 1;
        eventually(&format!("file {number} is refused"), async || {
            (stack.metric("refused_reloads_total").await? >= refused).then_some(())
        })
        .await;
        let log = stack.serving.log();
        let said = log
            .lines()
            .rfind(|said| said.contains("new configuration refused"));
        let said = said.expect("the refusal is logged");
        let place = format!("tollgate.toml:{line}:");
        assert!(
            said.contains(&place) && said.contains(reason),
            "{place} and {reason} in: {said}"
        );
        traffic.goes_on().await;
    }
    let more = good.replacen(
        "model = \"gpt-4o\"\n",
        "model = \"gpt-4o\"\naliases = [\"gpt-newest\"]\n",
        1,
    );
    let ask = |number| Ask::new(format!("alias-{number}")).model("gpt-newest");
    let unknown = stack.app().call(&ask(-1)).await.expect("an answer");
    assert_eq!(
        (unknown.status, unknown.error_code().as_deref()),
        (404, Some("model_not_found"))
    );
    write_config(&stack, &more);
    let mut tries = 0..;
    eventually("the new name is served", async || {
        let answer = stack
            .app()
            .call(&ask(tries.next()?))
            .await
            .expect("an answer");
        (answer.status == 200).then_some(())
    })
    .await;
    traffic.goes_on().await;
    assert_eq!(traffic.end().await, Vec::<String>::new());
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
}
