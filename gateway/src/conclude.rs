//! From what was seen of an answer and how it ended to the usage event. Pure.
//!
//! What must not live here: when it ends (see `body`, `drain`), where the record goes (see `ledger`).

use std::cell::OnceCell;

use schemas::event::Throttle;
use schemas::name::Text;
use schemas::units::Side;
use schemas::{
    Api, Attempt, Billable, Line, Micros, Outcome, Units, UsageEvent, UsageQuality, UsageSource,
};

use crate::attempts::{attempts, last_billable, upstream_us};
use crate::meter::dialect::{self, Dialect, Reading, ReadingLine};
use crate::meter::findings::Findings;
use crate::meter::reader::{ENCODED, NOT_JSON};
use crate::throttle::{self, Cause};
use crate::usage_raw::{self, Said};

/// The provider broke off while the answer was read on for an app that had gone.
pub const BROKE_OFF: &str = "upstream_broke_off";

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The whole answer was given.
    Completed,
    /// The app had gone; the answer was read on to its end.
    Drained,
    /// The app had gone and the answer was not read on; why.
    Cancelled(&'static str),
    /// The app had gone before a provider was called.
    NeverCalled,
    /// The provider broke off or could not be reached; how.
    Broken(&'static str),
    /// One of our time limits; which.
    TimedOut(&'static str),
    /// The admission could not be made durable, so nothing was called.
    NotRecorded,
    /// What came of the request after its admission was wrong; why.
    Refused(&'static str),
}

/// What was seen of a call to a provider.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// When it began.
    pub started: Option<Micros>,
    /// When the head of the answer came.
    pub head: Option<Micros>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The provider's own id of the call.
    pub provider_request_id: Option<Text>,
    /// What it said of its limits.
    pub throttle: Option<Throttle>,
    /// Whether any byte of the request can have reached it.
    pub reached: bool,
}

/// Everything that the record stands on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// How it ended.
    pub ending: Ending,
    /// What was seen of the call.
    pub call: &'a Call,
    /// Calls before it, which failed.
    pub earlier: &'a [Attempt],
    /// What the answer said.
    pub found: &'a Findings,
    /// How the provider words its usage.
    pub dialect: Dialect,
    /// The API that was called.
    pub api: Api,
    /// A stream was asked for, or came.
    pub is_stream: bool,
    /// What the request itself counts: what is billed by it where the answer says nothing.
    pub counted: &'a Units,
    /// The name the backend was asked for.
    pub upstream_model: &'a str,
    /// The model that it is.
    pub priced_as: &'a str,
    /// When the app got its first byte.
    pub first_byte: Option<Micros>,
    /// When it ended.
    pub now: Micros,
    /// Bytes given to the app.
    pub response_bytes: u64,
    /// HTTP status given to the app.
    pub app_status: Option<u16>,
    /// Text was generated before it ended.
    pub has_text: bool,
    /// Whether what was counted here is all of the input: no pictures, no sound.
    pub counted_whole: bool,
    /// See [`Facts::reading`].
    pub read: OnceCell<Reading<'a>>,
}

/// Which sides have to be counted by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The input.
    pub input: bool,
    /// The output.
    pub output: bool,
}

impl Wanted {
    /// Whether any has.
    #[must_use]
    pub fn any(self) -> bool {
        self.input || self.output
    }
}

impl<'a> Facts<'a> {
    /// The model that is priced. Some backends give a deployment's name back as the model's; that has no price.
    fn priced<'b>(&'b self, named: Option<&'b str>) -> &'b str {
        named
            .filter(|named| *named != self.upstream_model)
            .unwrap_or(self.priced_as)
    }

