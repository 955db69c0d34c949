//! The SDK matrix: the official clients, unmodified, with only base URL and key changed. Whatever API they call, plain or
//! streamed, and whatever comes of it, they see what a direct call shows, and the record is right.
//!
//! The cells are data (`tests/sdk_matrix.json`); the calls are made by scripts in `tests/python` and `tests/js`.

mod records;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use simulator::{ModelSettings, Settings};
use tests::{Plan, Rig, node, printed, python};

use crate::records::{Events, Truth, by_nonce, faults};
use crate::table::{Cell, Line, Table};

const SECRET: &str = "tg-sdk-key";
/// Faults that are shown in full.
const SHOWN: usize = 40;

/// A deployment for each way of addressing: `OpenAI`'s, Azure's with versions, Azure's without.
const DEPLOYMENTS: [(&str, &str); 3] = [
    ("", "provider = \"openai\"\nbase_url = \"{provider}\""),
    (
        "az-",
        "provider = \"azure\"\nbase_url = \"{resource}\"\napi_version = \"2024-10-21\"",
    ),
    (
        "v1-",
        "provider = \"azure\"\nbase_url = \"{resource}/openai/v1\"",
    ),
];

fn plan(table: &Table) -> Plan {
    let mut rest = String::new();
    let mut models = BTreeMap::new();
    for (prefix, of_prefix) in table.models() {
        let (_, lines) = DEPLOYMENTS
            .iter()
            .find(|(known, _)| *known == prefix)
            .expect("a deployment of the prefix");
        write!(
            rest,
            "[[deployments]]\nid = \"{prefix}simulator\"\nauth = \"none\"\n{lines}\n"
        )
        .expect("a text grows");
        for model in of_prefix {
            write!(
                rest,
                "[[routes]]\nmodel = \"{prefix}{model}\"\ndeployment = \"{prefix}simulator\"\n"
            )
            .expect("a text grows");
            if !prefix.is_empty() {
                let served = ModelSettings {
                    served: Some(model.to_owned()),
                    ..ModelSettings::default()
                };
                models.insert(format!("{prefix}{model}"), served);
            }
        }
    }
    let plan = Plan {
        // More answers are read on at once than in any day's work: every client of every call hangs up in the same seconds.
        // Between an app's patience in the table and the stalls that it is to outlast.
        gateway: "first_byte_timeout_ms = 9000\nbetween_chunks_timeout_ms = 13000\nstranger_records_per_second = 100000\ndrain = { at_once = 4096 }".to_owned(),
        rest,
        simulator: Settings { models, ..Settings::default() },
        ..Plan::default()
    };
    let nonce = "{ name = \"nonce\", header = \"x-client-request-id\", plain = true }";
    plan.tenant("acme", nonce, &[("acme-1", SECRET, "")])
}

/// Runs the scripts side by side and reads what they say.
async fn lines(table: &Table, rig: &Rig) -> Vec<Line> {
    let scripts = [
        (
            python("sdk_matrix.py"),
            table.clients_of("openai", "python"),
        ),
        (
            python("sdk_langchain.py"),
            table.clients_of("langchain-openai", "langchain"),
        ),
        (node("sdk_matrix.mjs"), table.clients_of("openai", "js")),
    ];
    let running = scripts.map(|(mut command, clients)| {
        prepare(&mut command, rig).args(clients);
        tokio::task::spawn_blocking(move || command.output())
    });
    let mut lines = Vec::new();
    for run in running {
        let output = run
            .await
            .expect("a task ends")
            .expect("the interpreter starts");
        assert!(output.status.success(), "{}", printed(&output));
        let said = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        lines.extend(
            said.map(|line| line.expect("a script says lines of JSON"))
                .collect::<Vec<Line>>(),
        );
    }
    lines
}

fn prepare<'a>(command: &'a mut Command, rig: &Rig) -> &'a mut Command {
    command
        .env("TOLLGATE_MATRIX", Table::path())
        .env("TOLLGATE_GATEWAY", format!("http://{}", rig.app()))
        .env(
            "TOLLGATE_PROVIDER",
            format!("http://{}", rig.simulator.addr()),
        )
        .env("TOLLGATE_API_KEY", SECRET)
}

