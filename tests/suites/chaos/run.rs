//! One run: start, send and hurt side by side, settle, judge, print.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use simulator::TruthLog;
use tokio::task::JoinSet;

use crate::gateways::Deaths;
use crate::load::{self, Line, Load};
use crate::pace::Pace;
use crate::settle::{completeness, settle};
use crate::size::Size;
use crate::stack::{CLOCK_OFF, Stack};
use crate::table::{Table, Void};
use crate::truth::Provider;
use crate::{brokers, consumers, copies, engine, gateways, judge, tables};

const CLOCK: &str = "gateway: clock an hour ahead";
/// The clock is wrong by so much, give or take.
const HOUR_S: std::ops::Range<i64> = 3_300..3_900;
/// How often the provider's book is taken over, and progress is said.
const TAKE_EVERY: Duration = Duration::from_secs(1);
const SAY_EVERY: u32 = 15;

/// What a consumer says where records are lost that no fault of a run takes.
const LOST: [&str; 4] = [
    "never written to the store",
    "no longer in the log",
    "can not be repaired",
    "of the log can not be read",
];
/// What it says of an answer of a broker's that was wrong.
const ODD: [&str; 1] = ["was said to begin at"];

/// A provider with every vice, and no patience lost on it.
pub fn provider(seed: u64) -> simulator::Settings {
    simulator::Settings {
        seed,
        count: simulator::Count::Bytes,
        latency_jitter_ms: 10,
        cached_tokens: 1,
        stall_ms: 100,
        p_429: 0.01,
        p_500: 0.01,
        p_502_html: 0.002,
        // A 503 is a gateway's own: by it a full disk is seen.
        p_503: 0.0,
        p_reset_before_head: 0.005,
        p_reset_mid: 0.005,
        p_reset_before_usage: 0.005,
        p_stall_before_head: 0.002,
        p_stall_mid: 0.002,
        p_no_usage: 0.01,
        p_no_stream_usage: 0.01,
        p_error_event: 0.005,
        p_json_for_stream: 0.005,
        p_html_200: 0.002,
        ..simulator::Settings::default()
    }
}

/// Runs; says why the result is not what it must be.
pub async fn run(size: &Size) -> Result<(), String> {
    let mut stack = Stack::start(size, provider(size.seed)).await;
    let mut sent = Sent::begin(&stack, size);
    let (table, deaths) = (Table::default(), Deaths::default());
    let load = sent.load.clone();
    let hurting = Box::pin(hurt(&mut stack, size, &load, (&table, &deaths)));
    let hurt = sent.beside(&table, hurting).await;
    let sent_again = hurt.map_err(|void| void.to_string())?;
    let again = size.again();
    let asked = (size.requests, again.as_str());
    sent.end(&mut stack, asked, (&table, &deaths), sent_again)
        .await
}

/// What is sent by a run, and how it is known what became of it.
pub struct Sent {
    pub load: Arc<Load>,
    clients: JoinSet<Vec<Line>>,
    truth: TruthLog,
    books: Provider,
    started: Instant,
}

impl Sent {
    /// Clients that may not send yet.
    pub fn begin(stack: &Stack, size: &Size) -> Self {
        let load = Arc::new(Load::new([stack.gateways[0].app, stack.gateways[1].app]));
        let clients = load::begin(&load, &mut size.chance(0));
        Self {
            load,
            clients,
            truth: stack.simulator.truth(),
            books: Provider::default(),
            started: Instant::now(),
        }
    }

    /// Takes the provider's book over while something goes on, and says how far all is.
    pub async fn beside<T>(&mut self, table: &Table, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = take(&mut self.books, &self.truth, &self.load, table, self.started) => match never {},
        }
    }

    /// Sends the rest, waits until everything is well and in the store, and holds the books against each other.
    pub async fn end(
        mut self,
        stack: &mut Stack,
        (requests, again): (u64, &str),
        (table, deaths): (&Table, &Deaths),
        sent_again: u64,
    ) -> Result<(), String> {
        self.load.finish(requests);
        let clients = std::mem::take(&mut self.clients);
        let book = self.beside(table, clients.join_all()).await;
        let book: Vec<Line> = book.into_iter().flatten().collect();
        let sent_in = self.started.elapsed();
        let client = settle(stack).await;
        self.books.take(&self.truth);
        let settled_in = self.started.elapsed();
        let mut verdict = judge::judge(&client, &book, self.load.numbers(), &self.books).await;
        verdict.judge_refusals(deaths);
        tables::judge(&client, &mut verdict).await;
        let copies = tables::copies(&client).await;
        if copies < sent_again {
            verdict.fault("the tables", || {
                format!(
                    "{sent_again} records were sent again, and the log's trail has {copies} copies"
                )
            });
        }
        for line in stack.members.iter().flat_map(|of| of.process.said(&LOST)) {
            verdict.fault("a consumer's alarm", || line);
        }
        for line in stack.members.iter().flat_map(|of| of.process.said(&ODD)) {
            println!("chaos: {line}");
        }
        let complete = completeness(stack).await;
        if let Err(said) = &complete {
            verdict.fault("completeness", || said.clone());
        }
        clock(&client, table).await?;
        let surplus = tables::surplus(&client).await;
        let report = report(
            again,
            &self.load,
            table,
            (copies, surplus),
            (sent_in, settled_in),
        );
        println!("{report}\n{}\n{verdict}", complete.unwrap_or_default());
        if verdict.is_good() {
            Ok(())
        } else {
            Err(format!("numbers were changed:\n{verdict}"))
        }
    }
}

