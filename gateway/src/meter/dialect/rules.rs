//! What a dialect can differ in. The figures themselves are read in one place (see `tokens`).

/// Where a dialect's reasoning tokens stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// Inside or outside: the total tells. Where there is no total: outside, in a chat.
    ByTotalElseOutside,
    /// Inside, unless the total says in so many tokens that it is outside.
    ByTotalElseInside,
}

/// What it means when the total is more than its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// The figures contradict each other.
    Contradiction,
    /// Reasoning that the dialect shows nowhere else.
    HiddenReasoning,
    /// Where seconds of sound are stated, the same sound in tokens; it is counted once, as time.
    SoundCountedAsTime,
}

/// Whom a streamed chat tells its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamUsage {
    /// Who asks with `stream_options.include_usage`, and nobody else.
    IfAsked,
    /// Everyone, as far as is known, and asking is refused or gives the same again: taking it out would change the answer.
    Always,
    /// Everyone beside a choice, or, some models of the provider, who asks, in a chunk without choices.
    BesideChoiceOrIfAsked,
    /// The same; and who asks gets `"usage":null` in every other chunk, which nobody else gets.
    BesideChoiceOrIfAskedWithNulls,
}

/// How a provider states what it charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// Not in its answers.
    None,
    /// A decimal number of US dollars of this name.
    Dollars(&'static str),
    /// A decimal number of US dollars of the second name, in an object of the first.
    DollarsIn(&'static str, &'static str),
    /// A whole number of ten thousand millionths of a US dollar of this name.
    Ticks(&'static str),
}

/// What a dialect differs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Further names of the cached part of the input, at the top of `usage`.
    pub(super) cached_names: &'static [&'static str],
    /// Further names of the part of the input that was written into a cache, at the top of `usage`.
    pub(super) written_names: &'static [&'static str],
    /// The name of the part of the input that was not cached, where it is told.
    pub(super) uncached_name: Option<&'static str>,
    /// Further names of the reasoning part of the output, at the top of `usage`.
    pub(super) reasoning_names: &'static [&'static str],
    /// Where reasoning stands.
    pub(super) reasoning: Reasoning,
    /// What a surplus of the total is.
    pub(super) surplus: Surplus,
    /// Names of figures that are no use and do not look it: sums of other figures.
    pub(super) no_use: &'static [&'static str],
    /// What the provider charges.
    pub(super) cost: Cost,
    /// The model of the tool that draws images, where the answer names none.
    pub(super) image_model: Option<&'static str>,
    /// Failures that the provider says it does not charge, beside those that nobody charges.
    pub(super) free_statuses: &'static [u16],
    /// An answer that ends with `finish_reason` `error` is not charged.
    pub(super) free_if_error: bool,
    /// Whom a streamed chat tells its usage.
    pub(super) stream_usage: StreamUsage,
}

impl Rules {
    /// Where nothing else is said.
    pub(super) const PLAIN: Self = Self {
        cached_names: &[],
        written_names: &[],
        uncached_name: None,
        reasoning_names: &[],
        reasoning: Reasoning::ByTotalElseInside,
        surplus: Surplus::Contradiction,
        no_use: &[],
        cost: Cost::None,
        image_model: None,
        free_statuses: &[],
        free_if_error: false,
        stream_usage: StreamUsage::IfAsked,
    };
}
