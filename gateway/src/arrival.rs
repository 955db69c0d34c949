//! A request as it arrives: its identity, who sends it, what is known of it before it is admitted.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use schemas::event::Labels;
use schemas::name::Text;
use schemas::{
    Api, AuthMethod, Billable, ClockQuality, Durability, EventId, Micros, Outcome, Units,
    UsageEvent, UsageQuality, UsageSource, WIRE_VERSION,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::framing::Fault;
use crate::ledger::Ledger;
use crate::refusal::Refusal;
use crate::snapshot::{Principal, Snapshot};
use crate::trace::TraceContext;

/// A request from its first byte on.
#[derive(Debug)]
pub struct Arrival {
    /// Minted now; the only identity.
    pub event_id: EventId,
    /// Given back as `x-request-id`.
    pub request_id: Text,
    /// When its head was read.
    pub received: Micros,
    /// The same, for measuring.
    pub started: Instant,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Which API.
    pub api: Api,
    /// The configuration it is served under.
    pub snapshot: Arc<Snapshot>,
    /// Who sends it, once verified.
    pub principal: Option<Arc<Principal>>,
    /// What it claims about itself.
    pub labels: Labels,
    /// The model it asks for, once read.
    pub model: Text,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Bytes of its body so far.
    pub body_bytes: usize,
    /// The room that its body takes of all bodies' memory, in KiB.
    pub room: Option<OwnedSemaphorePermit>,
    /// Its place in a trace, where requests are traced.
    pub trace: Option<Box<TraceContext>>,
}

impl Arrival {
    /// Holds its head to the bounds and says who sends it, or why it is refused.
    pub fn identify(&mut self, head: &Parts) -> Result<Arc<Principal>, Refusal> {
        let settings = &self.snapshot.settings;
        let (bytes, headers) = (settings.max_head_bytes, settings.max_headers);
        if head_bytes(head) > bytes || head.headers.len() > headers {
            return Err(Refusal::HeadTooLarge { bytes, headers });
        }
        let principal = self.authenticate(&head.headers)?;
        match head.extensions.get() {
            Some(Fault::TwoLengths) => Err(Refusal::TwoLengths),
            Some(Fault::Lost) => Err(Refusal::FramingLost),
            None => Ok(principal),
        }
    }

    fn authenticate(&mut self, headers: &HeaderMap) -> Result<Arc<Principal>, Refusal> {
        let principal = self
            .snapshot
            .principal(secret(headers)?)
            .ok_or(Refusal::BadKey)?
            .clone();
        self.principal = Some(principal.clone());
        if principal.disabled {
            return Err(Refusal::BadKey);
        }
        Ok(principal)
    }

    /// How durable its record is promised to be; a stranger is promised nothing.
    pub fn durability(&self) -> Durability {
        let who = self.principal.as_ref();
        who.map_or(Durability::Written, |principal| principal.durability)
    }

    /// The record of a request that is refused, or answered without a provider.
    #[must_use]
    pub fn local_event(
        &self,
        ledger: &Ledger,
        now: Micros,
        outcome: Outcome,
        status: u16,
    ) -> UsageEvent {
        let who = self.principal.as_deref();
        let text = |pick: fn(&Principal) -> &Text| who.map(pick).cloned().unwrap_or_default();
        UsageEvent {
            wire: Text::cut(WIRE_VERSION),
            event_id: self.event_id,
            request_id: self.request_id.clone(),
            producer: ledger.producer().clone(),
            boot: ledger.boot(),
            tenant: text(|p| &p.tenant),
            project: text(|p| &p.project),
            key_id: text(|p| &p.key_id),
            principal: None,
            auth_method: if who.is_some() {
                AuthMethod::Key
            } else {
                AuthMethod::Anonymous
            },
            conversation: None,
            labels: self.labels.clone(),
            api: self.api,
            stream: self.stream,
            model_requested: self.model.clone(),
            model_served: None,
            priced_as: None,
            route: None,
            deployment: None,
            provider: None,
            region: None,
            data_zone: None,
            capacity: None,
            service_tier: None,
            route_reason: None,
            received_us: self.received,
            admitted_us: now,
            first_byte_us: None,
            completed_us: now,
            upstream_us: None,
            gateway_us: Some(now.since(self.received)),
            clock_quality: ClockQuality::Good,
            lines: Vec::new(),
            usage_source: UsageSource::None,
            usage_quality: UsageQuality::Ok,
            usage_raw: None,
            provider_cost: None,
            provider_cost_currency: None,
            estimated_units: Units::default(),
            billable: Billable::No,
            synthetic: self.snapshot.all_synthetic,
            outcome,
            outcome_detail: None,
            status: (status > 0).then_some(status),
            finish_reason: None,
            limit_hit: None,
            attempts: Vec::new(),
            cache: None,
            request_bytes: i64::try_from(self.body_bytes).unwrap_or(i64::MAX),
            response_bytes: 0,
            price_version: None,
            leases: Text::default(),
            policies: Text::default(),
            config_digest: self.snapshot.digest.clone(),
            durability: self.durability(),
            durability_degraded: false,
            capture: None,
            count: 1,
            producer_seq: 0,
        }
    }
}

/// The bytes of a head as it came, give or take blanks.
fn head_bytes(head: &Parts) -> usize {
    let uri = &head.uri;
    let line = head.method.as_str().len() + uri.path().len() + uri.query().map_or(0, str::len);
    let headers = head.headers.iter();
    let fields = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + " HTTP/1.1\r\n\r\n".len() + fields.sum::<usize>()
}

/// The one credential of a request.
fn secret(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let bearer = headers.get_all(header::AUTHORIZATION);
    let api_key = headers.get_all("api-key");
    let mut given = bearer
        .iter()
        .map(|v| (true, v))
        .chain(api_key.iter().map(|v| (false, v)));
    let (is_bearer, value) = given.next().ok_or(Refusal::NoKey)?;
    if given.next().is_some() {
        return Err(Refusal::TwoKeys);
    }
    let value = value.as_bytes();
    if !is_bearer {
        return Ok(value);
    }
    let (scheme, secret) = value.split_at_checked(7).ok_or(Refusal::BadKey)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Refusal::BadKey);
    }
    Ok(secret.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_credential_by_either_header() {
        assert_eq!(
            secret(&headers(&[("authorization", "Bearer k1")])).unwrap(),
            b"k1"
        );
        assert_eq!(
            secret(&headers(&[("authorization", "bearer  k1 ")])).unwrap(),
            b"k1"
        );
        assert_eq!(secret(&headers(&[("api-key", "k1")])).unwrap(), b"k1");
        assert!(matches!(secret(&headers(&[])), Err(Refusal::NoKey)));
        for two in [
            [("authorization", "Bearer k1"), ("api-key", "k1")],
            [("api-key", "k1"), ("api-key", "k1")],
            [
                ("authorization", "Bearer k1"),
                ("authorization", "Bearer k2"),
            ],
        ] {
            assert!(matches!(secret(&headers(&two)), Err(Refusal::TwoKeys)));
        }
        assert!(matches!(
            secret(&headers(&[("authorization", "Basic a2V5")])),
            Err(Refusal::BadKey)
        ));
        assert!(matches!(
            secret(&headers(&[("authorization", "x")])),
            Err(Refusal::BadKey)
        ));
    }
}
