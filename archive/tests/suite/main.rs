//! The archive's suite, in one binary.

#[cfg(test)]
mod folders;
#[cfg(test)]
mod sealing;
