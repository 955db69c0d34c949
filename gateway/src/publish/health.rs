//! How publishing goes, for people: what `/readyz` shows and what is logged once when it changes.

use parking_lot::Mutex;

/// How publishing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not tried yet, or being tried.
    #[default]
    Connecting,
    /// Kafka takes records.
    Publishing,
    /// It does not, for this reason; records wait in the journal.
    Waiting(String),
}

/// The state, shared.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

impl Health {
    /// The state now.
    pub(crate) fn state(&self) -> State {
        self.0.lock().clone()
    }

    /// Sets it. Says whether that was a change.
    pub(crate) fn set(&self, state: State) -> bool {
        let mut now = self.0.lock();
        if *now == state {
            return false;
        }
        match &state {
            State::Connecting => {}
            State::Publishing => tracing::info!("publishing to Kafka"),
            State::Waiting(reason) => {
                tracing::warn!(reason, "not publishing: records wait in the journal");
            }
        }
        *now = state;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_a_change() {
        let health = Health::default();
        assert_eq!(health.state(), State::Connecting);
        assert!(health.set(State::Waiting("a".into())));
        assert!(!health.set(State::Waiting("a".into())));
        assert!(health.set(State::Publishing));
    }
}
