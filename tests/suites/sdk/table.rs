//! The table of cells, `tests/sdk_matrix.json`: what there is to be run, what is excused, and how a run is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(rename = "about")]
    _about: String,
    modes: Vec<String>,
    /// What is called.
    pub calls: Vec<Call>,
    no_such_call: Vec<NoSuchCall>,
    /// What comes of it.
    pub cases: Vec<Case>,
    clients: Vec<Client>,
    not_run: Vec<Excuse>,
    open: Vec<Open>,
}

/// A call of an API in one of its modes.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub name: String,
    api: String,
    mode: String,
    /// The API as records name it.
    pub recorded: String,
    /// `None` where no model is named.
    pub model: Option<String>,
    /// Where the provider tells no figure.
    pub untold: Option<Untold>,
    /// What is asked.
    pub params: Value,
}

/// What is counted of a call of which the provider tells nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untold {
    why: String,
    /// The figures.
    pub units: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSuchCall {
    apis: Vec<String>,
    modes: Vec<String>,
    why: String,
}

/// What comes of a call.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    pub record: Expected,
}

/// What a record must say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub outcome: String,
    pub status: i64,
    pub units: Figures,
}

/// Which figures a record must have.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Figures {
    /// The provider's, all of them.
    Told,
    /// The provider's, read after the app had gone.
    Drained,
    /// No figure of the provider's came.
    NotTold,
    /// None at all.
    None,
}

#[derive(Debug, Deserialize)]
struct Client {
    name: String,
    of: String,
    prefix: String,
}

/// Cells that are not run, and why.
#[derive(Debug, Deserialize)]
struct Excuse {
    apis: Option<BTreeSet<String>>,
    calls: Option<BTreeSet<String>>,
    cases: Option<BTreeSet<String>>,
    clients: Option<BTreeSet<String>>,
    why: String,
}

/// Cells that are known to be wrong, and why.
#[derive(Debug, Deserialize)]
struct Open {
    #[serde(flatten)]
    cells: Excuse,
    /// In every run; it is an error to say so of what has been mended.
    always: bool,
}

/// A cell: client, call, case.
pub type Cell = (String, String, String);

/// One call through the gateway, as a script tells of it.
#[derive(Debug, Deserialize)]
pub struct Line {
    pub client: String,
    pub call: String,
    pub case: String,
    /// `value` or `bytes`.
    pub kind: String,
    /// Names the call in the provider's truth and in the record's labels.
    pub nonce: String,
    /// As asked.
    pub model: Option<String>,
    /// The gateway's name of it, where the client shows that.
    pub request_id: Option<String>,
    /// In what it differs from a direct call.
    pub fault: Option<String>,
}

impl Line {
    pub fn cell(&self) -> Cell {
        (self.client.clone(), self.call.clone(), self.case.clone())
    }
}

