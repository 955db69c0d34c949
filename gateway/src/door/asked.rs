//! What a request asks, as far as the gateway must know, and its body for the provider.
//!
//! The body is never re-serialised: what must change is spliced in, every other byte stays.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

/// What a request asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model, as the body names it.
    pub model: Option<String>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether the client asked for usage in its stream.
    pub asks_usage: bool,
    /// The counts that the body names.
    pub counts: SmallVec<[Count; 2]>,
    /// Characters of the text that is to be spoken.
    pub characters: Option<i64>,
    /// Texts that a completion goes on from, each answered by itself.
    pub prompts: i64,
    /// Whether its input can be more tokens than its body has bytes, or it may be charged at more than the usual tier.
    pub is_unbounded: bool,
    pub(super) places: Places,
}

/// A count that a body names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What it bounds.
    pub bound: Bound,
    /// The member's name.
    pub name: &'static str,
    /// As given; `None` for a `null`, which bounds nothing.
    pub value: Option<i64>,
    pub(super) place: Range<usize>,
}

/// What a count bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The tokens of one answer.
    OutputTokens,
    /// The answers.
    N,
    /// The answers that the best is chosen from.
    BestOf,
}

/// Where things stand in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) model: Option<Range<usize>>,
    pub(super) stream_options: Option<Range<usize>>,
    pub(super) include_usage: Option<Range<usize>>,
    /// Just before the closing brace of the body.
    pub(super) end: usize,
    /// Whether the object has any member.
    pub(super) has_members: bool,
}

/// What changes in a body on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'a> {
    /// The model's name at the provider, where the body must name it.
    pub model: Option<&'a str>,
    /// Ask for usage in the stream.
    pub ask_usage: bool,
    /// Counts that are set to a bound: the member's name, and the bound.
    pub counts: &'a [(&'static str, i64)],
}

type Edits = SmallVec<[(Range<usize>, String); 4]>;

impl Asked {
    /// The largest named count of a bound.
    #[must_use]
    pub fn count(&self, bound: Bound) -> Option<i64> {
        let of_bound = self.counts.iter().filter(|count| count.bound == bound);
        of_bound.filter_map(|count| count.value).max()
    }

    /// The same without the model, for whoever does not look at it.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self {
            model: None,
            counts: self.counts.clone(),
            places: self.places.clone(),
            ..*self
        }
    }

    /// The body for the provider. Without a change the bytes are those that came.
    #[must_use]
    pub fn upstream_body(&self, body: &Bytes, changes: &Changes<'_>) -> Bytes {
        let mut edits = Edits::new();
        let mut added = String::new();
        self.model_edit(changes.model, &mut edits, &mut added);
        if changes.ask_usage && self.stream && !self.asks_usage {
            self.usage_edit(body, &mut edits, &mut added);
        }
        for (name, bound) in changes.counts {
            match self.counts.iter().find(|count| count.name == *name) {
                Some(count) => edits.push((count.place.clone(), bound.to_string())),
                None => add(&mut added, &format!("\"{name}\":{bound}")),
            }
        }
        if !added.is_empty() {
            let comma = if self.places.has_members { "," } else { "" };
            let at = self.places.end;
            edits.push((at..at, format!("{comma}{added}")));
        }
        splice(body, edits)
    }

    fn model_edit(&self, model: Option<&str>, edits: &mut Edits, added: &mut String) {
        let Some(model) = model else { return };
        if self.model.as_deref() == Some(model) {
            return;
        }
        let name = serde_json::Value::from(model).to_string();
        match &self.places.model {
            Some(place) => edits.push((place.clone(), name)),
            None => add(added, &format!("\"model\":{name}")),
        }
    }

    fn usage_edit(&self, body: &[u8], edits: &mut Edits, added: &mut String) {
        if let Some(place) = &self.places.include_usage {
            edits.push((place.clone(), "true".into()));
            return;
        }
        let Some(place) = &self.places.stream_options else {
            add(added, r#""stream_options":{"include_usage":true}"#);
            return;
        };
        if body[place.start] != b'{' {
            edits.push((place.clone(), r#"{"include_usage":true}"#.into()));
            return;
        }
        let inner = body[place.start + 1..place.end - 1].trim_ascii();
        let comma = if inner.is_empty() { "" } else { "," };
        let at = place.start + 1;
        edits.push((at..at, format!(r#""include_usage":true{comma}"#)));
    }
}

fn add(added: &mut String, member: &str) {
    if !added.is_empty() {
        added.push(',');
    }
    added.push_str(member);
}

/// Puts texts in the places of others, which do not overlap.
fn splice(body: &Bytes, mut edits: Edits) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|(range, _)| range.start);
    let grows: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + grows);
    let mut from = 0;
    for (range, text) in edits {
        spliced.extend_from_slice(&body[from..range.start]);
        spliced.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    spliced.extend_from_slice(&body[from..]);
    spliced.into()
}
