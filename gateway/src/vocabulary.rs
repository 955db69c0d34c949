//! The tokenizers' vocabularies, and how many tokens a text is. They are `tiktoken-rs`'s, laid out by the build script as tables
//! that are read where they lie: read into its hash maps, one of them takes tens of megabytes.

mod layout;
mod merge;
mod table;

use std::sync::LazyLock;

use fancy_regex::Regex;

use self::table::Table;

/// Which vocabulary a model uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Models from gpt-4o on.
    O200k,
    /// gpt-4, gpt-3.5 and the embedding models.
    Cl100k,
}

/// A vocabulary: how a text is cut into pieces, and which pieces are tokens.
#[derive(Debug)]
pub struct Vocabulary {
    /// `None` if the pattern does not compile, which the tests rule out.
    pieces: Option<Regex>,
    table: Table,
}

impl Vocabulary {
    fn new(pattern: &str, laid: &'static [u8]) -> Self {
        Self {
            pieces: Regex::new(pattern).ok(),
            table: Table::new(laid),
        }
    }

    /// How many tokens a text is. The names of special tokens are text like any other.
    pub fn count(&self, text: &str) -> usize {
        let (mut tokens, mut counted) = (0, 0);
        for piece in self.pieces.iter().flat_map(|pieces| pieces.find_iter(text)) {
            // The search gives up on what takes it too many steps; the rest is one piece then.
            let Ok(piece) = piece else { break };
            tokens += merge::count(self.table, piece.as_str().as_bytes());
            counted = piece.end();
        }
        tokens + merge::count(self.table, &text.as_bytes()[counted..])
    }
}

// The patterns: openai/tiktoken, `tiktoken_ext/openai_public.py`.

static O200K: LazyLock<Vocabulary> = LazyLock::new(|| {
    let pattern = concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        "|",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    );
    Vocabulary::new(
        pattern,
        include_bytes!(concat!(env!("OUT_DIR"), "/o200k_base")),
    )
});

static CL100K: LazyLock<Vocabulary> = LazyLock::new(|| {
    let pattern = concat!(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    );
    Vocabulary::new(
        pattern,
        include_bytes!(concat!(env!("OUT_DIR"), "/cl100k_base")),
    )
});

impl Encoding {
    /// The vocabulary of a model; that of the newest models for one that nobody knows.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let old = ["gpt-4-", "gpt-3.5", "gpt-35", "text-embedding"];
        if model == "gpt-4" || old.iter().any(|prefix| model.starts_with(prefix)) {
            Self::Cl100k
        } else {
            Self::O200k
        }
    }

    /// The vocabulary itself.
    #[must_use]
    pub fn vocabulary(self) -> &'static Vocabulary {
        match self {
            Self::O200k => &O200K,
            Self::Cl100k => &CL100K,
        }
    }
}

#[cfg(test)]
#[path = "vocabulary_tests.rs"]
mod tests;
