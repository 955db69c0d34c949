//! The settings in force, and changing them while requests run. What a setting means is told in `settings`.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use crate::fate;
use crate::settings::Settings;

/// Why a change of settings was refused; nothing of it was applied.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The change is not a JSON object.
    #[error("settings must be a JSON object: {0}")]
    NotAnObject(String),
    /// There is no such setting.
    #[error("unknown setting `{0}`; GET /control lists all")]
    UnknownField(String),
    /// The value does not fit the setting.
    #[error("setting `{field}`: {reason}")]
    BadValue {
        /// The setting's name.
        field: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// Probabilities together are above 1.
    #[error("probabilities sum to {0}, must be at most 1")]
    Probabilities(f64),
}

/// A handle on the settings of a running simulator.
#[derive(Debug, Clone)]
pub struct Control {
    settings: Arc<RwLock<Arc<Settings>>>,
}

impl Control {
    pub(crate) fn new(settings: Settings) -> Result<Self, ControlError> {
        check(&settings)?;
        Ok(Self {
            settings: Arc::new(RwLock::new(Arc::new(settings))),
        })
    }

    /// The settings in force.
    pub fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    /// Changes settings by a function, all at once or not at all.
    pub fn update(&self, change: impl FnOnce(&mut Settings)) -> Result<(), ControlError> {
        let mut held = self.settings.write();
        let mut next = Settings::clone(&held);
        change(&mut next);
        check(&next)?;
        *held = Arc::new(next);
        Ok(())
    }

    /// Changes the settings that a JSON object names, all at once or not at all.
    pub fn patch(&self, change: &[u8]) -> Result<Arc<Settings>, ControlError> {
        let change: serde_json::Map<String, Value> =
            serde_json::from_slice(change).map_err(|e| ControlError::NotAnObject(e.to_string()))?;
        let mut held = self.settings.write();
        let next = patched(&held, change)?;
        check(&next)?;
        *held = Arc::new(next);
        Ok(Arc::clone(&held))
    }
}

/// One field after the other, so that an error can name its field.
fn patched(
    settings: &Settings,
    change: serde_json::Map<String, Value>,
) -> Result<Settings, ControlError> {
    let mut whole =
        serde_json::to_value(settings).map_err(|e| ControlError::NotAnObject(e.to_string()))?;
    let mut next = settings.clone();
    for (field, value) in change {
        match whole.get_mut(&field) {
            Some(slot) => *slot = value,
            None => return Err(ControlError::UnknownField(field)),
        }
        next = serde_json::from_value(whole.clone()).map_err(|e| ControlError::BadValue {
            field,
            reason: e.to_string(),
        })?;
    }
    Ok(next)
}

fn check(settings: &Settings) -> Result<(), ControlError> {
    for (field, share) in fate::shares(settings) {
        if !(0.0..=1.0).contains(&share) {
            let reason = format!("{share} is no probability, give 0 to 1");
            return Err(ControlError::BadValue {
                field: field.to_owned(),
                reason,
            });
        }
    }
    let sum: f64 = fate::shares(settings).iter().map(|(_, share)| share).sum();
    if sum > 1.0 + 1e-9 {
        return Err(ControlError::Probabilities(sum));
    }
    if settings.tokens_per_chunk == 0 {
        return Err(ControlError::BadValue {
            field: "tokens_per_chunk".to_owned(),
            reason: "must be at least 1".to_owned(),
        });
    }
    Ok(())
}
