//! The log beyond its retention on one machine: sealed by `tollgate up`, verified, and every table made again from it.

#[cfg(test)]
mod rebuilding;
#[cfg(test)]
mod sealing;
#[cfg(test)]
mod stand;
