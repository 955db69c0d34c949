//! Tests of periods: every form, odd midnights, and days of every zone.

use super::*;
use proptest::prelude::*;

fn span(text: &str, zone_name: &str) -> (String, String) {
    let period = Period::parse(text, zone(zone_name).unwrap()).unwrap();
    let show = |at: Micros| {
        let at = DateTime::from_timestamp_micros(at.0).unwrap();
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    (show(period.start()), show(period.end()))
}

#[test]
fn each_form_becomes_two_instants() {
    let cases = [
        (
            "2026",
            "UTC",
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            "2026-11",
            "UTC",
            "2026-11-01T00:00:00Z",
            "2026-12-01T00:00:00Z",
        ),
        (
            "2026-12",
            "Europe/Berlin",
            "2026-11-30T23:00:00Z",
            "2026-12-31T23:00:00Z",
        ),
        // a month with a change of clocks: an hour more
        (
            "2026-10",
            "Europe/Berlin",
            "2026-09-30T22:00:00Z",
            "2026-10-31T23:00:00Z",
        ),
        (
            "2026-11-24",
            "Asia/Kathmandu",
            "2026-11-23T18:15:00Z",
            "2026-11-24T18:15:00Z",
        ),
        (
            "2026-11-24T10:00Z/2026-11-25T00:00Z",
            "Europe/Berlin",
            "2026-11-24T10:00:00Z",
            "2026-11-25T00:00:00Z",
        ),
        (
            "2026-11-24/2026-11-26",
            "America/New_York",
            "2026-11-24T05:00:00Z",
            "2026-11-26T05:00:00Z",
        ),
    ];
    for (text, zone, start, end) in cases {
        assert_eq!(
            span(text, zone),
            (start.into(), end.into()),
            "{text} {zone}"
        );
    }
}

#[test]
fn midnights_that_are_skipped_and_that_come_twice() {
    // São Paulo went from 24:00 to 01:00 on 2018-11-04: the day begins at 01:00, which is 03:00 UTC.
    assert_eq!(
        span("2018-11-04", "America/Sao_Paulo").0,
        "2018-11-04T03:00:00Z"
    );
    // Havana goes back from 01:00 to 00:00: the first of both midnights begins the day, which has 25 hours.
    let havana = span("2026-11-01", "America/Havana");
    assert_eq!(
        havana,
        ("2026-11-01T04:00:00Z".into(), "2026-11-02T05:00:00Z".into())
    );
    // Apia left 2011-12-30 out.
    let apia = zone("Pacific/Apia").unwrap();
    assert!(matches!(
        Period::parse("2011-12-30", apia),
        Err(PeriodError::Empty(_))
    ));
    let days = Period::parse("2011-12-29/2012-01-01", apia)
        .unwrap()
        .days(9)
        .unwrap();
    let dates: Vec<_> = days.iter().map(|(_, day)| day.to_string()).collect();
    assert_eq!(dates, ["2011-12-29", "2011-12-31"]);
}

#[test]
fn what_is_no_period_is_named_with_examples() {
    for text in [
        "",
        "november",
        "2026-13",
        "2026-1",
        "26-11",
        "2026-02-30",
        "２０２６",
        "+202",
    ] {
        let error = Period::parse(text, Tz::UTC).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{text}`")) && error.contains("2026-11-24T10:00Z"),
            "{error}"
        );
    }
    for text in ["1066", "9999-01", "1000-01-01/2000-01-01"] {
        assert!(
            matches!(
                Period::parse(text, Tz::UTC),
                Err(PeriodError::OutOfRange(_))
            ),
            "{text}"
        );
    }
    for text in [
        "2026-11-24/2026-11-24",
        "2026-11-25T00:00Z/2026-11-24T00:00Z",
    ] {
        assert!(
            matches!(Period::parse(text, Tz::UTC), Err(PeriodError::Empty(_))),
            "{text}"
        );
    }
    let half = Period::parse("2026-11-24T10:00/2026-11-25", Tz::UTC)
        .unwrap_err()
        .to_string();
    assert!(
        half.contains("2026-11-24T10:00/2026-11-25") && half.contains("with its offset"),
        "{half}"
    );
}

#[test]
fn an_unknown_zone_is_named_with_examples() {
    let error = zone("Mars/Olympus").unwrap_err().to_string();
    assert!(
        error.contains("`Mars/Olympus`") && error.contains("Europe/Berlin"),
        "{error}"
    );
    assert!(
        zone("europe/berlin")
            .unwrap_err()
            .to_string()
            .contains("did you mean Europe/Berlin?")
    );
}

#[test]
fn days_are_bounded() {
    assert!(Period::parse("2026", Tz::UTC).unwrap().days(364).is_none());
    assert_eq!(
        Period::parse("2026", Tz::UTC)
            .unwrap()
            .days(365)
            .unwrap()
            .len(),
        365
    );
}

proptest! {
    /// In every zone a day begins at the first instant that has its date, and ends where the next begins.
    #[test]
    fn a_day_begins_where_its_date_does(
        zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        offset in 0_u64..21_000,
    ) {
        let day = NaiveDate::from_ymd_opt(1970, 1, 2).unwrap() + Days::new(offset);
        let start = day_start(day, zone);
        let next = day_start(day + Days::new(1), zone);
        prop_assert!(start <= next);
        if start < next {
            prop_assert_eq!(local_date(start, zone), Some(day));
            let last = local_date(Micros(next.0 - 1), zone).unwrap();
            prop_assert!(last <= day);
        }
        let before = local_date(Micros(start.0 - 1), zone).unwrap();
        prop_assert!(before < day);
    }
}

#[test]
fn the_month_of_an_instant_is_that_of_the_zone() {
    let at = "2026-12-01T01:00:00Z".parse::<DateTime<chrono::Utc>>();
    let at = Micros(at.unwrap().timestamp_micros());
    for (name, month) in [
        ("UTC", "2026-12"),
        ("America/Los_Angeles", "2026-11"),
        ("Asia/Tokyo", "2026-12"),
    ] {
        assert_eq!(month_of(at, zone(name).unwrap()), month, "{name}");
    }
}
