//! Failure, policy, what the provider says and how the request stands, against the pause or none.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy(on: &[On]) -> Policy {
    Policy {
        calls: 3,
        on: on.to_vec(),
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_secs(1),
        retry_after_max: Duration::from_secs(5),
    }
}

fn standing(made: usize) -> Standing {
    Standing {
        made,
        is_repeatable: true,
        left: Duration::from_mins(1),
        drawn: 0,
    }
}

#[test]
fn a_failure_leads_to_a_further_call_only_where_the_route_names_it() {
    use Failure as F;
    let failures = [
        F::Connect,
        F::Reset,
        F::Silent,
        F::Status(408),
        F::Status(429),
        F::Status(500),
        F::Status(503),
        F::Status(400),
        F::Status(302),
    ];
    for (on, covered) in [
        (vec![On::Connect], vec![F::Connect]),
        (vec![On::Reset], vec![F::Reset]),
        (vec![On::Silent], vec![F::Silent]),
        (vec![On::Status(429)], vec![F::Status(429)]),
        (vec![On::Any5xx], vec![F::Status(500), F::Status(503)]),
        (
            vec![On::Status(503), On::Connect],
            vec![F::Connect, F::Status(503)],
        ),
        (vec![], vec![]),
    ] {
        let policy = policy(&on);
        let led: Vec<_> = failures
            .into_iter()
            .filter(|failure| policy.pause(*failure, Told::Nothing, standing(1)).is_some())
            .collect();
        assert_eq!(led, covered, "{on:?}");
    }
}

#[test]
fn the_last_call_a_lost_body_and_a_provider_that_says_no_end_it() {
    let policy = policy(&[On::Any5xx]);
    let failure = Failure::Status(503);
    let pause = |told, standing| policy.pause(failure, told, standing);
    assert!(pause(Told::Nothing, standing(2)).is_some());
    assert_eq!(pause(Told::Nothing, standing(3)), None);
    assert_eq!(pause(Told::Never, standing(1)), None);
    let lost = Standing {
        is_repeatable: false,
        ..standing(1)
    };
    assert_eq!(pause(Told::Nothing, lost), None);
}

#[test]
fn a_pause_is_never_shorter_than_asked_and_none_is_waited_that_is_too_long() {
    let policy = policy(&[On::Status(429)]);
    let pause = |asked, left| {
        let standing = Standing {
            left,
            ..standing(1)
        };
        policy.pause(Failure::Status(429), Told::After(asked), standing)
    };
    let minute = Duration::from_mins(1);
    assert_eq!(pause(2 * SECOND, minute), Some(2 * SECOND));
    assert_eq!(pause(5 * SECOND, minute), Some(5 * SECOND));
    assert_eq!(pause(6 * SECOND, minute), None);
    // It would end when the request has.
    assert_eq!(pause(2 * SECOND, 2 * SECOND), None);
    assert_eq!(pause(2 * SECOND, Duration::ZERO), None);
}

proptest! {
    #[test]
    fn any_pause_is_within_its_bounds(
        made in 1_usize..9, drawn: u64, asked_ms in 0_u64..10_000, left_ms in 0_u64..10_000, calls in 1_usize..9,
    ) {
        let policy = Policy { calls, ..policy(&[On::Reset]) };
        let (asked, left) = (Duration::from_millis(asked_ms), Duration::from_millis(left_ms));
        let standing = Standing { made, is_repeatable: true, left, drawn };
        match policy.pause(Failure::Reset, Told::After(asked), standing) {
            Some(pause) => {
                prop_assert!(made < calls && pause >= asked && pause < left);
                let doubled = Duration::from_millis(100 << (made - 1)).min(policy.backoff_max);
                prop_assert!(pause.saturating_sub(asked) <= doubled);
            }
            None => prop_assert!(
                made >= calls || asked > policy.retry_after_max || asked + policy.backoff_max >= left
            ),
        }
    }
}
