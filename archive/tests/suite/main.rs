//! The archive's suite, in one binary.

#[cfg(test)]
mod sealing;
