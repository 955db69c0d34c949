//! What a commit says beside its place: of which topic it is, and which shard of the store has what is before it. Pure text.

/// Between the topic and the shard.
const SHARD: &str = " shard=";

/// What is committed with a place. The first shard is not named: it is also the store that has no shards.
pub(super) fn note(topic_id: &str, shard: usize) -> String {
    match shard {
        0 => topic_id.to_owned(),
        other => format!("{topic_id}{SHARD}{other}"),
    }
}

/// The shard that has what is before a commit; `None` if the commit is of another topic of this name, or of none.
pub(super) fn shard_of(note: &str, topic_id: &str) -> Option<usize> {
    match note.strip_prefix(topic_id)? {
        "" => Some(0),
        rest => rest.strip_prefix(SHARD)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_its_topic_and_its_shard() {
        for shard in [0, 1, 12] {
            assert_eq!(shard_of(&note("aa", shard), "aa"), Some(shard));
            assert_eq!(shard_of(&note("aa", shard), "ab"), None);
        }
        assert_eq!(note("aa", 0), "aa", "as members without shards wrote it");
        for foreign in ["", "aab", "aa shard=", "aa shard=x", "aa 1"] {
            assert_eq!(shard_of(foreign, "aa"), None, "{foreign}");
        }
    }
}
