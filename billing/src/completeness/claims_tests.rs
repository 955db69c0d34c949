//! Which numbers of a start are under way, and for how long.

use super::*;

const DAY_US: i64 = 86_400_000_000;

fn counts(seq: i64, at: i64) -> Counts {
    Counts {
        seq,
        admitted: seq + 1,
        settled: seq + 1,
        open: 0,
        at,
        oldest: NEVER,
    }
}

/// A start that was never closed and whose last claim, of number 9, is from `at`; its number 5 was claimed long before.
fn never_closed(at: i64) -> Claims {
    Claims {
        producer: "gw-1".into(),
        boot: "1-0000000000000001".into(),
        lo: counts(-1, 0),
        has_lo: 0,
        hi: counts(-1, 0),
        has_hi: 0,
        newest: counts(9, at),
        inside: 1,
        before_end: 1,
        first_at: 1,
        due: 5,
        began: 0,
        closed: 0,
        closed_by: String::new(),
    }
}

fn due(end: i64, as_of: i64, claimed_at: i64) -> i64 {
    let moment = Moment {
        start: 0,
        end,
        as_of,
    };
    let scopes = choose(moment, vec![(never_closed(claimed_at), None)]);
    let [scope] = &scopes[..] else {
        panic!("one scope: {scopes:?}");
    };
    scope.due
}

#[test]
fn what_is_above_the_last_claim_of_a_start_is_under_way_only_while_it_speaks() {
    let speaks = DAY_US - SILENCE_US;
    for end in [2 * DAY_US, DAY_US / 2] {
        assert_eq!(due(end, DAY_US, speaks), 5);
        assert_eq!(due(end, DAY_US, speaks - 1), i64::MAX);
    }
}