/// What came of a run.
#[derive(Debug, Default)]
struct Run {
    cells: BTreeSet<Cell>,
    faulty: BTreeSet<Cell>,
    /// Of cells that are known to be wrong.
    known: Vec<String>,
    found: Vec<String>,
    /// Events that a call was found for.
    matched: BTreeSet<String>,
    /// Calls without a record in cells that are known to be wrong.
    unmatched: usize,
}

impl Run {
    fn take(&mut self, line: &Line, table: &Table, events: &Events, truth: &Truth) {
        let mut faults_of_line: Vec<String> = line.fault.iter().cloned().collect();
        let names = [Some(&line.nonce), line.request_id.as_ref()];
        let name = names
            .into_iter()
            .flatten()
            .find(|name| events.contains_key(*name));
        let (call, case) = (table.call(&line.call), table.case(&line.case));
        match name.map(|name| events[name].as_slice()) {
            Some([event]) => faults_of_line.extend(faults(line, call, case, event, truth)),
            Some(many) => faults_of_line.push(format!("{} records", many.len())),
            None => faults_of_line.push("no record".to_owned()),
        }
        self.matched.extend(name.cloned());
        let place = line.cell();
        if !faults_of_line.is_empty() {
            let told = format!("{place:?} {}: {}", line.nonce, faults_of_line.join("; "));
            if table.is_open(&place) {
                self.unmatched += usize::from(name.is_none());
                self.known.push(told);
            } else {
                self.found.push(told);
            }
            self.faulty.insert(place.clone());
        }
        self.cells.insert(place);
    }

    /// Records of no call. Who is refused and does not see it leaves one.
    fn close(&mut self, table: &Table, events: &Events) {
        let strangers = events.keys().filter(|name| !self.matched.contains(*name));
        let (refused, others): (Vec<&String>, Vec<_>) =
            strangers.partition(|name| events[*name][0]["outcome"] == "refused_auth");
        let surplus = refused.iter().skip(self.unmatched).chain(&others);
        self.found
            .extend(surplus.map(|name| format!("a record of no call: {:?}", events[*name])));
        self.found.extend(differing(table, &self.cells));
        self.found.extend(table.mended(&self.faulty));
    }
}

#[tokio::test]
async fn every_client_sees_what_a_direct_call_shows_and_every_record_is_right() {
    let table = Table::read();
    let gaps = table.gaps();
    assert!(gaps.is_empty(), "{gaps:#?}");
    let rig = Rig::start(plan(&table)).await;
    let started = Instant::now();
    let lines = lines(&table, &rig).await;
    let took = started.elapsed();
    let events = by_nonce(rig.events().await);
    let truth = Truth::of(&rig.simulator);
    let mut run = Run::default();
    for line in &lines {
        run.take(line, &table, &events, &truth);
    }
    run.close(&table, &events);
    println!("{}", table.shown(&run.cells, &run.faulty));
    println!(
        "{} cells in {} calls through the gateway, in {took:.1?}",
        run.cells.len(),
        lines.len()
    );
    println!(
        "{} of them known to be wrong:\n{}",
        run.known.len(),
        first(&run.known)
    );
    assert!(
        run.found.is_empty(),
        "{} faults:\n{}",
        run.found.len(),
        first(&run.found)
    );
}

fn first(faults: &[String]) -> String {
    faults[..faults.len().min(SHOWN)].join("\n")
}

/// Cells that should have been run and were not, or the other way round.
fn differing(table: &Table, run: &BTreeSet<Cell>) -> Vec<String> {
    let cells = table.cells();
    let differing = cells
        .iter()
        .filter(|(cell, excuse)| run.contains(*cell) == excuse.is_some());
    differing
        .map(|(cell, excuse)| {
            format!(
                "{cell:?}: run {}, excused by {excuse:?}",
                run.contains(cell)
            )
        })
        .collect()
}
