//! The counts are those of `tiktoken-rs`, whatever the text.

use proptest::prelude::*;
use tiktoken_rs::{cl100k_base_singleton, o200k_base_singleton};

use super::*;

#[test]
fn models_know_their_vocabulary() {
    for new in [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-5",
        "o3",
        "never-heard-of",
    ] {
        assert_eq!(Encoding::of(new), Encoding::O200k, "{new}");
    }
    for old in [
        "gpt-4",
        "gpt-4-0613",
        "gpt-4-turbo",
        "gpt-3.5-turbo",
        "gpt-35-turbo",
        "text-embedding-3-small",
    ] {
        assert_eq!(Encoding::of(old), Encoding::Cl100k, "{old}");
    }
}

fn agree(text: &str) -> Result<(), TestCaseError> {
    for (encoding, theirs) in [
        (Encoding::O200k, o200k_base_singleton()),
        (Encoding::Cl100k, cl100k_base_singleton()),
    ] {
        let (ours, theirs) = (
            encoding.vocabulary().count(text),
            theirs.count_ordinary(text),
        );
        prop_assert_eq!(ours, theirs, "{:?} of {:?}", encoding, text);
    }
    Ok(())
}

#[test]
fn every_token_is_found_and_every_text_of_these_is_counted_alike() {
    for theirs in [o200k_base_singleton(), cl100k_base_singleton()] {
        // Tokens that are text by themselves, and what becomes of two of them side by side.
        for rank in (0..100_000).step_by(7) {
            let bytes = theirs.decode_bytes(&[rank, rank + 1]).unwrap();
            agree(&String::from_utf8_lossy(&bytes)).unwrap();
        }
    }
    let long = "a".repeat(5_000);
    for text in [
        "",
        " ",
        "\u{a0}\u{2003}",
        "tiktoken is great!",
        "I'VE don'T they'll\r\n\r\n  \t x",
        "<|endoftext|>",
        "0123456789 ١٢٣",
        "Grüße aus Zürich, 北京和東京, مرحبا, नमस्ते 👩‍👩‍👧‍👦",
        "fn main() {\n    println!(\"{}\", 1 + 2);\n}\n\n\n",
        &long,
        &format!("{long} {long}"),
        &" ".repeat(3_000),
        &"xyzzy!?".repeat(700),
    ] {
        agree(text).unwrap();
    }
}

#[test]
fn a_piece_that_is_very_long_is_counted_in_time_that_grows_with_it() {
    // A hundred times the length takes a hundred times the time, not ten thousand times: this would not end otherwise.
    let text = "ab".repeat(128 << 10);
    assert!(Encoding::O200k.vocabulary().count(&text) > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_counted_alike(text in ".{0,200}") {
        agree(&text)?;
    }

    #[test]
    fn words_signs_and_spaces_are_counted_alike(
        text in proptest::collection::vec("[a-zA-Z]{1,12}|[ \t\r\n]{1,5}|[0-9]{1,7}|[!-/:-@]{1,4}|'[sdmtlvre]{1,2}|\\PC{1,3}", 0..40)
    ) {
        agree(&text.concat())?;
    }
}
