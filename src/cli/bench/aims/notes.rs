//! What is said beside a line: the figures that a ratio was made of, and what bounded them. Taking them must not live here.

use super::lines::Values;

/// Writes them.
pub fn write(values: &mut Values, nginx: Option<&str>) {
    let nginx = nginx.unwrap_or("nginx");
    for line in ["request", "event", "prompt_100kb"] {
        if let Some([ours, nginxs]) = both(values, line, ".ours", ".nginx") {
            values.say(line, format!("{ours:.1} µs; {nginx} {nginxs:.1} µs"));
        }
    }
    if let Some([synced, written]) = both(values, "", "synced.ours", "request.ours") {
        let note = format!("{synced:.1} µs; written {written:.1} µs");
        values.say("synced", note);
    }
    saturation(values);
    paced(values);
}

fn saturation(values: &mut Values) {
    let (Some(gateway), Some(load), Some(each)) = (
        values.median("rps.gateway_core"),
        values.median("rps.load_core"),
        values.median("rps.ours"),
    ) else {
        return;
    };
    let mut note = format!(
        "{each:.1} µs a request; busy: its core {:.0}%, that of load and provider {:.0}%",
        gateway * 100.0,
        load * 100.0
    );
    if let Some(beside_engine) = values.median("request.rps") {
        note = format!("{note}; {beside_engine:.0}/s while consumer and engine work on its core");
    }
    values.say("rps", note);
}

fn paced(values: &mut Values) {
    if let Some([first, direct]) = both(values, "", "first_chunk.nginx", "direct.first") {
        let note = format!("direct {direct:.3} ms; {}{first:.3} ms", sign(first));
        values.say("first_chunk", format!("{note} by nginx"));
    }
    if let Some([gap, direct]) = both(values, "", "gap.nginx", "direct.gap") {
        let (grain, plus) = (values.grain, sign(gap));
        let note = format!(
            "direct {direct:.3} ms; {plus}{gap:.3} ms by nginx; up to {grain:.3} ms is the difference of direct runs to each other"
        );
        values.say("gap", note);
    }
}

fn sign(value: f64) -> &'static str {
    if value < 0.0 { "" } else { "+" }
}

fn both(values: &Values, line: &str, one: &str, other: &str) -> Option<[f64; 2]> {
    let median = |name: &str| values.median(&format!("{line}{name}"));
    Some([median(one)?, median(other)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_says_what_it_was_made_of() {
        let mut values = Values::default();
        for (name, value) in [
            ("request", 2.0),
            ("request.ours", 40.04),
            ("request.nginx", 20.0),
        ] {
            values.note(name, value);
        }
        write(&mut values, Some("nginx 1.22.1"));
        let lines = values.lines(|line| line == "request");
        assert_eq!(lines[0].note, "40.0 µs; nginx 1.22.1 20.0 µs");
    }
}
