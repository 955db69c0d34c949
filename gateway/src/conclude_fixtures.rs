//! A record and what was seen of its call, for tests of what becomes of both.

use std::cell::OnceCell;

use schemas::enums::{Api, AuthMethod, Capacity, Durability, RouteReason};
use schemas::{Admission, Boot, EventId, WIRE_VERSION};

use super::*;

pub(crate) fn admission() -> Admission {
    let text = Text::cut;
    Admission {
        wire: text(WIRE_VERSION),
        event_id: EventId::mint(Micros(1_000_000), [1; 10]),
        request_id: text("req_1"),
        tenant: text("acme"),
        project: text("search"),
        key_id: text("k"),
        principal: None,
        auth_method: AuthMethod::Key,
        conversation: None,
        labels: schemas::event::Labels::new(),
        api: Api::Chat,
        stream: false,
        model_requested: text("gpt-4o"),
        route: text("gpt-4o"),
        deployment: text("east"),
        provider: text("openai"),
        region: None,
        data_zone: None,
        priced_as: Some(Text::cut("gpt-4o-2024-08-06")),
        capacity: Capacity::Paygo,
        route_reason: RouteReason::Primary,
        received_us: Micros(1_000_000),
        admitted_us: Micros(1_000_100),
        request_bytes: 100,
        calls: 1,
        estimated_units: Units::default(),
        scopes: Vec::new(),
        leases: Text::default(),
        policies: Text::default(),
        price_version: None,
        config_digest: text("d"),
        durability: Durability::Written,
        synthetic: false,
    }
}

pub(crate) fn open_event() -> UsageEvent {
    admission().open_event(
        &Text::cut("gw-1"),
        Boot {
            counter: 1,
            nonce: [0; 8],
        },
    )
}

pub(crate) static NOTHING: std::sync::LazyLock<Units> = std::sync::LazyLock::new(Units::default);

/// Of an answer with status 200 to a chat.
pub(crate) fn facts_of<'a>(call: &'a Call, found: &'a Findings) -> Facts<'a> {
    Facts {
        ending: Ending::Completed,
        call,
        earlier: &[],
        found,
        dialect: Dialect::Azure,
        api: Api::Chat,
        is_stream: false,
        counted: &NOTHING,
        upstream_model: "our-deployment",
        priced_as: "gpt-4o",
        first_byte: None,
        now: Micros(1),
        response_bytes: 0,
        app_status: Some(200),
        has_text: false,
        counted_whole: true,
        read: OnceCell::new(),
    }
}
