//! A provider to test against: OpenAI shapes, latency, faults, and the truth of what it did.
