//! The configuration that documents show is what the program takes. Each block of TOML is given to the commands that read it, in a
//! file of the document's name and on the lines where it stands there: what is wrong in it is told with document and line.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use tests::command::{Ended, command};
use tests::within;

/// Nobody listens at the first port.
const NOWHERE: &str = "127.0.0.1:1";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where documents lie.
const FOLDERS: [&str; 2] = ["", "docs/"];
/// Fewer blocks were not found.
const LEAST: usize = 8;
/// What a document writes where a digest is to stand.
const DIGEST: (&str, &str) = (
    "\"…\"",
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
);

/// A block of configuration.
struct Block {
    document: String,
    /// The line above its first.
    line: usize,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for folder in FOLDERS {
        let entries = std::fs::read_dir(format!("{ROOT}/{folder}")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        for name in names.filter(|name| Path::new(name).extension().is_some_and(|of| of == "md")) {
            blocks.extend(blocks_of(&format!("{folder}{name}")));
        }
    }
    blocks
}

fn blocks_of(document: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(format!("{ROOT}/{document}")).expect("a document");
    let lines: Vec<&str> = text.lines().collect();
    let (mut blocks, mut begun) = (Vec::new(), None);
    for (index, line) in lines.iter().enumerate() {
        match begun {
            None if *line == "```toml" => begun = Some(index + 1),
            Some(first) if *line == "```" => {
                blocks.push(Block {
                    document: document.to_owned(),
                    line: first,
                    text: lines[first..index].join("\n"),
                });
                begun = None;
            }
            _ => {}
        }
    }
    assert!(begun.is_none(), "{document} ends in a block");
    blocks
}

/// The commands that read a block, each with what it needs beside it: their door, where somebody listens already.
fn readers(block: &str, taken: &str) -> Vec<(&'static str, String)> {
    let gateway = format!("[gateway]\nlisten = \"{taken}\"\n");
    if block.contains("[log.kafka]") {
        let consumer = format!("[consumer]\nops = \"{taken}\"\n");
        vec![("gateway", gateway), ("consumer", consumer)]
    } else if block.contains("[store]") {
        vec![("migrate", String::new())]
    } else if block.contains("[billing]") {
        let store = format!("[store]\nurl = \"http://{taken}\"\n");
        vec![("billing", store)]
    } else {
        vec![("up", gateway)]
    }
}

/// The same with servers of the store here, where nobody listens.
fn with_servers_at(block: &str, address: &str) -> String {
    let mut parts = block.split("\"http://");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (_, rest) = part.split_once('"').expect("an address has an end");
        format!("{text}\"http://{address}\"{rest}")
    })
}

/// A folder for configurations and what they name, and a door that is taken.
struct Place {
    folder: tempfile::TempDir,
    taken: TcpListener,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a scratch directory"),
            taken: TcpListener::bind("127.0.0.1:0").expect("a port"),
        }
    }

    fn taken(&self) -> String {
        self.taken.local_addr().expect("an address").to_string()
    }

    /// The block as a file that has everything else that a start needs, without a line more before it.
    fn write(&self, block: &Block, more: &str) -> PathBuf {
        let here = self.folder.path().display().to_string();
        let mut text = block.text.replace(DIGEST.0, DIGEST.1);
        for secret in after(&block.text, "_file = \"/") {
            let path = self.folder.path().join(secret);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            std::fs::write(path, "secret").expect("a file can be written");
        }
        text = text.replace("_file = \"/", &format!("_file = \"{here}/"));
        if text.contains("[store]") {
            text = with_servers_at(&text, NOWHERE);
        }
        if text.contains("[billing]") {
            let door = after(&block.text, "\nlisten = \"").next();
            text = text.replace(door.expect("a door"), &self.taken());
        }
        let above = "\n".repeat(block.line - 1);
        let path = self.folder.path().join(&block.document);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        std::fs::write(
            &path,
            format!("{above}data_dir = \"{here}/data\"\n{text}\n{more}"),
        )
        .expect("a file can be written");
        path
    }
}

/// What stands behind each of these words, up to the quotation mark.
fn after<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    let rests = text.split(words).skip(1);
    rests.filter_map(|rest| rest.split('"').next())
}

async fn run(name: &str, config: &Path, block: &Block) -> Ended {
    let mut running = command(&[name], config);
    for variable in after(&block.text, "_env = \"") {
        running.env(variable, "secret");
    }
    let ended = within(&format!("`tollgate {name}` ends"), running.output()).await;
    ended.expect("the program under test starts").into()
}

/// A start that fails at its door, or because its store is away, has taken all of its configuration; nobody is called before.
#[tokio::test]
async fn every_block_of_configuration_is_taken_by_the_commands_that_read_it() {
    let place = Place::new();
    let blocks = blocks();
    assert!(blocks.len() >= LEAST, "{}", blocks.len());
    let mut faults = Vec::new();
    for block in &blocks {
        for (name, more) in readers(&block.text, &place.taken()) {
            let config = place.write(block, &more);
            let ended = run(name, &config, block).await;
            let last = if name == "migrate" {
                "ClickHouse is not available"
            } else {
                "cannot listen on"
            };
            if let Some(fault) = ended.unlike(1, &[last]) {
                let (document, line) = (&block.document, block.line);
                faults.push(format!("{document}:{line}: `tollgate {name}`: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The test before this one would be none if a wrong block were taken too.
#[tokio::test]
async fn a_block_with_a_wrong_key_or_value_is_refused_with_its_document_and_line() {
    let place = Place::new();
    let blocks = blocks_of("docs/deployment.md");
    let is_hosted = |block: &&Block| block.text.contains("\"PLAIN\"");
    let block = blocks.iter().find(is_hosted).expect("a hosted Kafka");
    for (right, wrong, at, why) in [
        ("bootstrap =", "bootstrop =", "bootstrop", "unknown field"),
        ("\"PLAIN\"", "\"PLAIM\"", "PLAIM", "unknown variant"),
        ("tls = {}\n", "", "sasl", "in the clear"),
    ] {
        let text = block.text.replace(right, wrong);
        assert_ne!(text, block.text, "{right}");
        let before = &text[..text.find(at).expect("it stands there")];
        let line = block.line + 1 + before.matches('\n').count();
        let spoilt = Block {
            document: block.document.clone(),
            line: block.line,
            text,
        };
        for (name, more) in readers(&spoilt.text, &place.taken()) {
            let config = place.write(&spoilt, &more);
            let ended = run(name, &config, &spoilt).await;
            let named = match (name, why) {
                // It names no line for what two settings are together.
                ("consumer", "in the clear") => "docs/deployment.md".to_owned(),
                _ => format!("docs/deployment.md:{line}:"),
            };
            assert_eq!(ended.unlike(2, &[&named, why]), None, "{name}");
        }
    }
}
