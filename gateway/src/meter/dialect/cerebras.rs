//! Cerebras.
//!
//! Source: recorded, vercel/ai, `packages/cerebras/src/fixtures` (usage on the finish chunk of a stream that
//! did not ask; reasoning inside the completion; times beside the usage, in `time_info`) and
//! pydantic/pydantic-ai, `tests/models/cassettes/test_cerebras`.

use super::rules::{Rules, StreamUsage};

pub(super) const RULES: Rules = Rules {
    stream_usage: StreamUsage::Always,
    ..Rules::PLAIN
};
