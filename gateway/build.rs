//! Lays the vocabularies of `tiktoken-rs` out as tables that are read where they lie in the program, without a copy in memory.
//! How a table is laid out: `src/vocabulary/layout.rs`.

#[path = "src/vocabulary/layout.rs"]
mod layout;

use std::error::Error;
use std::path::Path;

use tiktoken_rs::{CoreBPE, cl100k_base, o200k_base};

/// Tokens of `OpenAI`'s published files, without the special ones.
const O200K_TOKENS: u32 = 199_998;
const CL100K_TOKENS: u32 = 100_256;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/vocabulary/layout.rs");
    let directory = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    for (name, vocabulary, tokens) in [
        ("o200k_base", o200k_base()?, O200K_TOKENS),
        ("cl100k_base", cl100k_base()?, CL100K_TOKENS),
    ] {
        let table = table_of(&vocabulary, tokens)?;
        std::fs::write(Path::new(&directory).join(name), table)?;
    }
    Ok(())
}

fn table_of(vocabulary: &CoreBPE, tokens: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let texts: Result<Vec<_>, _> = (0..tokens)
        .map(|rank| vocabulary.decode_bytes(&[rank]))
        .collect();
    let texts = texts.map_err(|error| format!("a rank without a text: {error:?}"))?;
    Ok(lay_out(&texts))
}

/// The slots for so many tokens: a power of two, a quarter of it free.
fn slots(tokens: usize) -> usize {
    (tokens + tokens / 3).next_power_of_two()
}

/// Lays out tokens by their rank.
fn lay_out(tokens: &[Vec<u8>]) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let mut table = vec![0_usize; slots(tokens.len())];
    for (rank, token) in tokens.iter().enumerate() {
        let mut slot = layout::hash(token) as usize & (table.len() - 1);
        while table[slot] != 0 {
            slot = (slot + 1) & (table.len() - 1);
        }
        table[slot] = rank + 1;
    }
    let mut start = 0;
    let starts = std::iter::once(0).chain(tokens.iter().map(|token| {
        start += token.len();
        start
    }));
    let mut laid = Vec::new();
    for count in [table.len(), tokens.len()]
        .into_iter()
        .chain(table)
        .chain(starts)
    {
        laid.extend_from_slice(&number(count));
    }
    laid.extend(tokens.iter().flatten());
    laid
}
