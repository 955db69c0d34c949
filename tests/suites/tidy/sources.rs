//! Rules of every source file: how it begins, how long it is, what stands in none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::tree::{files, none, read, root, texts};

/// Lines of the longest source file.
const MAX_LINES: usize = 500;
/// Longer ones, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn every_file_says_first_what_it_is_for() {
    let mut faults = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        if !text.starts_with("//! ") {
            faults.push(format!("{name} does not begin with `//!`"));
        }
    }
    for (name, text) in texts(&[".sh"]) {
        let mut lines = text.lines();
        let begins_well = lines.next().is_some_and(|line| line.starts_with("#!"))
            && lines.next().is_some_and(|line| line.starts_with("# "));
        if !begins_well || !text.contains("set -euo pipefail") {
            faults.push(format!(
                "{name} does not begin with `#!`, a comment and `set -euo pipefail`"
            ));
        }
    }
    for (name, text) in texts(&[".py"]) {
        if !text
            .trim_start_matches("#!/usr/bin/env python3\n")
            .starts_with("\"\"\"")
        {
            faults.push(format!("{name} does not begin with a docstring"));
        }
    }
    for (name, text) in texts(&[".sql"]) {
        if !text.starts_with("-- ") {
            faults.push(format!("{name} does not begin with a comment"));
        }
    }
    none(&faults);
}

#[test]
fn a_file_is_short_or_says_why_not() {
    let mut faults = Vec::new();
    let mut excused: BTreeSet<&str> = LONG_FILES.iter().map(|(name, _)| *name).collect();
    for (name, text) in texts(&[".rs", ".py", ".sh"]) {
        let lines = text.lines().count();
        if lines > MAX_LINES && !excused.remove(name.as_str()) {
            faults.push(format!(
                "{name} has {lines} lines: split it, or give the reason in LONG_FILES"
            ));
        }
    }
    faults.extend(
        excused
            .iter()
            .map(|name| format!("{name} is short now: take it out of LONG_FILES")),
    );
    none(&faults);
}

/// Whether a file is compiled for tests alone.
fn is_test(name: &str) -> bool {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let declared = format!("#[cfg(test)]\nmod {stem};");
    let parents =
        ["lib.rs", "mod.rs", "main.rs"].map(|parent| root().join(path.with_file_name(parent)));
    let only_for_tests = parents
        .iter()
        .any(|parent| fs::read_to_string(parent).is_ok_and(|text| text.contains(&declared)));
    name.contains("tests/")
        || name.ends_with("_tests.rs")
        || name.contains("/examples/")
        || only_for_tests
}

/// The text up to its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn nothing_unfinished_and_no_lint_is_silenced() {
    // Put together here, so that this file does not hold what it looks for.
    let everywhere = [
        ("todo", "!("),
        ("unimplemented", "!("),
        ("dbg", "!("),
        ("#[al", "low("),
        ("#![al", "low("),
        ("FIX", "ME"),
        ("XX", "X "),
    ];
    let mut faults = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        for (left, right) in everywhere {
            let needle = format!("{left}{right}");
            for (number, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(&needle))
            {
                faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
        let product = if is_test(&name) {
            ""
        } else {
            without_tests(&text)
        };
        for (number, line) in product.lines().enumerate() {
            if line.contains(concat!(".unw", "rap()")) && !line.trim_start().starts_with("//") {
                faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&faults);
}

/// Paths that every machine of a kind has, named where a test tries to reach them.
const EVERYWHERE: &[&str] = &[concat!("/ro", "ot/.bashrc")];

/// Paths of a machine, and options that name a package index, have no place in the project.
/// Who may name the client of Kafka: one file or folder a crate, so that it could be another client.
const NAMES_KAFKA: &[&str] = &["gateway/src/publish/kafka.rs", "consumer/src/source/kafka"];

#[test]
fn one_place_a_crate_names_the_client_of_kafka() {
    let sources = texts(&[".rs"]).into_iter();
    let faults = sources.filter_map(|(name, text)| {
        let is_free =
            name.starts_with("tests/") || NAMES_KAFKA.iter().any(|at| name.starts_with(at));
        (!is_free && text.contains("rdkafka::")).then(|| format!("{name} names rdkafka"))
    });
    none(&faults.collect::<Vec<_>>());
}

#[test]
fn the_project_names_no_machine() {
    let needles = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
        (".lib", "rary/"),
        ("--index", "-url"),
        ("--extra-index", "-url"),
        ("[sou", "rce."),
        ("/Us", "ers/"),
    ];
    let mut faults = Vec::new();
    for (name, text) in texts(&[
        ".rs", ".py", ".sh", ".md", ".toml", ".sql", ".txt", ".csv", "Makefile", ".lock", "LICENSE",
    ]) {
        for (left, right) in needles {
            let needle = format!("{left}{right}");
            for (number, line) in text.lines().enumerate().filter(|(_, line)| {
                line.contains(&needle) && !EVERYWHERE.iter().any(|path| line.contains(path))
            }) {
                faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&faults);
}

#[test]
fn migrations_are_dense_and_their_files_are_those_that_run() {
    let folder = fs::read_dir(root().join("schemas/migrations")).expect("a folder of migrations");
    let mut names: Vec<String> = folder
        .map(|entry| {
            entry
                .expect("a folder can be listed")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    let run: Vec<String> = schemas::migrations::ALL
        .iter()
        .map(|(version, name, _)| format!("{version:04}_{name}.sql"))
        .collect();
    assert_eq!(names, run);
    let dense: Vec<u32> = (1..).take(run.len()).collect();
    assert_eq!(
        schemas::migrations::ALL
            .iter()
            .map(|(version, ..)| *version)
            .collect::<Vec<_>>(),
        dense
    );
}

/// A suite that nobody declares would never run, and never fail.
#[test]
fn every_suite_is_declared_and_every_script_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let (manifest, machine) = (
        read("tests/Cargo.toml"),
        read("tests/suites/machine/main.rs"),
    );
    let mut faults = Vec::new();
    for (name, path) in files() {
        if let Some(suite) = name
            .strip_prefix("tests/suites/")
            .and_then(|file| file.strip_suffix(".rs"))
            && (!suite.contains('/') || suite.ends_with("/main"))
            && !manifest.contains(&format!("path = \"suites/{suite}.rs\""))
            && !machine.contains(&format!("#[path = \"../{suite}.rs\"]\nmod {suite};"))
        {
            faults.push(format!(
                "{name} stands in no [[test]] of tests/Cargo.toml and not in tests/suites/machine/main.rs, so it never runs"
            ));
        }
        let mode = fs::metadata(&path)
            .expect("a file has a mode")
            .permissions()
            .mode();
        let is_script = fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"#!"));
        if is_script && mode & 0o111 == 0 {
            faults.push(format!(
                "{name} begins with `#!` and cannot be run: chmod +x"
            ));
        }
    }
    none(&faults);
}
