//! Errors as the provider words them: `{"error":{message,type,param,code}}`, and the pages of HTML
//! that a proxy in between sends instead. What Azure words otherwise is told in `errors/azure`.

mod azure;

use serde_json::json;

use crate::api::Dialect;
use crate::limits::Throttled;

/// The page that stands in for an answer.
pub(crate) const HTML_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";

/// A page that no API should send.
pub(crate) const HTML_200: &str = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head>\
    <body><h1>Checking your browser</h1></body></html>\n";

/// The event that breaks off a stream which began well.
pub(crate) const ERROR_EVENT: &str = "{\"error\":{\"message\":\"The server had an error while processing your request. \
    Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}";

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl Refusal {
    /// The body of the answer.
    pub(crate) fn body(&self, dialect: Dialect) -> String {
        if dialect == Dialect::Azure
            && let Some(error) = azure::error(self)
        {
            return json!({ "error": error }).to_string();
        }
        let error = json!({"message": self.message, "type": self.kind, "param": self.param, "code": self.code});
        format!("{:#}\n", json!({ "error": error }))
    }

    fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: &str) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            message: message.to_owned(),
        }
    }

    /// 400 that names a parameter.
    pub(crate) fn invalid(param: &str, message: &str) -> Self {
        let mut refusal = Self::new(400, "invalid_request_error", Some("invalid_value"), message);
        refusal.param = Some(param.to_owned());
        refusal
    }

    /// 400 for a value that the model does not take.
    pub(crate) fn unsupported(param: &str, message: &str) -> Self {
        let mut refusal = Self::invalid(param, message);
        refusal.code = Some("unsupported_value");
        refusal
    }

    /// 400 for a prompt that the filter does not let through.
    pub(crate) fn filtered() -> Self {
        let message = "Your request was rejected as a result of our safety system. Your prompt may contain text that is \
            not allowed by our safety system.";
        Self::new(
            400,
            "invalid_request_error",
            Some("content_policy_violation"),
            message,
        )
    }

    /// 400 for a multipart form that cannot be read.
    pub(crate) fn bad_form(why: &str) -> Self {
        let message = format!("Could not parse multipart form: {why}");
        Self::new(400, "invalid_request_error", None, &message)
    }

    /// 404 of Azure's for a path without a version.
    pub(crate) fn no_resource() -> Self {
        Self::new(404, "", Some("404"), "Resource not found")
    }

    /// 400 of Azure's for a version that it does not know.
    pub(crate) fn unsupported_version() -> Self {
        Self::new(400, "", Some("BadRequest"), "API version not supported")
    }

    /// 404 for a recorded answer that is not there.
    pub(crate) fn no_replay(id: u64) -> Self {
        let message =
            format!("there is no recorded answer {id}; POST /replay keeps one and gives its id");
        Self::new(404, "invalid_request_error", Some("no_replay"), &message)
    }

    /// 400 for a parameter that is not there.
    pub(crate) fn missing(param: &str) -> Self {
        let mut refusal = Self::invalid(param, &format!("Missing required parameter: '{param}'."));
        refusal.code = Some("missing_required_parameter");
        refusal
    }

    /// 400 for text that is not JSON, or JSON of the wrong types.
    pub(crate) fn of_json_error(error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::new(
                400,
                "invalid_request_error",
                Some("invalid_type"),
                &format!("Invalid request: {error}"),
            );
        }
        let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
            HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)";
        Self::new(400, "invalid_request_error", None, message)
    }

    /// 413 for a body above the provider's bound.
    pub(crate) fn too_large() -> Self {
        Self::new(
            413,
            "invalid_request_error",
            Some("request_too_large"),
            "Request body too large.",
        )
    }

    /// 401 without or with a wrong key; the key itself is never repeated.
    pub(crate) fn unauthorized(key_given: bool) -> Self {
        if key_given {
            let message = "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.";
            return Self::new(
                401,
                "invalid_request_error",
                Some("invalid_api_key"),
                message,
            );
        }
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using \
            Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self::new(401, "invalid_request_error", None, message)
    }

    /// 404 for a model that is not on offer.
    pub(crate) fn unknown_model(model: &str) -> Self {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        Self::new(
            404,
            "invalid_request_error",
            Some("model_not_found"),
            &message,
        )
    }

    /// 404 for a path that leads nowhere.
    pub(crate) fn unknown_url(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(404, "invalid_request_error", None, &message)
    }

    /// 400 of the simulator's own `/control`.
    pub(crate) fn bad_control(message: &str) -> Self {
        Self::new(
            400,
            "invalid_request_error",
            Some("invalid_setting"),
            message,
        )
    }

    /// 429 of a limit that was really reached.
    pub(crate) fn throttled(model: &str, throttled: Throttled) -> Self {
        let Throttled {
            kind,
            limit,
            wait_ms,
        } = throttled;
        let message = format!(
            "Rate limit reached for {model} on {kind} per min: Limit {limit}. Please try again in {wait_ms}ms. \
             Visit https://platform.openai.com/account/rate-limits to learn more."
        );
        Self::new(429, kind, Some("rate_limit_exceeded"), &message)
    }

    /// The provider's own error of a given status.
    pub(crate) fn provider(status: u16, model: &str) -> Self {
        match status {
            401 => Self::unauthorized(true),
            403 => Self::new(
                403,
                "invalid_request_error",
                Some("unsupported_country_region_territory"),
                "Country, region, or territory not supported",
            ),
            404 => Self::unknown_model(model),
            408 => Self::new(408, "timeout", None, "Request timed out."),
            429 => {
                let message = format!(
                    "Rate limit reached for {model} on tokens per min (TPM): Limit 200000, Used 200000. \
                    Please try again later. Visit https://platform.openai.com/account/rate-limits to learn more."
                );
                Self::new(429, "tokens", Some("rate_limit_exceeded"), &message)
            }
            503 => Self::new(
                503,
                "server_error",
                Some("overloaded"),
                "The server is currently overloaded with other requests. Sorry about that! You can retry your request.",
            ),
            400..=499 => Self::new(
                status,
                "invalid_request_error",
                None,
                "The request was refused.",
            ),
            _ => Self::new(
                status,
                "server_error",
                None,
                "The server had an error while processing your request. Sorry about that!",
            ),
        }
    }
}
