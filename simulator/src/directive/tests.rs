//! Reading orders.

use super::{Directive, DirectiveError};
use crate::fate::{Break, Head, Place, decide};
use crate::settings::Settings;

#[test]
fn every_order_in_the_list_above_is_known() {
    for order in [
        "status=429",
        "html502",
        "html200",
        "reset_head",
        "reset_mid=3",
        "reset_before_usage",
        "stall_head=5",
        "stall_mid=2:5000",
        "stall_before_usage=5",
        "error_event=2",
        "no_usage",
        "no_stream_usage",
        "usage=negative",
        "json_for_stream",
        "latency=200",
        "chunk_delay=10",
        "tokens_per_chunk=3",
        "big=10485760",
        "ping=2",
        "crlf",
        "no_done",
        "no_final_blank",
        "write_bytes=1",
        "coalesce",
        "retry_after=7",
        "finish=stop",
        "framing=close",
        "filter=answer",
        "late_verdicts",
        "failed",
        "cached=3",
        "reasoning=3",
        "audio_ms=5",
        "tier=flex",
        "tool=web_search",
        "tool=function:2",
        "replay=1",
        "cut=7",
        "cut_at=7",
        "cut_drawn=7",
    ] {
        let directive = Directive::parse(order).expect(order);
        let (mut bent, plain) = (
            decide(&Settings::default(), "n"),
            decide(&Settings::default(), "n"),
        );
        directive.apply(&mut bent);
        assert_ne!(bent, plain, "{order} changes something");
    }
    assert_eq!(Directive::parse(""), Ok(Directive::default()));
}

#[test]
fn orders_add_up_and_the_later_wins() {
    let mut fate = decide(&Settings::default(), "n");
    let directive = Directive::parse("status=500,latency=9,reset_mid=1,stall_mid=2:5,status=429");
    directive.expect("known orders").apply(&mut fate);
    assert_eq!((fate.head, fate.head_delay_ms), (Head::Status(429), 9));
    assert_eq!(fate.breaks, Some(Break::Stall(Place::AfterEvents(2), 5)));
}

#[test]
fn tools_add_up_and_a_nonce_may_travel_with_the_orders() {
    let mut directive = Directive::parse("tool=web_search:2,nonce=a").expect("known orders");
    directive.extend(Directive::parse("tool=web_search,tool=file_search,nonce=b").expect("known"));
    let mut fate = decide(&Settings::default(), "n");
    directive.apply(&mut fate);
    let tools = fate.content.tools;
    assert_eq!((tools.web_search, tools.file_search), (3, 1));
    assert_eq!(directive.nonce(), Some("b"));
}

#[test]
fn the_first_calls_fail_as_ordered_and_later_ones_do_not() {
    let directive = Directive::parse("first=429+reset+html502+stall,latency=9").expect("known");
    let fates: Vec<_> = (0..5)
        .map(|made| {
            let mut fate = decide(&Settings::default(), "n");
            directive.apply(&mut fate);
            directive.apply_to_call(made, &mut fate);
            assert_eq!(fate.head_delay_ms, 9);
            (fate.head, fate.head_stall_ms > 0)
        })
        .collect();
    let heads = [
        Head::Status(429),
        Head::Reset,
        Head::Html502,
        Head::Serve,
        Head::Serve,
    ];
    assert_eq!(
        fates,
        heads
            .into_iter()
            .zip([false, false, false, true, false])
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for word in [
        "explode",
        "reset",
        "crlf=1",
        ",",
        "latency=1,",
        " crlf",
        "no_usage=true",
    ] {
        assert!(
            matches!(Directive::parse(word), Err(DirectiveError::Unknown(_))),
            "{word:?}"
        );
    }
    for word in [
        "status=200",
        "status=600",
        "status=x",
        "reset_mid=",
        "reset_mid=-1",
        "stall_mid=2",
        "stall_mid=2:x",
        "usage=odd",
        "tokens_per_chunk=0",
        "big=9999999999",
        "finish=never",
        "latency=1.5",
        "framing=none",
        "filter=all",
        "tier=best",
        "tool=hammer",
        "tool=web_search:65",
        "cut=0",
        "replay=x",
        "first=",
        "first=429+",
        "first=200",
    ] {
        assert!(
            matches!(Directive::parse(word), Err(DirectiveError::Value { .. })),
            "{word:?}"
        );
    }
}
