//! Target `dialects`: an answer's figures through every reading. The first byte names the dialect and whether the rest
//! is an answer or choices that make one; the second names the API. No count is below zero, there are never too many
//! lines, and figures that are said to be right sum to the provider's own totals.

use gateway::meter::dialect::{Dialect, Reading, read};
use gateway::meter::findings::{Findings, TextTally};
use gateway::meter::scan::Scan;
use schemas::event::MAX_LINES;
use schemas::units::Side;
use schemas::{Api, UsageQuality};
use serde_json::Value;

use crate::generate::answer;

/// From here on the first byte says that the rest is choices.
pub(crate) const CHOICES: u8 = 128;

/// The number of a dialect.
pub(crate) fn number_of(dialect: Dialect) -> u8 {
    let at = Dialect::all().position(|other| other == dialect);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

pub(crate) fn check(data: &[u8]) {
    let [dialect, api, rest @ ..] = data else {
        return;
    };
    let all: Vec<Dialect> = Dialect::all().collect();
    let spoken = all[usize::from(dialect % CHOICES) % all.len()];
    let api = Api::ALL[usize::from(*api) % Api::ALL.len()];
    if *dialect < CHOICES {
        read_answer(spoken, api, rest);
    } else {
        read_answer(spoken, api, answer(rest).to_string().as_bytes());
    }
}

fn read_answer(dialect: Dialect, api: Api, answer: &[u8]) {
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut scan = Scan::default();
    scan.feed(answer, &mut found, &mut tally);
    scan.finish(&mut found);
    let reading = read(dialect, api, &found);
    assert_eq!(reading, read(dialect, api, &found), "read twice");
    assert!(
        reading.lines.len() <= MAX_LINES,
        "{} lines",
        reading.lines.len()
    );
    let mut counts = reading.lines.iter().flat_map(|line| line.units.iter());
    assert!(
        counts.all(|(_, count)| count >= 0),
        "a count is below zero: {reading:?}"
    );
    assert!(
        reading.lines.iter().all(|line| !line.units.is_empty()),
        "a line without units: {reading:?}"
    );
    cost(&reading);
    // A tool's own model has tokens beside the answer's.
    if reading.quality == UsageQuality::Ok && found.tool_usage.is_none() {
        totals(dialect, &reading, &found);
    }
}

/// What the provider charges is a plain decimal number.
fn cost(reading: &Reading<'_>) {
    let Some(cost) = &reading.provider_cost else {
        return;
    };
    let is_plain = cost
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    assert!(
        is_plain && cost.parse::<f64>().is_ok(),
        "the provider's cost is {cost}"
    );
}

/// The counts that are stated under these names; a 0 only where there is no other.
fn stated(usage: &Value, names: &[&str]) -> Vec<i128> {
    let numbers = names.iter().filter_map(|name| usage.get(name));
    let mut all = Vec::new();
    for number in numbers.filter(|number| !number.is_null()) {
        let whole = number.as_i64().map(i128::from).or_else(|| whole(number));
        assert!(
            whole.is_some() || number.is_f64(),
            "{names:?} of what is said to be right is {number}"
        );
        all.extend(whole);
    }
    if all.iter().any(|count| *count > 0) {
        all.retain(|count| *count > 0);
    }
    all
}

/// A whole number that is written with a point or an exponent.
fn whole(number: &Value) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = number.as_f64()?;
    let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and exact in 53 bits"
    )]
    is_whole.then_some(number as i128)
}

/// Reasoning, where it is told.
fn reasoning(usage: &Value) -> i128 {
    let name = "reasoning_tokens";
    let inner = usage
        .as_object()
        .into_iter()
        .flat_map(|usage| usage.values());
    let all = inner
        .filter_map(|value| value.get(name))
        .chain(usage.get(name));
    all.filter_map(Value::as_i64)
        .map(i128::from)
        .max()
        .unwrap_or(0)
}

fn totals(dialect: Dialect, reading: &Reading<'_>, found: &Findings) {
    // Not as the reading parsed it: nothing stands twice in what is said to be right.
    let said = found.stated().map(serde_json::from_slice::<Value>);
    let Some(Ok(usage)) = said else { return };
    let usage = &usage;
    let (input, output) = (reading.total(Side::Input), reading.total(Side::Output));
    let stated_input = stated(usage, &["prompt_tokens", "input_tokens"]);
    let stated_output = stated(usage, &["completion_tokens", "output_tokens"]);
    let stated_total = stated(usage, &["total_tokens"]).first().copied();
    // Relays write a total of 0 beside what they count.
    let has_sides = stated_input
        .iter()
        .chain(&stated_output)
        .any(|count| *count > 0);
    let stated_total = stated_total.filter(|total| *total > 0 || !has_sides);
    assert!(
        stated_input.is_empty() || input.is_some_and(|input| stated_input.contains(&input)),
        "{dialect:?} reads {input:?} as the input of {usage}"
    );
    let by_total = stated_total.map(|total| total - input.unwrap_or(0));
    let is_right = |stated: &i128| {
        let beside_reasoning = Some(stated + reasoning(usage));
        output == Some(*stated)
            || output > Some(*stated) && [beside_reasoning, by_total].contains(&output)
    };
    assert!(
        stated_output.is_empty() || stated_output.iter().any(is_right),
        "{dialect:?} reads {output:?} as the output of {usage}"
    );
    // Mistral's total counts sound as tokens, which is paid by its time.
    let counts_sound = dialect == Dialect::Mistral;
    if let (Some(total), false, false) = (stated_total, stated_input.is_empty(), counts_sound) {
        assert_eq!(
            input.unwrap_or(0) + output.unwrap_or(0),
            total,
            "the total of {usage}"
        );
    }
}
