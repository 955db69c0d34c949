//! The words of OpenTelemetry's conventions for ours. Source: semantic conventions for generative AI, registry of
//! `gen_ai` attributes: where one of its well-known values applies it must be used, else a value of one's own may be.

use schemas::Api;

/// `gen_ai.operation.name`
pub fn operation(api: Api) -> &'static str {
    match api {
        Api::Chat | Api::Responses | Api::Messages => "chat",
        Api::Completions => "text_completion",
        other => other.as_str(),
    }
}

/// `gen_ai.provider.name`
pub fn provider(name: &str) -> &str {
    match name {
        "azure" => "azure.ai.openai",
        "google" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    }
}
