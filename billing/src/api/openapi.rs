//! The description of the API, `OpenAPI` 3.1, made from the table of endpoints.

use serde_json::{Map, Value, json};

use crate::api::endpoint::{Access, ENDPOINTS, Endpoint, JSON, Kind, Param};

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let paths = ENDPOINTS.iter().map(|endpoint| {
        let operation = json!({"get": operation(endpoint)});
        (endpoint.path.to_owned(), operation)
    });
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Tollgate billing",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Chargeback, audit trail, exports and prices, read only. Figures are those of the command line, to the digit; amounts are decimal texts.",
        },
        "servers": [{"url": "/"}],
        "paths": paths.collect::<Map<_, _>>(),
        "components": {
            "schemas": {"Error": error_schema()},
            "responses": {"Error": {
                "description": "No answer, and why",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
            }},
            "securitySchemes": {"reader": {
                "type": "http",
                "scheme": "bearer",
                "description": "A reader's token: `[[billing.readers]]` of the configuration",
            }},
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let parameters: Vec<_> = endpoint.params.iter().map(parameter).collect();
    let mut responses = Map::from_iter([("200".to_owned(), good(endpoint))]);
    let error = || json!({"$ref": "#/components/responses/Error"});
    if endpoint.headers.iter().any(|(name, _)| *name == "etag") {
        let known = json!({"description": "The client has this answer: `If-None-Match`"});
        responses.insert("304".to_owned(), known);
    }
    let mut codes = vec!["400", "405"];
    if endpoint.access != Access::Anybody {
        codes.extend(["401", "403", "429", "500", "503", "504"]);
    }
    responses.extend(codes.into_iter().map(|code| (code.to_owned(), error())));
    let description = match endpoint.access {
        Access::Anybody => "Needs no token.".to_owned(),
        Access::AnyReader => "Needs a reader's token.".to_owned(),
        Access::Reader(what) => {
            format!("Needs the token of a reader that may `{}`.", what.as_str())
        }
    };
    let security = match endpoint.access {
        Access::Anybody => json!([]),
        Access::AnyReader | Access::Reader(_) => json!([{"reader": []}]),
    };
    json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "description": description,
        "security": security,
        "parameters": parameters,
        "responses": responses,
    })
}

fn parameter(param: &Param) -> Value {
    let mut schema = match param.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
    };
    if let Some(default) = param.default {
        schema["default"] = typed(param.kind, default);
    }
    let mut example = typed(param.kind, param.example);
    if param.repeats {
        schema = json!({"type": "array", "items": schema});
        example = json!([example]);
    }
    json!({
        "name": param.name,
        "in": "query",
        "description": param.about,
        "required": param.required,
        "schema": schema,
        "example": example,
    })
}

fn typed(kind: Kind, text: &str) -> Value {
    match (kind, text.parse::<u64>()) {
        (Kind::Whole { .. }, Ok(number)) => number.into(),
        _ => text.into(),
    }
}

fn good(endpoint: &Endpoint) -> Value {
    let content = endpoint.media.iter().map(|media| {
        let schema = if *media == JSON {
            schema(endpoint)
        } else {
            json!({"type": "string"})
        };
        ((*media).to_owned(), json!({"schema": schema}))
    });
    let headers = endpoint.headers.iter().map(|(name, about)| {
        let header = json!({"description": about, "schema": {"type": "string"}});
        ((*name).to_owned(), header)
    });
    json!({
        "description": endpoint.summary,
        "content": content.collect::<Map<_, _>>(),
        "headers": headers.collect::<Map<_, _>>(),
    })
}

/// An object of exactly the members of the table, or a list of objects where there are none.
fn schema(endpoint: &Endpoint) -> Value {
    if endpoint.members.is_empty() {
        return json!({"type": "array", "items": {"type": "object"}});
    }
    let members = endpoint.members.iter().map(|member| {
        let schema = match member.types {
            [one] => json!({"type": one, "description": member.about}),
            several => json!({"type": several, "description": member.about}),
        };
        (member.name.to_owned(), schema)
    });
    let names: Vec<_> = endpoint.members.iter().map(|member| member.name).collect();
    json!({
        "type": "object",
        "required": names,
        "additionalProperties": false,
        "properties": members.collect::<Map<_, _>>(),
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "param"],
            "additionalProperties": false,
            "properties": {
                "code": {"type": "string", "description": "For programs; it stays as it is"},
                "message": {"type": "string", "description": "For people, with the way out"},
                "param": {"type": ["string", "null"], "description": "The parameter it is about"},
            },
        }},
    })
}