    /// What the answer says of its usage; read once.
    pub(crate) fn reading(&self) -> &Reading<'a> {
        self.read.get_or_init(|| self.read_answer())
    }

    /// It was read to its end.
    fn is_whole(&self) -> bool {
        matches!(self.ending, Ending::Completed | Ending::Drained)
    }

    fn read_answer(&self) -> Reading<'a> {
        let mut reading = dialect::read(self.dialect, self.api, self.found);
        // Of a broken answer, what would have followed can be the figures themselves.
        if reading.by_pieces && !self.is_whole() {
            reading.lines.clear();
            reading.quality = UsageQuality::Missing;
        }
        reading
    }

    /// Its tokens can be counted where it does not say them.
    fn is_countable(&self) -> bool {
        matches!(
            self.api,
            Api::Chat | Api::Completions | Api::Responses | Api::Embeddings
        )
    }

    /// The provider took the request and began to answer it.
    fn was_served(&self) -> bool {
        self.call
            .status
            .is_some_and(|status| (200..300).contains(&status))
            && self.found.unexpected != Some(NOT_JSON)
    }

    /// An answer has nothing in it of what was asked for.
    fn says_nothing(&self) -> bool {
        let has_nothing = match self.api {
            // Of what was read on for an app that had gone nobody counted the bytes.
            Api::Audio => self.response_bytes == 0 && self.ending != Ending::Drained,
            Api::Images | Api::Embeddings => self.found.data_items == 0,
            _ => {
                self.is_countable()
                    && !self.has_text
                    && self.found.finish_reason.is_none()
                    && self.found.tool_calls().total() == 0
            }
        };
        has_nothing && self.reading().lines.is_empty()
    }

    /// Figures that a stream told before its end are those of that moment: many providers tell them with every chunk.
    fn is_cut_stream(&self) -> bool {
        self.is_stream && !self.found.has_last_word() && (self.found.error || !self.is_whole())
    }

    /// Before there was any text, a stream that was cut off said that there was none: relays begin so.
    fn said_none_too_soon(&self, side: Side) -> bool {
        side == Side::Output
            && self.has_text
            && self.is_cut_stream()
            && self.reading().total(side) == Some(0)
    }

    /// The provider's content filter stopped the prompt, or broke off the answer.
    fn is_filtered_by_code(&self) -> bool {
        let code = self.found.error_code.as_deref().unwrap_or_default();
        FILTER_CODES.iter().any(|known| known.as_bytes() == code)
    }

    /// The same, or it ended the answer.
    fn is_filtered(&self) -> bool {
        let reason = self.found.finish_reason.as_deref();
        self.is_filtered_by_code() || reason == Some(b"content_filter")
    }

    /// The request can have reached the provider, and no answer came that says what became of it.
    fn ends_unanswered(&self) -> bool {
        self.call.reached && self.call.status.is_none()
    }

    /// What has to be counted by us: a side of a served request that the provider did not report.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let reading = self.reading();
        let lacks = |side| reading.total(side).is_none() || self.said_none_too_soon(side);
        let ended_in_error = self.found.error && !self.has_text;
        let served = self.was_served() && self.is_countable() && !ended_in_error;
        Wanted {
            input: served && lacks(Side::Input),
            // What came compressed was not read: nothing of its text is known, least of all that there was none.
            output: served
                && self.api != Api::Embeddings
                && lacks(Side::Output)
                && self.found.unexpected != Some(ENCODED),
        }
    }
}

/// Fills in an open event. `estimate` holds what was counted of what [`Facts::wanted`] asked for.
#[must_use]
pub fn conclude(open: UsageEvent, facts: &Facts<'_>, estimate: &Units) -> UsageEvent {
    let outcome = outcome(facts);
    let mut quality = facts.reading().quality;
    let usage_raw = keep_raw(facts.found, facts.reading(), &mut quality);
    let usage = usage(facts, quality, estimate);
    let name = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_deref()
            .map(|b| Text::cut(&String::from_utf8_lossy(b)))
    };
    let model_served = name(&facts.found.model);
    let priced_as = Text::cut(facts.priced(model_served.as_ref().map(Text::as_str)));
    let billable = last_billable(facts, outcome);
    let attempts = attempts(&open, facts, (outcome, billable), &priced_as);
    let line_tier = usage
        .lines
        .first()
        .and_then(|line| line.service_tier.as_deref());
    let service_tier = name(&facts.found.service_tier).or(line_tier.map(Text::cut));
    let lines = usage.lines.into_iter().map(|line| Line {
        model: Text::cut(facts.priced(line.model.as_deref())),
        service_tier: line.service_tier.as_deref().map(Text::cut),
        speed: None,
        geography: None,
        units: line.units,
    });
    let upstream_us = upstream_us(facts);
    UsageEvent {
        model_served,
        priced_as: Some(priced_as),
        service_tier,
        first_byte_us: facts.first_byte,
        completed_us: facts.now,
        upstream_us,
        // A clock that went back makes the whole shorter than its calls.
        gateway_us: Some((facts.now.since(open.received_us) - upstream_us.unwrap_or(0)).max(0)),
        lines: lines.collect(),
        usage_source: usage.source,
        usage_quality: usage.quality,
        usage_raw,
        provider_cost_currency: usage.cost.as_ref().map(|_| Text::cut("USD")),
        provider_cost: usage.cost.as_deref().map(Text::cut),
        billable,
        outcome,
        outcome_detail: detail(facts).map(|text| Text::cut(&text)),
        status: facts.app_status,
        finish_reason: name(&facts.found.finish_reason),
        attempts,
        response_bytes: i64::try_from(facts.response_bytes).unwrap_or(i64::MAX),
        // Its admission missed the level; what becomes of this record nobody knows yet.
        durability_degraded: facts.ending == Ending::NotRecorded,
        ..open
    }
}

