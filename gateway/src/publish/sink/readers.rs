//! The seam to those who read the usage topic into the store.

/// Asks how far the readers are. Calls block, within a bound of seconds.
pub trait Readers: Send + Sync {
    /// The identity of the usage topic now: one that was made anew has another.
    fn topic_id(&self) -> Result<String, String>;

    /// How far they are now.
    fn progress(&self) -> Result<Progress, String>;

    /// Who they are, for people.
    fn name(&self) -> &str;
}

/// How far the readers of the usage topic are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The topic that was asked about.
    pub topic_id: String,
    /// By partition: everything before this place is in the store; `None` where they say nothing of this topic.
    pub committed: Vec<Option<i64>>,
}
