//! Rules of crates and their dependencies: who may know whom, and what each is for.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{none, read};

/// What a crate may name of ours; arrows point down only.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("journal", &[]),
    ("runtime", &[]),
    ("archive", &["schemas", "runtime"]),
    ("simulator", &[]),
    ("store", &["schemas", "runtime"]),
    ("gateway", &["schemas", "journal", "runtime"]),
    (
        "consumer",
        &["schemas", "journal", "archive", "store", "runtime"],
    ),
    ("billing", &["schemas", "store", "runtime"]),
    ("fuzz", &["schemas", "gateway"]),
];
/// Who may name an outside crate. `tests` sees everything.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("rdkafka", &["gateway", "consumer"]),
    ("axum", &["gateway", "billing"]),
    ("clickhouse", &["store"]),
    ("libloading", &["store"]),
    ("landlock", &["store"]),
    ("zstd", &["archive"]),
];
/// What the pure crate must not know.
const NOT_IN_SCHEMAS: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "reqwest",
    "http",
    "clickhouse",
    "rdkafka",
    "rustix",
    "tracing",
];

/// Names of the dependencies in a manifest's section.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(manifest).parse().expect("a manifest is TOML");
    let found = manifest.get(section).and_then(toml::Value::as_table);
    found
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

fn members() -> Vec<String> {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest is TOML");
    let members = manifest["workspace"]["members"]
        .as_array()
        .expect("a list of members");
    members
        .iter()
        .filter_map(|member| member.as_str().map(str::to_owned))
        .collect()
}

#[test]
fn arrows_between_crates_point_down() {
    let members = members();
    let mut faults = Vec::new();
    for member in members.iter().filter(|member| *member != "tests") {
        let Some((_, known)) = MAY_KNOW.iter().find(|(name, _)| name == member) else {
            faults.push(format!("{member} stands in no line of MAY_KNOW"));
            continue;
        };
        let used = dependencies(&format!("{member}/Cargo.toml"), "dependencies");
        let ours = used.iter().filter(|name| members.contains(name));
        faults.extend(
            ours.filter(|name| !known.contains(&name.as_str()))
                .map(|name| format!("{member} knows {name}")),
        );
        for (outside, allowed) in MAY_NAME {
            if used.contains(*outside) && !allowed.contains(&member.as_str()) {
                faults.push(format!("{member} depends on {outside}"));
            }
        }
    }
    let pure = dependencies("schemas/Cargo.toml", "dependencies");
    faults.extend(
        NOT_IN_SCHEMAS
            .iter()
            .filter(|name| pure.contains(**name))
            .map(|name| format!("schemas knows {name}")),
    );
    for (outside, _) in MAY_NAME {
        if dependencies("Cargo.toml", "dependencies").contains(*outside) {
            faults.push(format!("the binary depends on {outside}"));
        }
    }
    none(&faults);
}

#[test]
fn every_dependency_is_named_once_with_what_it_is_for_and_used() {
    let manifest = read("Cargo.toml");
    let section = manifest
        .split("[workspace.dependencies]\n")
        .nth(1)
        .expect("a section of dependencies");
    let section = section.split("\n[").next().unwrap_or(section);
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut faults = Vec::new();
    for folder in members()
        .iter()
        .map(|member| format!("{member}/"))
        .chain([String::new()])
    {
        let path = format!("{folder}Cargo.toml");
        for kind in ["dependencies", "dev-dependencies"] {
            for name in dependencies(&path, kind) {
                users.entry(name).or_default().push(path.clone());
            }
        }
        for line in read(&path)
            .lines()
            .filter(|line| line.contains("version = \"") && line.contains('{'))
        {
            if !folder.is_empty() {
                faults.push(format!("{path} states a version of its own: {line}"));
            }
        }
    }
    // A comment is for the lines below it, up to the next one; no comment is for more than a handful.
    let mut below_comment = usize::MAX;
    for line in section.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            below_comment = 0;
            continue;
        }
        below_comment = below_comment.saturating_add(1);
        let name = line.split([' ', '.']).next().unwrap_or_default();
        if below_comment > 8 {
            faults.push(format!("{name} has no line that says what it is for"));
        }
        if !users.contains_key(name) {
            faults.push(format!("{name} is used by nobody"));
        }
    }
    none(&faults);
}

#[test]
fn dependencies_come_from_the_public_registry() {
    let lock: toml::Table = read("Cargo.lock").parse().expect("a lock file is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let sources = packages
        .iter()
        .filter_map(|package| package.get("source")?.as_str());
    let public = "registry+https://github.com/rust-lang/crates.io-index";
    none(
        &sources
            .filter(|source| *source != public)
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
}
