//! The provider's book, taken from the simulator's truth while it grows: a few bytes a request.

use simulator::{Record, TruthLog};

use crate::load::number_of;

/// What the provider did for one number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// Requests received under it.
    pub requests: u8,
    /// Whether an answer came to an end.
    pub is_answered: bool,
    /// Whether the usage figures were handed over.
    pub usage_sent: bool,
    /// Tokens of the input.
    pub prompt: u32,
    /// Tokens of the answer.
    pub completion: u32,
}

/// What the provider did.
#[derive(Debug, Default)]
pub struct Provider {
    truths: Vec<Truth>,
    last_seq: u64,
    /// What does not fit a run of ours.
    pub oddities: Vec<String>,
}

impl Provider {
    /// Takes the lines that have come since the last time.
    pub fn take(&mut self, log: &TruthLog) {
        for record in log.since(self.last_seq) {
            if record.seq() != self.last_seq + 1 {
                let text = format!(
                    "the truth has no lines {}..{}",
                    self.last_seq + 1,
                    record.seq()
                );
                self.oddities.push(text);
            }
            self.last_seq = record.seq();
            self.line(&record);
        }
    }

    /// What it did for a number.
    pub fn of(&self, number: u32) -> Truth {
        let truth = self.truths.get(number as usize);
        truth.copied().unwrap_or_default()
    }

    fn line(&mut self, record: &Record) {
        let nonce = match record {
            Record::Request(request) => &request.nonce,
            Record::Answer(answer) => &answer.nonce,
        };
        // Without a number: an upload that was cut off before its nonce.
        let Some(number) = nonce.as_deref().and_then(number_of) else {
            return;
        };
        let at = number as usize;
        if self.truths.len() <= at {
            self.truths.resize(at + 1, Truth::default());
        }
        let truth = &mut self.truths[at];
        match record {
            Record::Request(_) => truth.requests = truth.requests.saturating_add(1),
            Record::Answer(answer) => {
                let figure = |tokens: u64| u32::try_from(tokens).expect("requests are small");
                truth.is_answered = true;
                truth.usage_sent = answer.usage_sent;
                truth.prompt = figure(answer.prompt_tokens);
                truth.completion = figure(answer.completion_tokens);
            }
        }
    }
}
