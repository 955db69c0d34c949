//! Why a body is refused. No text repeats what stands in the body, but for the names of its members.

/// Why a body is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DoorError {
    /// Not UTF-8.
    #[error("the body is not UTF-8 text (byte {0})")]
    NotUtf8(usize),
    /// Not JSON, or more than one document.
    #[error("the body is not one JSON object: {0}")]
    NotJson(String),
    /// Nested too deeply.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A member stands twice.
    #[error("`{0}` stands twice in the body")]
    Duplicate(String),
    /// A member's name differs only in case from one that is read here.
    #[error("`{given}` could be read as `{read}`; write it as `{read}` or leave it out")]
    OtherCase {
        /// As written.
        given: String,
        /// As read here.
        read: &'static str,
    },
    /// A member's name is written with escapes.
    #[error("a name in the body is written with escapes; write `model`, not `\\u006dodel`")]
    EscapedName,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("`{name}` must be {wanted}")]
    WrongType {
        /// Which.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl DoorError {
    /// The machine code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => "invalid_json",
            Self::TooDeep(_) => "json_too_deep",
            Self::Duplicate(_) => "duplicate_parameter",
            Self::OtherCase { .. } => "ambiguous_parameter",
            Self::EscapedName => "escaped_parameter",
            Self::Missing(_) => "missing_required_parameter",
            Self::WrongType { .. } => "invalid_type",
        }
    }

    /// The parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Missing(name) | Self::WrongType { name, .. } => Some(name),
            Self::Duplicate(name) | Self::OtherCase { given: name, .. } => Some(name),
            _ => None,
        }
    }
}
