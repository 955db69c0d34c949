//! The fast way: hashes become texts, and what is no answer is none.

use super::*;
use crate::Period;
use crate::chargeback::Synthetic;

const RATED_AS: &str = r#"{\"outcome\":\"completed\",\"billable\":\"yes\",\"source\":\"provider\",\"quality\":\"ok\",\"used\":[\"images\"]}"#;

fn by(columns: &str) -> Request {
    let zone = crate::period::zone("UTC").unwrap();
    Request {
        period: Period::parse("2026-11", zone).unwrap(),
        by: Dimension::parse_list(columns).unwrap(),
        synthetic: Synthetic::Exclude,
        tenant: None,
    }
}

fn sum(rated: u64, dims: &str, sums: &str) -> String {
    format!(
        r#"{{"rated":{rated},"dims":{dims},"at":0,"context":0,"rows":2,"request_count":2,"sums":{sums},"mark":6}}"#
    )
}

fn text(column: usize, hash: u64, text: &str) -> String {
    format!(r#"{{"column":{column},"hash":{hash},"text":"{text}"}}"#)
}

const ONE: &str = "[5,0,0,0,0,0,0,0]";

#[test]
fn the_months_of_a_period_are_those_of_its_instants() {
    let of = |period: &str, zone: &str| {
        let zone = crate::period::zone(zone).unwrap();
        months(&Request {
            period: Period::parse(period, zone).unwrap(),
            ..by("")
        })
    };
    assert_eq!(of("2026-12", "UTC"), ["'202612'"]);
    assert_eq!(of("2026-12", "Europe/Berlin"), ["'202611'", "'202612'"]);
    let west = of("2026-12", "America/New_York");
    assert_eq!(west, ["'202612'", "'202701'"]);
}

#[test]
fn hashes_become_their_texts_and_rows_without_a_text_are_counted() {
    let request = by("tenant,outcome,day");
    let day = Period::parse("2026-11-02", request.period.zone()).unwrap();
    let day = day.start().0;
    let dims = format!(r#"["77","{day}"]"#);
    let sums = [sum(9, &dims, ONE), sum(8, &dims, "[0,0,0,0,0,0,0,0]")].join("\n");
    let texts = [text(0, 9, RATED_AS), text(0, 8, ""), text(1, 77, "acme")].join("\n");
    let plain = read(sums.as_bytes(), [texts.as_bytes(), b""], &request);
    let plain = plain.unwrap().unwrap();
    assert_eq!(plain.rows, 4);
    assert_eq!(plain.others, Others { rows: 2, mark: 6 });
    let [group] = plain.groups.as_slice() else {
        panic!("{:?}", plain.groups)
    };
    assert_eq!(group.dims, ["acme", "completed", "2026-11-02"]);
    assert_eq!(group.units[&schemas::Unit::Images], 5);
}

#[test]
fn texts_of_one_hash_and_hashes_without_a_text_are_no_answer() {
    let request = by("tenant");
    let sums = sum(9, r#"["77"]"#, ONE);
    let [rated, acme] = [text(0, 9, RATED_AS), text(1, 77, "acme")];
    for texts in [
        vec![acme.clone(), rated.clone(), text(1, 77, "globex")],
        vec![rated.clone()],
        vec![acme, text(1, 9, RATED_AS)],
    ] {
        let read = read(
            sums.as_bytes(),
            [b"", texts.join("\n").as_bytes()],
            &request,
        );
        assert!(read.unwrap().is_none(), "{texts:?}");
    }
}

#[test]
fn counts_of_other_units_are_refused() {
    let texts = text(0, 9, RATED_AS);
    for sums in ["[0,0,0,0,0,0,0,0]", "[5,1,0,0,0,0,0,0]"] {
        let sums = sum(9, "[]", sums);
        assert!(read(sums.as_bytes(), [texts.as_bytes(), b""], &by("")).is_err());
    }
}
