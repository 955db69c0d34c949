//! The keys of an answer that metering looks at. Nothing is known here of where they stand.

/// Keys longer than this are nothing that metering asks for.
const MAX_KEY_BYTES: usize = 24;

/// The keys that metering looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Other,
    /// Members of a streamed chunk that come along whether or not anything is said.
    Envelope,
    Action,
    Annotations,
    Audio,
    Choices,
    Code,
    ContainerId,
    Content,
    Data,
    Delta,
    Duration,
    Environment,
    Error,
    ErrorType,
    ExecutedTools,
    FinishReason,
    FunctionCall,
    IncompleteDetails,
    Index,
    Item,
    Message,
    Model,
    Name,
    Object,
    Output,
    Reason,
    /// Thinking that is told beside the answer, under any of its names.
    Reasoning,
    ReasoningDetails,
    Response,
    ServiceTier,
    Status,
    Text,
    ToolCalls,
    ToolUsage,
    Tools,
    Type,
    Usage,
    UsageBreakdown,
    /// Why there is no answer, where an error comes without an envelope.
    Why,
    XGroq,
}

fn key_of(name: &[u8]) -> Key {
    match name {
        b"action" => Key::Action,
        b"annotations" => Key::Annotations,
        b"audio" => Key::Audio,
        b"choices" => Key::Choices,
        b"code" => Key::Code,
        b"container_id" => Key::ContainerId,
        b"content" => Key::Content,
        b"data" => Key::Data,
        b"delta" => Key::Delta,
        b"duration" => Key::Duration,
        b"detail" | b"errors" => Key::Why,
        b"environment" => Key::Environment,
        b"error" => Key::Error,
        b"error_type" => Key::ErrorType,
        b"executed_tools" => Key::ExecutedTools,
        b"finish_reason" => Key::FinishReason,
        b"function_call" => Key::FunctionCall,
        b"incomplete_details" => Key::IncompleteDetails,
        b"index" => Key::Index,
        b"item" => Key::Item,
        b"message" => Key::Message,
        b"model" => Key::Model,
        b"name" => Key::Name,
        b"object" => Key::Object,
        b"output" => Key::Output,
        b"reason" => Key::Reason,
        b"reasoning" | b"reasoning_content" | b"thinking" => Key::Reasoning,
        b"reasoning_details" => Key::ReasoningDetails,
        b"response" => Key::Response,
        b"service_tier" => Key::ServiceTier,
        b"status" => Key::Status,
        b"tool_calls" => Key::ToolCalls,
        b"tool_usage" => Key::ToolUsage,
        b"tools" => Key::Tools,
        b"type" => Key::Type,
        b"usage" => Key::Usage,
        b"usage_breakdown" => Key::UsageBreakdown,
        b"x_groq" => Key::XGroq,
        b"refusal" | b"arguments" | b"input" | b"text" | b"transcript" => Key::Text,
        // The last two are Azure's, on the chunk that `include_usage` adds and on no other.
        b"id"
        | b"created"
        | b"system_fingerprint"
        | b"obfuscation"
        | b"latency_checkpoint"
        | b"routing" => Key::Envelope,
        _ => Key::Other,
    }
}

/// The bytes of a key, as they come.
#[derive(Debug, Default)]
pub(super) struct KeyBuffer {
    bytes: [u8; MAX_KEY_BYTES],
    len: usize,
    too_long: bool,
}

impl KeyBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > MAX_KEY_BYTES {
            self.too_long = true;
            return;
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    pub(super) fn key(&self) -> Key {
        if self.too_long {
            Key::Other
        } else {
            key_of(&self.bytes[..self.len])
        }
    }
}
