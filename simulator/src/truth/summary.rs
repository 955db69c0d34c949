//! The truth added up by key and model. Only answers that were finished with 200 count tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{AnswerRecord, End, RequestRecord};

/// Sums over everything since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// One line for each key and model.
    pub lines: Vec<SummaryLine>,
    /// Requests received.
    pub requests: u64,
    /// Answers finished with 200.
    pub finished: u64,
    /// Answers that ended otherwise.
    pub unfinished: u64,
    /// Prompt tokens of finished answers.
    pub prompt_tokens: u64,
    /// Completion tokens of finished answers.
    pub completion_tokens: u64,
    /// Lines that are no longer in memory.
    pub dropped_lines: u64,
    /// Lines that could not be written to the truth file.
    pub file_errors: u64,
}

/// Sums of one key and model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryLine {
    /// First 8 hex digits of the SHA-256 of the key.
    pub api_key_sha256_8: Option<Arc<str>>,
    /// The model as asked.
    pub model: Option<Arc<str>>,
    /// Requests received.
    pub requests: u64,
    /// Answers finished with 200.
    pub finished: u64,
    /// Answers that ended otherwise.
    pub unfinished: u64,
    /// Prompt tokens of finished answers.
    pub prompt_tokens: u64,
    /// Completion tokens of finished answers.
    pub completion_tokens: u64,
}

type Group = (Option<Arc<str>>, Option<Arc<str>>);

/// The running sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    groups: BTreeMap<Group, SummaryLine>,
}

impl Sums {
    pub(super) fn request(&mut self, request: &RequestRecord) {
        self.group(request.api_key_sha256_8.clone(), request.model.clone())
            .requests += 1;
    }

    pub(super) fn answer(&mut self, answer: &AnswerRecord) {
        let line = self.group(answer.api_key_sha256_8.clone(), answer.model.clone());
        if answer.end == End::Complete && answer.status == 200 {
            line.finished += 1;
            line.prompt_tokens += answer.prompt_tokens;
            line.completion_tokens += answer.completion_tokens;
        } else {
            line.unfinished += 1;
        }
    }

    pub(super) fn summary(&self, dropped_lines: u64, file_errors: u64) -> Summary {
        let mut summary = Summary {
            dropped_lines,
            file_errors,
            ..Summary::default()
        };
        for ((key, model), line) in &self.groups {
            summary.requests += line.requests;
            summary.finished += line.finished;
            summary.unfinished += line.unfinished;
            summary.prompt_tokens += line.prompt_tokens;
            summary.completion_tokens += line.completion_tokens;
            summary.lines.push(SummaryLine {
                api_key_sha256_8: key.clone(),
                model: model.clone(),
                ..line.clone()
            });
        }
        summary
    }

    fn group(&mut self, key: Option<Arc<str>>, model: Option<Arc<str>>) -> &mut SummaryLine {
        self.groups.entry((key, model)).or_default()
    }
}
