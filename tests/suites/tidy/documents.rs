//! Rules of documents: links lead somewhere, tests and metrics that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tree::{none, read, root, texts};

/// A heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for (name, text) in texts(&[".md"]) {
        let folder = Path::new(&name)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                PathBuf::from(&name)
            } else {
                folder.join(path)
            };
            let full = root().join(&target);
            if !full.exists() {
                faults.push(format!("{name} links to {link}, which is not there"));
            } else if !place.is_empty()
                && !anchors(&fs::read_to_string(full).unwrap_or_default()).contains(place)
            {
                faults.push(format!("{name} links to {link}, which has no such heading"));
            }
        }
    }
    none(&faults);
}

/// A source by its path from the root, or from a crate's sources where a document speaks of that crate.
fn source_text(path: &str) -> Option<String> {
    let folders = fs::read_dir(root())
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("src")));
    let mut places = [root()].into_iter().chain(folders);
    places.find_map(|place| fs::read_to_string(place.join(path)).ok())
}

/// In tables a test is named as `path::name`; a path alone is a file or folder.
#[test]
fn tests_and_files_that_documents_name_exist() {
    let mut faults = Vec::new();
    for (name, text) in texts(&[".md"]) {
        for word in text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| !word.contains(char::is_whitespace))
        {
            let (path, test) = word.split_once("::").unwrap_or((word, ""));
            let is_source = path.contains('/')
                && [".rs", ".py", ".sh", ".sql"]
                    .iter()
                    .any(|ending| path.ends_with(ending));
            if !is_source || path.contains(['*', '<', '…', 'N']) {
                continue;
            }
            match source_text(path) {
                None => faults.push(format!("{name} names {path}, which is not there")),
                Some(source)
                    if !test.is_empty()
                        && !source.contains(&format!("fn {test}("))
                        && !source.contains(&format!("def {test}(")) =>
                {
                    faults.push(format!("{name} names {word}, and {path} has no such test"));
                }
                Some(_) => {}
            }
        }
    }
    none(&faults);
}

/// Names of the metrics that a source registers: the first text after a call that registers one.
fn registered(path: &str, prefix: &str) -> BTreeSet<String> {
    let text = read(path);
    let mut names = BTreeSet::new();
    for (call, suffix) in [
        ("registry.register(", ""),
        (" counter(", ""),
        ("registry.register_with_unit(", "_seconds"),
    ] {
        for after in text.split(call).skip(1) {
            if let Some(name) = after
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next())
            {
                let call = after.split(");").next().unwrap_or_default();
                let is_size = !suffix.is_empty() && call.contains("Unit::Bytes");
                let suffix = if is_size { "_bytes" } else { suffix };
                names.insert(format!("{prefix}{name}{suffix}"));
            }
        }
    }
    assert!(!names.is_empty(), "{path} registers metrics");
    names
}

#[test]
fn the_document_of_metrics_is_the_list_of_metrics() {
    let document = read("docs/metrics.md");
    let rows = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `tollgate_"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split(['`', '{']).next())
        .map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned())
        .collect();
    let mut coded = registered("gateway/src/metrics/register.rs", "");
    coded.extend(registered("consumer/src/metrics.rs", "consumer_"));
    coded.extend(registered("consumer/src/archiving.rs", "archive_"));
    coded.extend(registered("gateway/src/publish/metrics.rs", "publisher_"));
    coded.extend(registered("billing/src/api/metrics.rs", "billing_"));
    let missing = coded
        .difference(&documented)
        .map(|name| format!("{name} stands in no row of docs/metrics.md"));
    let invented = documented
        .difference(&coded)
        .map(|name| format!("docs/metrics.md names {name}, which nobody registers"));
    none(&missing.chain(invented).collect::<Vec<_>>());
}
