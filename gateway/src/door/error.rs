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
    /// An object has too many members.
    #[error("an object in the body has more than {0} members")]
    TooManyMembers(usize),
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
    /// It names an object that lives at the provider, or leaves one there.
    #[error(
        "`{0}` names an object at the provider, which is not bound to a tenant here yet; send the whole input instead"
    )]
    ProviderState(&'static str),
    /// Two names of a model that are not the same model's.
    #[error(
        "the body's `model` is not the deployment that the URL names; leave it out or make them the same"
    )]
    OtherModel,
    /// Not a form.
    #[error("the body must be `multipart/form-data` with a `boundary`")]
    NotAForm,
    /// A form that cannot be read with certainty.
    #[error("the form cannot be read: {0}")]
    BadForm(&'static str),
    /// More than a policy allows.
    #[error("`{name}` is {given}, and this route allows {bound} at the most")]
    OverBound {
        /// Which.
        name: &'static str,
        /// As given, or as counted.
        given: i64,
        /// What is allowed.
        bound: i64,
    },
}

impl DoorError {
    /// The machine code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => "invalid_json",
            Self::TooDeep(_) => "json_too_deep",
            Self::TooManyMembers(_) => "json_too_many_members",
            Self::Duplicate(_) => "duplicate_parameter",
            Self::OtherCase { .. } => "ambiguous_parameter",
            Self::EscapedName => "escaped_parameter",
            Self::Missing(_) => "missing_required_parameter",
            Self::WrongType { .. } => "invalid_type",
            Self::ProviderState(_) => "unsupported_unmetered",
            Self::OtherModel => "model_mismatch",
            Self::NotAForm => "invalid_content_type",
            Self::BadForm(_) => "invalid_form",
            Self::OverBound {
                name: "context", ..
            } => "context_length_exceeded",
            Self::OverBound { .. } => "parameter_above_limit",
        }
    }

    /// The parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Missing(name)
            | Self::WrongType { name, .. }
            | Self::ProviderState(name)
            | Self::OverBound { name, .. } => Some(name),
            Self::OtherModel => Some("model"),
            Self::Duplicate(name) | Self::OtherCase { given: name, .. } => Some(name),
            _ => None,
        }
    }
}
