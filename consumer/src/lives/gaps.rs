//! Ranges of whole numbers, in order and disjoint: what is in some and not in others. Pure.

use std::collections::BTreeMap;

/// Numbers as bits: so many lie in a word.
pub(crate) const WORD: i64 = 64;

/// First and last, both within.
pub(crate) type Range = (i64, i64);

/// What is in `all` and not in `taken`. Both in order, each disjoint.
pub(crate) fn without(all: &[Range], taken: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    let mut taken = taken.iter().peekable();
    for (first, last) in all {
        let mut next = *first;
        while let Some((from, to)) = taken.peek() {
            if from > last {
                break;
            }
            if *from > next {
                left.push((next, from - 1));
            }
            next = next.max(to + 1);
            if to > last {
                break;
            }
            taken.next();
        }
        if next <= *last {
            left.push((next, *last));
        }
    }
    left
}

/// The numbers whose bits are set: bit `b` of word `w` is number `w * WORD + b`.
pub(crate) fn of_words(words: &BTreeMap<i64, u64>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for (word, bits) in words {
        let (base, mut left) = (word * WORD, *bits);
        while left != 0 {
            let from = left.trailing_zeros();
            let length = (left >> from).trailing_ones();
            let (first, last) = (base + i64::from(from), base + i64::from(from + length) - 1);
            match ranges.last_mut() {
                Some(before) if before.1 + 1 == first => before.1 = last,
                _ => ranges.push((first, last)),
            }
            let mask = u64::MAX.checked_shl(from + length).unwrap_or(0);
            left &= mask;
        }
    }
    ranges
}

/// How many numbers they hold.
pub(crate) fn count(ranges: &[Range]) -> i64 {
    ranges.iter().map(|(first, last)| last - first + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ranges(numbers: &BTreeSet<i64>) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *number => *last = *number,
                _ => ranges.push((*number, *number)),
            }
        }
        ranges
    }

    fn numbers(ranges: &[Range]) -> BTreeSet<i64> {
        ranges
            .iter()
            .flat_map(|(first, last)| *first..=*last)
            .collect()
    }

    proptest! {
        #[test]
        fn words_hold_the_numbers_whose_bits_they_have(
            all in prop::collection::btree_set(prop_oneof![0..300_i64, 60..70_i64, Just(127), Just(128)], 0..260),
        ) {
            let mut words = BTreeMap::new();
            for number in &all {
                *words.entry(number / WORD).or_default() |= 1_u64 << (number % WORD);
            }
            prop_assert_eq!(of_words(&words), ranges(&all));
        }

        #[test]
        fn what_is_left_is_exactly_what_was_not_taken(
            all in prop::collection::btree_set(0..80_i64, 0..60),
            taken in prop::collection::btree_set(0..80_i64, 0..60),
        ) {
            let left = without(&ranges(&all), &ranges(&taken));
            let wanted: BTreeSet<i64> = all.difference(&taken).copied().collect();
            prop_assert_eq!(numbers(&left), wanted);
            prop_assert_eq!(count(&left), i64::try_from(numbers(&left).len()).unwrap());
            prop_assert!(left.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
