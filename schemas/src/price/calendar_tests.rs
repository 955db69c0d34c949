//! Tests of what is known of the hours where their lines end, and others follow or do not.

use super::*;
use crate::price::parse_instant;
use crate::price::raw::RawPrice;

/// Days, hours, from and to of a band.
fn band(name: &str, days: &str, hours: &str, from: &str, to: &str) -> HourBand {
    let line = RawPrice {
        line: 2,
        kind: "hours".into(),
        provider: "openai".into(),
        hours: name.into(),
        days: days.into(),
        hours_utc: hours.into(),
        valid_from: from.into(),
        valid_to: to.into(),
        source: "a page".into(),
        read_on: "2026-11-24".into(),
        ..RawPrice::default()
    };
    HourBand::parse(&line).unwrap()
}

fn peak(from: &str, to: &str) -> HourBand {
    band("peak", "mon-fri", "01:00-04:00", from, to)
}

fn otherwise(from: &str, to: &str) -> HourBand {
    band("off_peak", "", "otherwise", from, to)
}

/// The band at 05:00 of a day, which is nobody's hour.
fn at_five(bands: &[HourBand], day: &str) -> Option<String> {
    let mut calendar = Calendar::default();
    for band in bands {
        calendar.add_band(band.clone());
    }
    let at = parse_instant(&format!("{day}T05:00Z")).unwrap();
    calendar.band_at(at).map(str::to_owned)
}

/// One of two bands ends, and the other goes on: what the first would have been is nobody's `otherwise`.
#[test]
fn otherwise_is_known_only_while_each_other_band_is() {
    let weekend = band("weekend", "sat sun", "01:00-04:00", "2026-08-17", "");
    let first = peak("2026-08-17", "2027-01-01");
    let known = Some("off_peak".to_owned());
    let base = [first.clone(), otherwise("", ""), weekend.clone()];
    let (december, january, may) = ("2026-12-31", "2027-01-04", "2027-05-03");
    assert_eq!(at_five(&base, december), known);
    assert_eq!(
        at_five(&base, january),
        None,
        "the peak of 2027 is not known"
    );
    // one that follows under its name says it; a gap before it, or its own end, does not
    let told = [&base[..], &[peak("2027-01-01", "2027-03-01")]].concat();
    assert_eq!(
        (at_five(&told, january), at_five(&told, may)),
        (known.clone(), None)
    );
    let told = [&base[..], &[peak("2027-02-01", "")]].concat();
    assert_eq!(
        (at_five(&told, january), at_five(&told, may)),
        (None, known.clone())
    );
    // a line of the name that was there beside it does not follow it
    let beside = band("peak", "sat", "06:00-07:00", "2026-08-17", "");
    assert_eq!(at_five(&[&base[..], &[beside]].concat(), january), None);
    // a new `otherwise` was written when the peak was over
    let told = [
        first,
        otherwise("", "2027-01-01"),
        weekend,
        otherwise("2027-01-01", ""),
    ];
    assert_eq!(at_five(&told, january), known);
}
