//! How orders and nonces travel. What an order means is told in `directive`.
//!
//! In every API: the header `x-sim`, or `x-stainless-sim`, which a gateway passes on with the SDKs' own headers.
//! In bodies: `metadata.sim` where there is a `metadata`, and a member or form field `user` that begins with `sim:`.
//! All of them count; of two orders that contradict, `metadata` is before `user` and `user` before the headers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;

use crate::directive::Directive;
use crate::errors::Refusal;

/// `metadata` of a request.
pub(crate) type Metadata<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

const ORDER_HEADERS: [&str; 2] = ["x-sim", "x-stainless-sim"];
const USER_PREFIX: &str = "sim:";

/// What a request orders, and its nonce if it names one itself.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) directive: Directive,
    pub(crate) nonce: Option<String>,
}

/// Reads all carriers of one request.
pub(crate) fn read(
    headers: &HeaderMap,
    user: Option<&str>,
    metadata: Option<Metadata<'_>>,
) -> Result<Orders, Refusal> {
    let mut metadata = metadata.unwrap_or_default();
    let from_headers = ORDER_HEADERS
        .iter()
        .filter_map(|name| headers.get(*name))
        .filter_map(|value| value.to_str().ok())
        .map(|text| ("x-sim", text));
    let from_user = user.and_then(|user| user.strip_prefix(USER_PREFIX));
    let from_metadata = metadata.remove("sim");
    let texts = from_headers
        .chain(from_user.map(|text| ("user", text)))
        .chain(from_metadata.as_deref().map(|text| ("metadata", text)));
    let mut directive = Directive::default();
    for (param, text) in texts {
        let read = Directive::parse(text).map_err(|e| Refusal::invalid(param, &e.to_string()))?;
        directive.extend(read);
    }
    let nonce = directive.nonce().map(str::to_owned);
    Ok(Orders {
        nonce: nonce.or_else(|| metadata.remove("nonce").map(Cow::into_owned)),
        directive,
    })
}

/// The nonce of a request that names none in its body or its orders.
pub(crate) fn header_nonce(headers: &HeaderMap) -> Option<Arc<str>> {
    headers
        .get("x-client-request-id")
        .and_then(|value| value.to_str().ok())
        .map(Arc::from)
}