/// All faults, of every kind beside the others. Gives how many usage records were sent again.
async fn hurt(
    stack: &mut Stack,
    size: &Size,
    load: &Arc<Load>,
    (table, deaths): (&Table, &Deaths),
) -> Result<u64, Void> {
    let pace = Pace::new(size.requests, load.clone());
    let (servers, view) = (stack.cluster.servers(), stack.view());
    let ops = [stack.members[0].ops, stack.members[1].ops];
    let faults = |full_disks| gateways::Faults {
        kills: size.kills.div_ceil(2),
        points: size.points.div_ceil(2),
        full_disks,
    };
    let [one, two] = &mut stack.gateways;
    let gateway = |gateway, number| gateways::Hurt {
        gateway,
        number,
        load,
        table,
        deaths,
    };
    let (of_one, of_two) = (faults(0), faults(size.full_disks));
    let lanes = [
        of_one.count(),
        of_two.count(),
        consumers::count(size),
        brokers::count(size),
    ];
    let [lane_one, lane_two, lane_consumers, lane_brokers] = lanes.map(|of| pace.lane(of));
    let (lane_engine, lane_copies) = (pace.lane(engine::count(size)), pace.lane(size.copies.0));
    let consumers = consumers::Hurt {
        members: &mut stack.members,
        table,
    };
    let brokers = brokers::Hurt {
        cluster: &mut stack.cluster,
        doors: &stack.doors,
        view,
        table,
    };
    let engine = engine::Hurt {
        engine: &mut stack.engine,
        members: ops,
        load,
        table,
    };
    let all = async {
        tokio::try_join!(
            gateway(one, 0).run(of_one, lane_one, size.chance(1)),
            gateway(two, 1).run(of_two, lane_two, size.chance(2)),
            consumers.run(size, lane_consumers, size.chance(3)),
            brokers.run(size, lane_brokers, size.chance(4)),
            engine.run(size, lane_engine, size.chance(5)),
            copies::send(servers, size.copies, lane_copies, table, size.chance(6)),
        )
    };
    tokio::select! {
        hurt = all => hurt.map(|(.., sent_again)| sent_again),
        never = pace.keep() => match never {},
    }
}

/// Takes the provider's book over while it grows, and says how far all is.
async fn take(
    books: &mut Provider,
    truth: &TruthLog,
    load: &Load,
    table: &Table,
    started: Instant,
) -> std::convert::Infallible {
    let mut tick = tokio::time::interval(TAKE_EVERY);
    for round in 1_u32.. {
        tick.tick().await;
        books.take(truth);
        if round.is_multiple_of(SAY_EVERY) {
            let seconds = started.elapsed().as_secs();
            println!(
                "chaos: {seconds} s, {} requests, {} faults",
                load.done(),
                table.all()
            );
        }
    }
    std::future::pending().await
}

/// The wrong clock shows in the records.
async fn clock(client: &store::Client, table: &Table) -> Result<(), String> {
    let apart = tables::clocks_apart(client).await;
    if !HOUR_S.contains(&apart) {
        let why = format!("{CLOCK_OFF}, and the gateways' last records are {apart} s apart");
        return Err(Void { fault: CLOCK, why }.to_string());
    }
    table.bit(
        CLOCK,
        format!("the gateways' last records are {apart} s apart"),
    );
    Ok(())
}

fn report(
    again: &str,
    load: &Load,
    table: &Table,
    (copies, surplus): (u64, u64),
    (sent_in, settled_in): (Duration, Duration),
) -> String {
    let mut text = format!("chaos: {again}\n{table}");
    let (requests, seconds) = (load.done(), sent_in.as_secs().max(1));
    let written = writeln!(
        text,
        "{requests} requests in {seconds} s, {} a second under faults; all in the store after {} s; {copies} copies in the log \
         collapsed, {surplus} surplus rows in the trail",
        requests / seconds,
        settled_in.as_secs(),
    );
    written.expect("a text grows");
    text
}
