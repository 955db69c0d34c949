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
        heard: 4,
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

/// As `tollgate producers list` has it: who is heard again is not lost.
#[test]
fn a_heartbeat_after_a_declared_loss_takes_it_back() {
    let moment = Moment {
        start: 2 * DAY_US,
        end: 3 * DAY_US,
        as_of: 5 * DAY_US,
    };
    let scopes = |stands_on, closed| {
        let told = DeclaredLoss {
            by: "ann".into(),
            why: "disk gone".into(),
            missing: Some(0),
            open: None,
            reserved_units: BTreeMap::new(),
            known_until_us: None,
        };
        let claims = Claims {
            inside: 0,
            closed,
            ..never_closed(DAY_US)
        };
        let loss = Loss {
            at: DAY_US,
            stands_on,
            told,
        };
        choose(moment, vec![(claims, Some(loss))])
    };
    assert!(scopes(4, 0).is_empty(), "it was over before the period");
    assert!(scopes(4, 1).is_empty(), "so is one that closed");
    let taken_back = scopes(3, 0);
    assert_eq!(taken_back.len(), 1);
    assert!(taken_back[0].held_up.is_some() && taken_back[0].lost.is_none());
}
