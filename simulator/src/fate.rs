//! How one request will fare: a pure function of the settings and the nonce. Nothing here does it.

use serde::Deserialize;

use crate::settings::{FinishReason, Settings, WriteMode};
use crate::usage::{BadUsage, UsageMode};

/// What comes instead of, or before, a proper answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// An answer with 200.
    Serve,
    /// An error in `OpenAI`'s shape.
    Status(u16),
    /// 502 with a page of HTML, as a proxy in between would send.
    Html502,
    /// 200 with a page of HTML.
    Html200,
    /// The connection is reset.
    Reset,
}

/// What happens in the middle of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection is reset.
    Reset(Place),
    /// Nothing for so many milliseconds, then on.
    Stall(Place, u64),
    /// An error event, then the end.
    ErrorEvent(Place),
}

/// Where in an answer. A plain answer breaks at its half, or before its `usage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After so many content events, or after the last if there are fewer.
    AfterEvents(u64),
    /// Everything but the usage has been sent.
    BeforeUsage,
}

/// What the provider's filter finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The prompt: no answer at all.
    Prompt,
    /// The answer, which breaks off.
    Answer,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// By its length.
    Length,
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Where a recorded answer is cut; each piece is a write of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In pieces of so many bytes.
    Every(u64),
    /// In two, at this byte.
    At(u64),
    /// In pieces of 1 to 64 bytes, drawn from this.
    Drawn(u64),
}

/// How often tools of the provider's are called in an answer of `responses`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tools {
    /// Searches of the web.
    pub web_search: u64,
    /// Searches of files.
    pub file_search: u64,
    /// Runs of code, all in one container.
    pub code_interpreter: u64,
    /// Pictures made.
    pub image_generation: u64,
    /// Calls of the app's own functions.
    pub function: u64,
}

/// What an answer holds apart from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Cached tokens that are reported, at most the prompt's.
    pub cached_tokens: u64,
    /// Hidden tokens at the start of each answer, inside its length.
    pub reasoning_tokens: u64,
    /// Length of sound that came in; `None`: by the file's size.
    pub audio_ms: Option<u64>,
    /// What `service_tier` says.
    pub service_tier: &'static str,
    /// Tools of the provider's.
    pub tools: Tools,
    /// What the filter finds.
    pub filter: Option<Filter>,
    /// Azure's verdicts come after the finish, in chunks of their own.
    pub late_verdicts: bool,
    /// A response fails after its text.
    pub failed: bool,
}

/// The outward form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of one test double, not a state"
)]
pub struct Shape {
    /// Wait between content events, and the further wait drawn from `[0, jitter)`.
    pub chunk_delay_ms: u64,
    /// See `chunk_delay_ms`.
    pub chunk_jitter_ms: u64,
    /// Tokens in a content event.
    pub tokens_per_chunk: u64,
    /// How events become writes.
    pub write: WriteMode,
    /// Largest TCP write in bytes; 0 is no bound.
    pub write_bytes: u64,
    /// CR LF at line ends.
    pub crlf: bool,
    /// No `data: [DONE]`.
    pub no_done: bool,
    /// No blank line after the last event.
    pub no_final_blank: bool,
    /// A comment before every n-th content event; 0 is never.
    pub ping_every_events: u64,
    /// What `finish_reason` says.
    pub finish_reason: FinishReason,
    /// An answer of about so many bytes, whatever the request's limit.
    pub big_bytes: Option<u64>,
    /// Plain JSON although a stream was asked.
    pub json_for_stream: bool,
    /// How the end of the body is told; `None`: as the provider does.
    pub framing: Option<Framing>,
}

/// All that is decided about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Wait before the head.
    pub head_delay_ms: u64,
    /// A stall before the head, on top.
    pub head_stall_ms: u64,
    /// What the head is.
    pub head: Head,
    /// What `Retry-After` says on a 429 or 503.
    pub retry_after_ms: u64,
    /// What happens in the middle.
    pub breaks: Option<Break>,
    /// Whether usage is reported.
    pub usage: UsageMode,
    /// Whether the reported usage is a lie.
    pub bad_usage: Option<BadUsage>,
    /// What the answer holds.
    pub content: Content,
    /// The outward form.
    pub shape: Shape,
    /// A recorded answer that is played instead of one of our own.
    pub replay: Option<u64>,
    /// Where it is cut; `None`: as it was recorded.
    pub cut: Option<Cut>,
    /// Seed of everything further that is drawn (jitter, words).
    pub draw: u64,
}

