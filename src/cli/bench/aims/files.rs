//! Figures that other benches have written: the consumer's rate, and how long a chargeback takes. A file that is not there
//! is a line that was not measured. Measuring must not live here.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::lines::Values;

const DAY: Duration = Duration::from_hours(24);

/// The consumer's rate, of one file a run.
pub fn consumer(values: &mut Values, files: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    for file in files {
        let Some(table) = read(file.as_ref())? else {
            values.spoil("consumer", missing(file.as_ref(), "make bench-pipeline"));
            continue;
        };
        let consumer = table.get("consumer");
        let rate = consumer.and_then(|consumer| number(consumer, "records_per_second"));
        let rate = rate.with_context(|| format!("{}: no rate", file.as_ref().display()))?;
        values.note("consumer", rate);
        values.say("consumer", age(file.as_ref(), "one run a file"));
    }
    Ok(())
}

/// How long the ledger takes, of a file with medians, least and most.
pub fn ledger(values: &mut Values, file: &Path) -> anyhow::Result<()> {
    let table = read(file)?;
    for line in ["month", "tenant"] {
        let Some(table) = &table else {
            values.spoil(line, missing(file, "make bench-ledger"));
            continue;
        };
        let key = format!("{line}_seconds");
        let table = toml::Value::Table(table.clone());
        let median = number(&table, &key);
        let median = median.with_context(|| format!("{}: no `{key}`", file.display()))?;
        let least = number(&table, &format!("{key}_min")).unwrap_or(median);
        let most = number(&table, &format!("{key}_max")).unwrap_or(median);
        for seconds in [least, median, most] {
            values.note(line, seconds);
        }
        let events = number(&table, "events").unwrap_or(0.0);
        values.say(line, age(file, &format!("{events:.0} events")));
        if events < 10_000_000.0 {
            values.spoil(line, format!("of {events:.0} events, not of 10,000,000"));
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Option<toml::Table>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(
            text.parse().with_context(|| file.display().to_string())?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

fn number(table: &toml::Value, key: &str) -> Option<f64> {
    let value = table.get(key)?;
    let float = value.as_float();
    #[expect(
        clippy::cast_precision_loss,
        reason = "measurements, read to three digits"
    )]
    float.or_else(|| value.as_integer().map(|whole| whole as f64))
}

fn missing(file: &Path, remedy: &str) -> String {
    format!("{} is not there: `{remedy}` writes it", file.display())
}

/// What a file says, and how old it is, for another day's figure is no neighbour.
fn age(file: &Path, what: &str) -> String {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|written| written.elapsed().ok());
    match age {
        Some(age) if age > DAY => format!("{what}; written {} days ago", age.as_secs() / 86_400),
        _ => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Verdict;
    use super::*;

    fn verdicts(values: &Values, names: &[&str]) -> Vec<Verdict> {
        let lines = values.lines(|line| names.contains(&line));
        lines.iter().map(|line| line.verdict).collect()
    }

    #[test]
    fn files_become_lines() {
        let folder = std::env::temp_dir().join(format!("tollgate-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let (pipeline, book) = (folder.join("pipeline.toml"), folder.join("ledger.toml"));
        std::fs::write(
            &pipeline,
            "[consumer]\nrecords_per_second = 120000\ncpu_us = 7.1\n",
        )
        .unwrap();
        let text = "events = 10000000\nmonth_seconds = 0.9\nmonth_seconds_max = 1.5\ntenant_seconds = 0.2\n";
        std::fs::write(&book, text).unwrap();
        let mut values = Values::default();
        consumer(&mut values, &[&pipeline]).unwrap();
        ledger(&mut values, &book).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let names = ["consumer", "month", "tenant"];
        let expected = [Verdict::Pass, Verdict::Pass, Verdict::Fail];
        assert_eq!(verdicts(&values, &names), expected);
        let month = values.spread("month").unwrap();
        assert_eq!((month.min, month.median, month.max), (0.9, 0.9, 1.5));
    }

    #[test]
    fn a_file_that_is_not_there_is_no_pass() {
        let mut values = Values::default();
        let nowhere = Path::new("/nowhere/at-all.toml");
        consumer(&mut values, &[nowhere]).unwrap();
        ledger(&mut values, nowhere).unwrap();
        let names = ["consumer", "month", "tenant"];
        assert_eq!(verdicts(&values, &names), [Verdict::Void; 3]);
    }
}
