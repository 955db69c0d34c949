//! What the simulated provider really did, by nonce.

use std::collections::BTreeMap;

use simulator::{AnswerRecord, Record, RequestRecord};

/// Requests and answers by nonce. Every nonce is sent once, so a second line is a fault of the gateway.
#[derive(Debug, Default)]
pub struct Truth {
    /// Requests received.
    pub requests: BTreeMap<String, RequestRecord>,
    /// Answers that ended.
    pub answers: BTreeMap<String, AnswerRecord>,
    /// Nonces received more than once.
    pub repeated: Vec<String>,
    /// Requests whose body could not be read, so that no nonce is known.
    pub nameless: usize,
}

impl Truth {
    /// What a simulator did so far.
    pub fn of(simulator: &simulator::Simulator) -> Self {
        let mut truth = Self::default();
        for record in simulator.truth().since(0) {
            match record {
                Record::Request(request) => truth.take_request(request),
                Record::Answer(answer) => {
                    if let Some(nonce) = answer.nonce.clone() {
                        truth.answers.insert(nonce.to_string(), answer);
                    }
                }
            }
        }
        truth
    }

    fn take_request(&mut self, request: RequestRecord) {
        let Some(nonce) = request.nonce.as_deref().map(str::to_owned) else {
            self.nameless += 1;
            return;
        };
        if self.requests.insert(nonce.clone(), request).is_some() {
            self.repeated.push(nonce);
        }
    }
}
