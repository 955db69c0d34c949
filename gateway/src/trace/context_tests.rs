//! What an app may say of its trace, and what becomes of it.

use schemas::Micros;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn event_id() -> EventId {
    EventId::mint(Micros(1_700_000_000_000_000), [0x42; 10])
}

fn begin(headers: &[(&'static str, &str)], ratio: f64) -> TraceContext {
    let mut request = Request::new(());
    *request.uri_mut() = "/v1/chat/completions".parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    TraceContext::begin(event_id(), &request, ratio)
}

fn sent(context: &TraceContext, attempt: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT, HeaderValue::from_static("canary"));
    headers.insert(TRACESTATE, HeaderValue::from_static("canary"));
    context.stamp(&mut headers, attempt);
    headers
}

#[test]
fn the_apps_trace_goes_on_with_our_span_as_parent_and_its_decision() {
    for (flags, sampled, passed) in [("00", false, "00"), ("01", true, "01"), ("ff", true, "03")] {
        let given = format!("00-{TRACE}-{SPAN}-{flags}");
        let context = begin(
            &[
                ("traceparent", &given),
                ("tracestate", "a=1"),
                ("tracestate", "b=2"),
            ],
            0.0,
        );
        assert_eq!(context.trace_id().to_string(), TRACE);
        assert_eq!(hex::encode(context.parent().unwrap()), SPAN);
        assert_eq!(context.is_sampled(), sampled);
        let headers = sent(&context, 1);
        let ours = hex::encode(context.client_span(1));
        assert_eq!(
            headers[TRACEPARENT],
            format!("00-{TRACE}-{ours}-{passed}").as_str()
        );
        assert_eq!(headers[TRACESTATE], "a=1,b=2");
    }
}

#[test]
fn a_trace_of_our_own_is_found_by_the_events_id() {
    let context = begin(&[("tracestate", "a=1")], 1.0);
    let event = event_id().as_uuid().simple().to_string();
    assert_eq!(context.trace_id().to_string(), event);
    assert_eq!(hex::encode(context.server_span()), event[16..]);
    assert_eq!(context.parent(), None);
    let headers = sent(&context, 0);
    let value = headers[TRACEPARENT].to_str().unwrap();
    assert!(value.starts_with(&format!("00-{event}-")), "{value}");
    assert!(value.ends_with("-01"), "{value}");
    assert!(
        !headers.contains_key(TRACESTATE),
        "a state without a trace is nobody's"
    );
}

#[test]
fn what_is_not_well_formed_is_as_good_as_none() {
    let zeros = "0".repeat(32);
    let upper = TRACE.to_uppercase();
    for bad in [
        String::new(),
        "canary".to_owned(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{zeros}-{SPAN}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{upper}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("00-{TRACE}-{SPAN}-0g"),
    ] {
        assert_eq!(begin(&[("traceparent", &bad)], 1.0).parent(), None, "{bad}");
    }
    let good = format!("00-{TRACE}-{SPAN}-01");
    let twice = [("traceparent", good.as_str()), ("traceparent", &good)];
    assert_eq!(begin(&twice, 1.0).parent(), None, "which one?");
    let later = format!("01-{TRACE}-{SPAN}-01-more");
    assert!(begin(&[("traceparent", &later)], 0.0).parent().is_some());
}

#[test]
fn the_share_is_kept_and_the_spans_differ() {
    assert!(!is_within(event_id(), 0.0));
    assert!(is_within(event_id(), 1.0));
    let mut within = 0;
    for number in 0..4_096_u16 {
        let [high, low] = number.to_be_bytes();
        // The last 56 bits run evenly through their range.
        let random = [0, 0, 0, high << 4 | low >> 4, low << 4, 0, 0, 0, 0, 0];
        within += u32::from(is_within(EventId::mint(Micros(0), random), 0.25));
    }
    assert_eq!(within, 1_024);
    let context = begin(&[], 1.0);
    let spans = [
        context.server_span(),
        context.client_span(0),
        context.client_span(1),
    ];
    assert!(spans[0] != spans[1] && spans[1] != spans[2]);
}
