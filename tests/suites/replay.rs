//! The log is the truth, the tables are a function of it: tables that were emptied are filled again, by the audit or by a
//! replay, and the bill is the same to its digest; a replay into full tables changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use billing::Period;
use billing::chargeback::{Dimension, Report, Request, Synthetic, report};
use billing::period::zone;
use consumer::{JournalSource, Options, Replayed};
use schemas::{PriceBook, fs_names};
use store::{Client, Engine, User};
use tests::{Ask, Books, KEYS, MODELS, Setup, Stack, eventually};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const REQUESTS: u64 = 600;
const CLIENTS: u64 = 16;
const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];

/// The book is read once: what a file of the tree says meanwhile is no matter of the store.
fn book() -> &'static PriceBook {
    static BOOK: OnceLock<PriceBook> = OnceLock::new();
    BOOK.get_or_init(|| {
        let prices = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices.csv");
        billing::prices::load(&prices).expect("a price book")
    })
}

/// The bill of all time, by everything.
async fn bill(reader: &Client) -> Report {
    let utc = zone("UTC").expect("a zone");
    let request = Request {
        period: Period::parse("2020-01-01T00:00Z/2100-01-01T00:00Z", utc).expect("a period"),
        by: Dimension::parse_list("tenant,project,key,model,outcome").expect("dimensions"),
        synthetic: Synthetic::Include,
        tenant: None,
    };
    let report = report(reader, book(), &request).await.expect("a report");
    assert!(report.totals.requests > 0 || report.rows.is_empty());
    report
}

/// To the digest; where it is another, the rows that differ are shown.
fn assert_same(now: &Report, before: &Report, when: &str) {
    if now.report_hash == before.report_hash {
        return;
    }
    let only = |of: &Report, other: &Report| -> Vec<String> {
        let rows = of.rows.iter().filter(|row| !other.rows.contains(row));
        rows.map(|row| format!("{row:?}")).collect()
    };
    panic!(
        "{when} the bill is another one\nbefore: {:#?}\nnow: {:#?}\ntotals before: {:?}\ntotals now: {:?}",
        only(before, now),
        only(now, before),
        before.totals,
        now.totals
    );
}

async fn send_mixed_requests(stack: &Stack) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let app = stack.app();
        clients.spawn(async move {
            for number in (client..REQUESTS).step_by(usize::try_from(CLIENTS).expect("few")) {
                let at = usize::try_from(number).expect("few");
                let ask = Ask {
                    stream: number % 2 == 0,
                    ..Ask::new(format!("replay-{number}"))
                        .key(KEYS[at % KEYS.len()])
                        .model(MODELS[at % MODELS.len()])
                        .tokens(1 + number % 24)
                };
                drop(app.see(ask, None).await);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends");
    }
}

/// A stack with a ledger of mixed requests, and its bill.
async fn stack_with_a_ledger() -> (Stack, Report) {
    let stack = Stack::start(Setup {
        audit_seconds: 1,
        simulator: simulator::Settings {
            cached_tokens: 3,
            p_429: 0.03,
            p_500: 0.02,
            p_reset_mid: 0.03,
            p_no_usage: 0.03,
            p_error_event: 0.02,
            ..simulator::Settings::default()
        },
        ..Setup::default()
    })
    .await;
    send_mixed_requests(&stack).await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    assert_eq!(books.events.len() as u64, REQUESTS);
    let bill = bill(&stack.engine(User::Reader).await).await;
    (stack, bill)
}

async fn empty(writer: &Client, table: &str) {
    let emptied = writer
        .statement(&format!("TRUNCATE TABLE {table}"))
        .execute()
        .await;
    emptied.expect("a table is emptied");
}

async fn is_whole(stack: &Stack, reader: &Client) -> Option<Books> {
    let books = Books::of(&stack.data_dir(), reader, &stack.simulator).await;
    books.faults_of_the_log().is_empty().then_some(books)
}

/// The second one began after now, so nothing is being repaired when this returns.
async fn two_more_audits(stack: &Stack) {
    let audits = async || stack.metric("consumer_audits_total").await;
    let before = audits().await.expect("the consumer runs");
    eventually("two more audits", async || {
        (audits().await? >= before + 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_fills_emptied_tables_again_and_the_bill_is_the_same() {
    let (stack, before) = stack_with_a_ledger().await;
    let (writer, reader) = (
        stack.engine(User::Writer).await,
        stack.engine(User::Reader).await,
    );
    let mut hurts: Vec<Vec<&str>> = TABLES.iter().map(|table| vec![*table]).collect();
    hurts.push(TABLES.to_vec());
    for tables in hurts {
        for table in &tables {
            empty(&writer, table).await;
        }
        eventually(&format!("{tables:?} whole again"), async || {
            is_whole(&stack, &reader).await
        })
        .await;
        two_more_audits(&stack).await;
        let now = bill(&reader).await;
        assert_same(&now, &before, &format!("after emptying {tables:?}"));
    }
    assert!(
        stack.metric("consumer_repairs_total").await > Some(0),
        "it was repaired"
    );
}

fn cursor(stack: &Stack) -> PathBuf {
    stack.data_dir().join(fs_names::CONSUMER_CURSOR)
}

/// The whole journal into the tables again.
async fn replay(stack: &Stack, engine: &Engine) -> Replayed {
    let options = journal::Options::new(stack.data_dir().join(fs_names::JOURNAL_DIR));
    let (journal, _) =
        journal::Journal::open(options, Arc::new(journal::RealLayer)).expect("a journal");
    let producer = std::fs::read_to_string(stack.data_dir().join(fs_names::PRODUCER_FILE));
    let source = JournalSource::new(journal.clone(), producer.expect("a producer").trim());
    let options = Options::new(engine.client(User::Writer, store::DATABASE), cursor(stack));
    let replayed = consumer::replay(&source, options, CancellationToken::new()).await;
    journal.close().expect("the journal is closed");
    replayed.expect("the log can be replayed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_into_emptied_tables_gives_the_same_bill_and_further_ones_change_nothing() {
    let (mut stack, before) = stack_with_a_ledger().await;
    stack.terminate().await;
    let engine = stack.own_engine().await;
    let reader = engine.client(User::Reader, store::DATABASE);
    let writer = engine.client(User::Writer, store::DATABASE);
    let events = Books::of(&stack.data_dir(), &reader, &stack.simulator)
        .await
        .events;
    for table in TABLES {
        empty(&writer, table).await;
    }
    assert_ne!(
        bill(&reader).await.report_hash,
        before.report_hash,
        "an empty ledger has another bill"
    );
    for copies in 0..3 {
        let replayed = replay(&stack, &engine).await;
        assert!(replayed.batches > 0, "{replayed:?}");
        let now = bill(&reader).await;
        assert_same(&now, &before, &format!("after {replayed:?}"));
        let books = is_whole(&stack, &reader).await.expect("all is there");
        assert_eq!(books.events, events);
        assert_eq!(
            books.surplus_copies(),
            copies * books.trail.len() as u64,
            "copies stay visible"
        );
    }
    engine.stop().await;
}