/// What the provider said of usage, as it is kept. What is not kept cannot be looked at again: that is told.
fn keep_raw(found: &Findings, reading: &Reading<'_>, quality: &mut UsageQuality) -> Option<String> {
    match usage_raw::of(found, reading) {
        Said::Nothing => None,
        Said::Kept(raw) => Some(raw),
        Said::Lost => {
            if *quality == UsageQuality::Ok {
                *quality = UsageQuality::Unmapped;
            }
            None
        }
    }
}

/// How providers say that their content filter stopped something. Azure: "Content filtering" (`content_filter`, in the
/// older APIs `contentFilter`, inside `ResponsibleAIPolicyViolation`); `OpenAI`: images (`content_policy_violation`,
/// `moderation_blocked`).
const FILTER_CODES: [&str; 5] = [
    "content_filter",
    "contentFilter",
    "content_policy_violation",
    "moderation_blocked",
    "ResponsibleAIPolicyViolation",
];

pub(crate) fn outcome(facts: &Facts<'_>) -> Outcome {
    match facts.ending {
        Ending::Drained | Ending::Cancelled(_) | Ending::NeverCalled => Outcome::ClientAborted,
        Ending::TimedOut(_) => Outcome::Timeout,
        Ending::NotRecorded => Outcome::RefusedLimit,
        Ending::Refused(_) => Outcome::RefusedInvalid,
        _ if facts.is_filtered_by_code() => Outcome::Filtered,
        Ending::Broken(_) => Outcome::UpstreamError,
        Ending::Completed if !facts.was_served() || facts.found.error => Outcome::UpstreamError,
        Ending::Completed if facts.is_filtered() => Outcome::Filtered,
        Ending::Completed => Outcome::Completed,
    }
}

fn detail(facts: &Facts<'_>) -> Option<String> {
    match facts.ending {
        Ending::Cancelled(why)
        | Ending::Broken(why)
        | Ending::TimedOut(why)
        | Ending::Refused(why) => Some(why.into()),
        Ending::NeverCalled => Some("before_upstream".into()),
        Ending::NotRecorded => Some("metering_unavailable".into()),
        Ending::Completed | Ending::Drained => match facts.call.status {
            Some(status) if !(200..300).contains(&status) => {
                let said = provider_limit(facts, status).map(Cause::as_str);
                Some(said.map_or_else(|| format!("upstream_status_{status}"), str::to_owned))
            }
            _ if facts.found.error => Some("error_event".into()),
            _ => facts.found.unexpected.map(str::to_owned),
        },
    }
}

/// Whether the provider refused for a limit, and whose.
fn provider_limit(facts: &Facts<'_>, status: u16) -> Option<Cause> {
    let code = facts.found.error_code.as_deref();
    let kind = facts.found.error_type.as_deref();
    throttle::said(status, code, kind, facts.call.throttle.as_ref())
}

struct Usage {
    lines: Vec<ReadingLine>,
    source: UsageSource,
    quality: UsageQuality,
    cost: Option<String>,
}

/// Puts what was counted beside what was reported, where nothing was: it is the answer's own model's.
fn add_counted(lines: &mut Vec<ReadingLine>, facts: &Facts<'_>, estimate: &Units) {
    let found = facts.found;
    if estimate.is_empty() {
        return;
    }
    let text = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_deref()
            .map(|b| String::from_utf8_lossy(b).into_owned())
    };
    if lines.first().is_none_or(|line| line.is_tool) {
        let own = ReadingLine {
            model: text(&found.model),
            service_tier: text(&found.service_tier),
            units: Units::default(),
            is_tool: false,
        };
        lines.insert(0, own);
    }
    let own = &mut lines[0].units;
    for (unit, count) in estimate.iter() {
        let is_open = |said| said == 0 && facts.said_none_too_soon(unit.side());
        if own.get(unit).is_none_or(is_open) {
            // An estimate is never below 0, so it cannot be refused.
            drop(own.set(unit, count));
        }
    }
}

