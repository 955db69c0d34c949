//! From a request to an answer: the path finds its row of the table, the token its reader, the query its parameters.
//! In this order, so that nobody without a token learns anything but that there is such a path.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::api::answer::Answer;
use crate::api::call::Call;
use crate::api::endpoint::{Access, ENDPOINTS, Endpoint, JSON, Serves};
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::api::readers::Reader;
use crate::api::service::Service;
use crate::api::settings::Tenants;
use crate::api::{audit, completeness, console, exports, openapi, prices, reports};
use crate::render;

/// Every endpoint of the table, and an error for everything else.
pub fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let serve = move |State(service): State<Arc<Service>>, request: Request| {
            serve(Some(endpoint), service, request)
        };
        router = router.route(endpoint.path, any(serve));
    }
    let nothing =
        move |State(service): State<Arc<Service>>, request: Request| serve(None, service, request);
    router.fallback(nothing).with_state(service)
}

async fn serve(
    endpoint: Option<&'static Endpoint>,
    service: Arc<Service>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let (parts, _body) = request.into_parts();
    let mut who = None;
    let answered = match endpoint {
        _ if parts.method != Method::GET => Err(ApiError::wrong_method()),
        None => Err(ApiError::no_such_path()),
        Some(_) if service.is_stopping() => Err(ApiError::stopping()),
        Some(endpoint) => {
            let query = parts.uri.query();
            answer(endpoint, &service, query, &parts.headers, &mut who).await
        }
    };
    let result = match &answered {
        Ok(response) if response.status() == StatusCode::NOT_MODIFIED => "not_modified",
        Ok(_) => "ok",
        Err(error) => error.code(),
    };
    let id = endpoint.map_or("none", |endpoint| endpoint.id);
    service.metrics.answered(id, result, begun.elapsed());
    if let Some(reader) = who {
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(reader = reader.name, endpoint = id, result, ms, "answered");
    }
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    endpoint: &'static Endpoint,
    service: &Arc<Service>,
    query: Option<&str>,
    headers: &HeaderMap,
    who: &mut Option<Arc<Reader>>,
) -> Result<Response, ApiError> {
    match endpoint.serves {
        Serves::OpenApi => {
            Params::read(endpoint, query)?;
            let text = render::json(&openapi::document())?;
            return Answer::new(JSON, text).untagged().response();
        }
        Serves::Console => {
            Params::read(endpoint, query)?;
            return console::page();
        }
        _ => {}
    }
    let reader = service.readers().verify(headers)?;
    *who = Some(reader.clone());
    if let Access::Reader(what) = endpoint.access {
        reader.demand(what)?;
    }
    let params = Params::read(endpoint, query)?;
    let call = Call::new(service.clone(), reader, params, endpoint.path, headers);
    match endpoint.serves {
        Serves::Chargeback => reports::chargeback(&call).await,
        Serves::Coverage => reports::coverage(&call).await,
        Serves::Audit => audit::page(&call).await,
        Serves::Completeness => completeness::verdicts(&call).await,
        Serves::Exports => exports::file(&call).await,
        Serves::Prices => prices::lines(&call).await,
        Serves::Reader | Serves::OpenApi | Serves::Console => whose(&call.reader),
    }
}

/// Whose token it is.
fn whose(reader: &Reader) -> Result<Response, ApiError> {
    let tenants = match &reader.tenants {
        Tenants::All(_) => None,
        Tenants::Only(tenants) => Some(tenants),
    };
    let told = serde_json::json!({"name": reader.name, "tenants": tenants, "may": reader.may});
    let text = render::json(&told)?;
    Answer::new(JSON, text).untagged().response()
}
