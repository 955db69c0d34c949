//! A trace of real traffic, replayed through the official client: the report equals the provider's truth to the token
//! and a second calculation to the last digit. The rows are generated with the trace's quantiles; `make trace` replays
//! the trace itself by the same scripts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{interpreter, printed, python, tollgate};

const ROWS: u32 = 1_000;
/// How many of a thousand rows have at most so many tokens. "Azure LLM inference trace 2023", code, 8,819 rows:
/// `AzurePublicDataset`, CC-BY 4.0; Patel et al., "Splitwise", ISCA 2024.
const PROMPT_TOKENS: [(u32, u32); 17] = [
    (0, 3),
    (10, 17),
    (50, 75),
    (100, 147),
    (200, 386),
    (300, 770),
    (400, 1_075),
    (500, 1_469),
    (600, 1_909),
    (700, 2_433),
    (800, 3_192),
    (900, 5_186),
    (950, 7_302),
    (980, 7_436),
    (990, 7_436),
    (999, 7_437),
    (1_000, 7_437),
];
const GENERATED_TOKENS: [(u32, u32); 17] = [
    (0, 6),
    (10, 6),
    (50, 6),
    (100, 7),
    (200, 8),
    (300, 9),
    (400, 11),
    (500, 13),
    (600, 16),
    (700, 20),
    (800, 29),
    (900, 55),
    (950, 90),
    (980, 172),
    (990, 252),
    (999, 824),
    (1_000, 1_899),
];
/// Prime to `ROWS - 1`, so that each place of one column meets another of the other.
const STRIDE: u32 = 617;

/// The value at `place` of `last`, on the straight line between two quantiles.
fn at(quantiles: &[(u32, u32)], place: u32, last: u32) -> u32 {
    let mills = u64::from(place) * 1_000;
    let of = |mill: u32| u64::from(mill) * u64::from(last);
    let next = quantiles
        .iter()
        .position(|(mill, _)| of(*mill) >= mills)
        .expect("the last quantile is 1,000")
        .max(1);
    let ((left, low), (right, high)) = (quantiles[next - 1], quantiles[next]);
    let risen = u64::from(high - low) * (mills - of(left)) / (of(right) - of(left));
    low + u32::try_from(risen).expect("below the next quantile")
}

fn rows() -> Vec<(u32, u32)> {
    let last = ROWS - 1;
    let generated = |row: u32| {
        at(
            &GENERATED_TOKENS,
            if row == last {
                last
            } else {
                row * STRIDE % last
            },
            last,
        )
    };
    (0..ROWS)
        .map(|row| (at(&PROMPT_TOKENS, row, last), generated(row)))
        .collect()
}

#[test]
fn the_generated_rows_have_the_traces_quantiles() {
    let rows = rows();
    for (what, quantiles, mut column) in [
        (
            "prompt",
            PROMPT_TOKENS,
            rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        ),
        (
            "generated",
            GENERATED_TOKENS,
            rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        ),
    ] {
        column.sort_unstable();
        for (mill, tokens) in quantiles {
            let place = usize::try_from(mill * (ROWS - 1) / 1_000).expect("a place in the list");
            let (below, above) = (column[place], column[(place + 1).min(column.len() - 1)]);
            assert!(
                below <= tokens && tokens <= above,
                "{what} at {mill}: {below}, {above}, not {tokens}"
            );
        }
    }
}

fn run(mut command: Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[test]
fn a_thousand_rows_are_billed_to_the_token_and_to_the_last_digit() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (trace, kept) = (folder.path().join("trace.csv"), folder.path().join("run"));
    let mut text = String::from("TIMESTAMP,ContextTokens,GeneratedTokens\n");
    for (prompt, generated) in rows() {
        writeln!(text, "2023-11-16 18:17:03.9799600,{prompt},{generated}").expect("a text grows");
    }
    std::fs::write(&trace, text).expect("a trace can be written");
    let mut replay =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/trace.sh"));
    replay
        .arg(&trace)
        .env("TOLLGATE", tollgate())
        .env("TOLLGATE_PYTHON", interpreter())
        .env("TRACE_KEEP", &kept);
    let output = run(replay);
    assert!(output.status.success(), "{}", printed(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    let sums = rows().iter().fold((0_u64, 0_u64), |sums, row| {
        (sums.0 + u64::from(row.0), sums.1 + u64::from(row.1))
    });
    let total = format!(
        "{ROWS} calls, {} input and {} output tokens",
        sums.0, sums.1
    );
    assert!(said.contains(&total) && said.ends_with("PASS\n"), "{said}");
    a_wrong_report_does_not_pass(&kept, &trace);
}

/// The comparison sees one token, one digit, one missing row: it is no test otherwise.
fn a_wrong_report_does_not_pass(kept: &Path, trace: &Path) {
    let report = std::fs::read_to_string(kept.join("report.json")).expect("a report lies there");
    let right: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let mut wrongs = vec![right.clone(); 4];
    let tokens = right["rows"][3]["output_tokens"].as_i64().expect("a count");
    wrongs[0]["rows"][3]["output_tokens"] = (tokens + 1).into();
    let cost = right["rows"][5]["amounts"][0]["cost"]
        .as_str()
        .expect("money is text");
    wrongs[1]["rows"][5]["amounts"][0]["cost"] = format!("{cost}1").into();
    drop(wrongs[2]["rows"].as_array_mut().expect("a list").pop());
    wrongs[3]["totals"]["complete"] = false.into();
    assert!(
        compare(kept, trace, &right).status.success(),
        "the right report passes"
    );
    for wrong in wrongs {
        let output = compare(kept, trace, &wrong);
        assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
        assert!(
            printed(&output).contains("differs: "),
            "{}",
            printed(&output)
        );
    }
}

fn compare(kept: &Path, trace: &Path, report: &serde_json::Value) -> Output {
    let path: PathBuf = kept.join("tampered.json");
    std::fs::write(&path, report.to_string()).expect("a report can be written");
    let mut command = python("compare.py");
    command.arg("--trace").arg(trace).arg("--report").arg(&path);
    for (option, file) in [
        ("--log", "client.csv"),
        ("--recomputed", "recomputed.json"),
        ("--ledger", "ledger.json"),
    ] {
        command.arg(option).arg(kept.join(file));
    }
    run(command)
}
