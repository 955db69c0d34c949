//! Numbers that stand for something in frames, stores and logs, and never for anything else.

use std::collections::BTreeMap;

use schemas::enums::{
    Api, AuthMethod, Billable, CacheKind, CacheStatus, Capacity, ClockQuality, Durability,
    LimitKind, LimitLevel, Outcome, ProducerKind, RouteReason, UsageQuality, UsageSource,
};
use schemas::{RecordKind, Unit, cut, wire};
use serde_json::json;

use crate::files::same_as_file;

macro_rules! lists {
    ($($list:ident),+ $(,)?) => {
        json!({$(stringify!($list): numbers($list::ALL, |value| (value.as_str(), value.number()))),+})
    };
}

fn numbers<T: Copy>(
    all: &[T],
    number: impl Fn(T) -> (&'static str, u8),
) -> BTreeMap<&'static str, u8> {
    all.iter().map(|value| number(*value)).collect()
}

#[test]
fn every_number_means_what_it_always_meant() {
    let lists = lists![
        Api,
        AuthMethod,
        Billable,
        CacheKind,
        CacheStatus,
        Capacity,
        ClockQuality,
        Durability,
        LimitKind,
        LimitLevel,
        Outcome,
        ProducerKind,
        RouteReason,
        UsageQuality,
        UsageSource,
    ];
    // Kinds of record to come have numbers of their own.
    let kinds = [
        RecordKind::Admission,
        RecordKind::Usage,
        RecordKind::Cut,
        RecordKind::Heartbeat,
        RecordKind::Producer,
    ];
    // In the order of the alphabet, which is the same however maps of JSON are kept.
    let file = json!({
        "cut rule": {"bytes": cut::MAX_BYTES, "records": cut::MAX_RECORDS},
        "largest event in bytes": wire::MAX_EVENT_BYTES,
        "lists": lists,
        "records": numbers(&kinds, |kind| (kind.type_name(), kind as u8)),
        "units": numbers(Unit::ALL, |unit| (unit.as_str(), unit as u8)),
    });
    let mut pretty = serde_json::to_string_pretty(&file).unwrap();
    pretty.push('\n');
    same_as_file("golden/numbers.v1.json", pretty.as_bytes());
}