/// Families of models that do not think where no tokenizer sees it.
const UNTHINKING: &[&str] = &[
    "babbage",
    "chatgpt-4o",
    "codestral",
    "command",
    "davinci",
    "gemma",
    "gpt-3.5",
    "gpt-4",
    "llama",
    "meta-llama",
    "ministral",
    "mistral",
    "mixtral",
    "open-mi",
    "phi-",
    "text-",
];

/// Whether a model may think unseen: all that are not known not to. A router writes who makes it before its name, a tuned
/// one what it was made of.
fn may_think_unseen(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    !UNTHINKING.iter().any(|family| name.starts_with(family))
}

fn usage(facts: &Facts<'_>, quality: UsageQuality, estimate: &Units) -> Usage {
    let reading = facts.reading();
    let is_cut = facts.is_cut_stream();
    let mut lines = reading.lines.clone();
    let reported = !lines.is_empty();
    // Characters are no tokens: where the answer has figures, those are the bill.
    let by_request = !reported && facts.was_served() && !facts.counted.is_empty();
    if by_request {
        add_counted(&mut lines, facts, facts.counted);
    }
    add_counted(&mut lines, facts, estimate);
    let estimated = by_request || !estimate.is_empty();
    let whole = [Side::Input, Side::Output]
        .iter()
        .all(|side| lines.iter().any(|line| line.units.total(*side).is_some()))
        && facts.counted_whole;
    let source = match (reported, estimated) {
        (true, false) if is_cut => UsageSource::Partial,
        (true, false) if facts.ending == Ending::Drained => UsageSource::Drained,
        (true, false) => UsageSource::Provider,
        (true, true) => UsageSource::Partial,
        (false, true) if by_request => UsageSource::Estimated,
        (false, true) if !whole || may_think_unseen(facts.priced_as) => UsageSource::Partial,
        (false, true) => UsageSource::Estimated,
        (false, false) => UsageSource::None,
    };
    let quality = match quality {
        // Nothing was said, and nothing had to be.
        UsageQuality::Missing if !facts.was_served() && !facts.ends_unanswered() => {
            UsageQuality::Ok
        }
        quality => quality,
    };
    Usage {
        lines,
        source,
        quality,
        cost: reading.provider_cost.clone().filter(|_| !is_cut),
    }
}

/// By the provider's own rules, as far as they are stated: see docs/outcomes.md. Successful answers are
/// billed, also when the app hangs up; 4xx are not, but for those that Azure says it may charge: a filtered
/// prompt, a prompt that was too long, a time-out. Of 5xx nobody says that they are free.
pub(crate) fn billable(facts: &Facts<'_>, outcome: Outcome) -> Billable {
    if !facts.call.reached {
        return Billable::No;
    }
    let ends_in_error = facts.found.finish_reason.as_deref() == Some(b"error");
    let too_long = facts.found.error_code.as_deref() == Some(b"context_length_exceeded");
    match (facts.call.status, outcome) {
        (Some(_), _) if facts.is_filtered() => Billable::Unclear,
        (Some(408), _) => Billable::Unclear,
        (Some(_), _) if too_long => Billable::Unclear,
        (Some(400..=499), _) => Billable::No,
        (Some(status), _) if facts.dialect.charges_nothing_for(status) => Billable::No,
        (Some(_), _) if ends_in_error && facts.dialect.charges_nothing_for_errors() => Billable::No,
        // Nothing was answered: no figure, no text, no end.
        (Some(_), _) if facts.is_whole() && facts.says_nothing() => Billable::Unclear,
        (Some(_), Outcome::Completed) => Billable::Yes,
        // Whoever hangs up does not turn a failed answer into a good one.
        (Some(_), Outcome::ClientAborted)
            if facts.was_served()
                && !facts.found.error
                && facts.ending != Ending::Cancelled(BROKE_OFF) =>
        {
            Billable::Yes
        }
        _ => Billable::Unclear,
    }
}

#[cfg(test)]
#[path = "conclude_fixtures.rs"]
mod fixtures;

#[cfg(test)]
#[path = "conclude_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "billable_tests.rs"]
mod billable_tests;

#[cfg(test)]
#[path = "counted_tests.rs"]
mod counted_tests;