/// The shares in the order in which they are laid on `[0, 1)`.
pub(crate) fn shares(s: &Settings) -> [(&'static str, f64); 14] {
    [
        ("p_429", s.p_429),
        ("p_500", s.p_500),
        ("p_502_html", s.p_502_html),
        ("p_503", s.p_503),
        ("p_reset_before_head", s.p_reset_before_head),
        ("p_reset_mid", s.p_reset_mid),
        ("p_reset_before_usage", s.p_reset_before_usage),
        ("p_stall_before_head", s.p_stall_before_head),
        ("p_stall_mid", s.p_stall_mid),
        ("p_no_usage", s.p_no_usage),
        ("p_no_stream_usage", s.p_no_stream_usage),
        ("p_error_event", s.p_error_event),
        ("p_json_for_stream", s.p_json_for_stream),
        ("p_html_200", s.p_html_200),
    ]
}

/// Decides the fate of the request with this nonce. Same seed, nonce and settings: same fate.
pub(crate) fn decide(settings: &Settings, nonce: &str) -> Fate {
    let draw = hash(settings.seed, nonce.as_bytes());
    let mut fate = Fate {
        head_delay_ms: settings.latency_ms + below(mix(draw ^ 1), settings.latency_jitter_ms),
        head_stall_ms: 0,
        head: Head::Serve,
        retry_after_ms: settings.retry_after_ms,
        breaks: None,
        usage: UsageMode::Reported,
        bad_usage: None,
        content: content(settings),
        shape: shape(settings),
        replay: None,
        cut: None,
        draw,
    };
    if let Some(fault) = drawn_fault(settings, unit(mix(draw ^ 2))) {
        let place = Place::AfterEvents(1 + below(mix(draw ^ 3), 8));
        apply_fault(&mut fate, fault, place, settings.stall_ms);
    }
    fate
}

fn content(settings: &Settings) -> Content {
    Content {
        cached_tokens: settings.cached_tokens,
        reasoning_tokens: settings.reasoning_tokens,
        audio_ms: None,
        service_tier: "default",
        tools: Tools::default(),
        filter: None,
        late_verdicts: false,
        failed: false,
    }
}

fn shape(settings: &Settings) -> Shape {
    Shape {
        chunk_delay_ms: settings.chunk_delay_ms,
        chunk_jitter_ms: settings.chunk_jitter_ms,
        tokens_per_chunk: settings.tokens_per_chunk,
        write: settings.write,
        write_bytes: settings.write_bytes,
        crlf: settings.crlf,
        no_done: settings.no_done,
        no_final_blank: settings.no_final_blank,
        ping_every_events: settings.ping_every_events,
        finish_reason: settings.finish_reason,
        big_bytes: None,
        json_for_stream: false,
        framing: None,
    }
}

fn drawn_fault(settings: &Settings, point: f64) -> Option<&'static str> {
    let mut edge = 0.0;
    shares(settings).into_iter().find_map(|(name, share)| {
        edge += share;
        (point < edge).then_some(name)
    })
}

fn apply_fault(fate: &mut Fate, fault: &str, place: Place, stall_ms: u64) {
    match fault {
        "p_429" => fate.head = Head::Status(429),
        "p_500" => fate.head = Head::Status(500),
        "p_502_html" => fate.head = Head::Html502,
        "p_503" => fate.head = Head::Status(503),
        "p_reset_before_head" => fate.head = Head::Reset,
        "p_reset_mid" => fate.breaks = Some(Break::Reset(place)),
        "p_reset_before_usage" => fate.breaks = Some(Break::Reset(Place::BeforeUsage)),
        "p_stall_before_head" => fate.head_stall_ms = stall_ms,
        "p_stall_mid" => fate.breaks = Some(Break::Stall(place, stall_ms)),
        "p_no_usage" => fate.usage = UsageMode::Nowhere,
        "p_no_stream_usage" => fate.usage = UsageMode::NotInStream,
        "p_error_event" => fate.breaks = Some(Break::ErrorEvent(place)),
        "p_json_for_stream" => fate.shape.json_for_stream = true,
        "p_html_200" => fate.head = Head::Html200,
        _ => {}
    }
}

/// FNV-1a over the bytes, then mixed; stable over versions, for tests that name a seed.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let basis = 0xcbf2_9ce4_8422_2325 ^ mix(seed);
    let folded = bytes.iter().fold(basis, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(folded)
}

/// `SplitMix64`'s finaliser.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Uniform in `[0, bound)`; 0 for a bound of 0.
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    if bound == 0 { 0 } else { random % bound }
}

fn unit(random: u64) -> f64 {
    let high = u32::try_from(random >> 32).unwrap_or(0);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}