impl Table {
    pub fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk_matrix.json")
    }

    pub fn read() -> Self {
        let text = std::fs::read_to_string(Self::path()).expect("the table can be read");
        serde_json::from_str(&text).expect("the table is well formed")
    }

    pub fn call(&self, name: &str) -> &Call {
        let found = self.calls.iter().find(|call| call.name == name);
        found.unwrap_or_else(|| panic!("the table has no call `{name}`"))
    }

    pub fn case(&self, name: &str) -> &Case {
        let found = self.cases.iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("the table has no case `{name}`"))
    }

    /// Clients of a library, as a script takes their names.
    pub fn clients_of(&self, of: &str, prefix: &str) -> Vec<&str> {
        let clients = self.clients.iter();
        let chosen = clients.filter(|client| client.of == of && client.name.starts_with(prefix));
        chosen.map(|client| client.name.as_str()).collect()
    }

    /// The models of each prefix: a prefix is a deployment of the gateway's.
    pub fn models(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let models: BTreeSet<&str> = self
            .calls
            .iter()
            .filter_map(|c| c.model.as_deref())
            .collect();
        let prefixes = self.clients.iter().map(|client| client.prefix.as_str());
        prefixes.map(|prefix| (prefix, models.clone())).collect()
    }

    /// Every cell of the product, with the reason why it is not run if there is one.
    pub fn cells(&self) -> BTreeMap<Cell, Option<&str>> {
        let mut cells = BTreeMap::new();
        for client in &self.clients {
            for call in &self.calls {
                for case in &self.cases {
                    let cell = (client.name.clone(), call.name.clone(), case.name.clone());
                    let excuse = self.not_run.iter().find(|e| e.covers(&cell, &call.api));
                    cells.insert(cell, excuse.map(|excuse| excuse.why.as_str()));
                }
            }
        }
        cells
    }

    /// Whether a cell is known to be wrong.
    pub fn is_open(&self, cell: &Cell) -> bool {
        let api = &self.call(&cell.1).api;
        self.open.iter().any(|open| open.cells.covers(cell, api))
    }

    /// What is said to be wrong in every run, and was not in this one.
    pub fn mended(&self, faulty: &BTreeSet<Cell>) -> Vec<String> {
        let covers = |open: &Open, cell: &Cell| open.cells.covers(cell, &self.call(&cell.1).api);
        let always = self.open.iter().filter(|open| open.always);
        let mended = always.filter(|open| !faulty.iter().any(|cell| covers(open, cell)));
        mended
            .map(|open| format!("mended, take it out of `open`: {}", open.cells.why))
            .collect()
    }

    /// APIs in modes that are neither called nor said not to exist; and reasons without a reason.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let apis: BTreeSet<&str> = self.calls.iter().map(|call| call.api.as_str()).collect();
        for api in apis {
            for mode in &self.modes {
                let called = self
                    .calls
                    .iter()
                    .any(|call| call.api == api && call.mode == *mode);
                let absent = self
                    .no_such_call
                    .iter()
                    .any(|no| no.apis.iter().any(|known| known == api) && no.modes.contains(mode));
                if called == absent {
                    gaps.push(format!(
                        "{api}, {mode}: called {called}, said not to exist {absent}"
                    ));
                }
            }
        }
        let whys = self.no_such_call.iter().map(|no| &no.why);
        let whys = whys.chain(self.not_run.iter().map(|excuse| &excuse.why));
        let whys = whys.chain(self.open.iter().map(|open| &open.cells.why));
        let whys = whys.chain(
            self.calls
                .iter()
                .filter_map(|call| Some(&call.untold.as_ref()?.why)),
        );
        gaps.extend(
            whys.filter(|why| why.len() < 10)
                .map(|why| format!("no reason: `{why}`")),
        );
        gaps
    }

    /// A row a call, a column a case: how many clients ran it; `-` where all are excused; how many are wrong, behind
    /// `?` where that is known and behind `!` where it is not.
    pub fn shown(&self, run: &BTreeSet<Cell>, faulty: &BTreeSet<Cell>) -> String {
        let line = |head: &str, columns: Vec<String>| {
            let columns = columns.iter().map(|column| format!("{column:>10}"));
            format!("{head:30}{}", columns.collect::<String>())
        };
        let names = self.cases.iter().map(|case| case.name.clone());
        let mut lines = vec![line("clients that ran it", names.collect())];
        for call in &self.calls {
            let columns = self.cases.iter().map(|case| {
                let same = |cell: &&Cell| cell.1 == call.name && cell.2 == case.name;
                let ran = run.iter().filter(same).count();
                let wrong: Vec<&Cell> = faulty.iter().filter(same).collect();
                let sign = if wrong.iter().all(|cell| self.is_open(cell)) {
                    '?'
                } else {
                    '!'
                };
                match (ran, wrong.len()) {
                    (0, _) => "-".to_owned(),
                    (ran, 0) => ran.to_string(),
                    (ran, wrong) => format!("{sign}{wrong} of {ran}"),
                }
            });
            lines.push(line(&call.name, columns.collect()));
        }
        lines.join("\n")
    }
}

impl Excuse {
    fn covers(&self, (client, call, case): &Cell, api: &str) -> bool {
        let has = |set: &Option<BTreeSet<String>>, name: &str| {
            set.as_ref().is_none_or(|set| set.contains(name))
        };
        has(&self.clients, client)
            && has(&self.apis, api)
            && has(&self.calls, call)
            && has(&self.cases, case)
    }
}
