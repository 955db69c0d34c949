//! Which log, and the names of what lies of it: `<topic>/<topic id>/<partition>/`, in there `<segment>.json` for each manifest and
//! `<first>.<digest>.zst` for each file of records.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a name of a folder may not hold; `%` too, so that names can be read back.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'/')
    .add(b'\\')
    .add(b'"')
    .add(b'*')
    .add(b'?')
    .add(b'<')
    .add(b'>')
    .add(b'|');
const MANIFEST_END: &str = ".json";
pub(crate) const SEGMENT_END: &str = ".zst";

/// One partition of a log. A topic that was made anew is another log, and so is a journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The topic's name, or `journal:<producer>`.
    pub topic: String,
    /// The topic's identity, or the journal's.
    pub topic_id: String,
    /// Its partition.
    pub partition: i32,
}

impl LogId {
    /// The log whose topic is written `<topic>:<topic id>`, as in the store's tables; `None` if there is no identity in it.
    pub fn of_place(topic: &str, partition: i32) -> Option<Self> {
        let (topic, topic_id) = topic.rsplit_once(':')?;
        Some(Self {
            topic: topic.to_owned(),
            topic_id: topic_id.to_owned(),
            partition,
        })
    }

    /// `<topic>:<topic id>`
    pub fn place_topic(&self) -> String {
        format!("{}:{}", self.topic, self.topic_id)
    }

    /// The folder of its segments.
    pub(crate) fn folder(&self) -> String {
        let topic = utf8_percent_encode(&self.topic, ESCAPED);
        let id = utf8_percent_encode(&self.topic_id, ESCAPED);
        format!("{topic}/{id}/{}", self.partition)
    }

    /// The log of a folder.
    pub(crate) fn of_folder(topic: &str, id: &str, partition: &str) -> Option<Self> {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().ok()?;
            Some(text.into_owned())
        };
        Some(Self {
            topic: decoded(topic)?,
            topic_id: decoded(id)?,
            partition: partition.parse().ok()?,
        })
    }

    pub(crate) fn manifest_name(&self, segment: u64) -> String {
        format!("{}/{segment:010}{MANIFEST_END}", self.folder())
    }

    /// Named by its content, so that two archivers never write different bytes to one name.
    pub(crate) fn segment_file(first: i64, sha256: &str) -> String {
        let start = sha256.get(..16).unwrap_or(sha256);
        format!("{first:020}.{start}{SEGMENT_END}")
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.topic, self.topic_id, self.partition)
    }
}

/// The number of a manifest's file.
pub(crate) fn segment_of_name(name: &str) -> Option<u64> {
    name.strip_suffix(MANIFEST_END)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_its_log_whatever_the_topic_is_called() {
        for topic in ["tollgate.usage.v1", "journal:gw/1 %2F", "journal:\u{e9}.."] {
            let log = LogId {
                topic: topic.into(),
                topic_id: "00ff".into(),
                partition: 3,
            };
            let folder = log.folder();
            let parts: Vec<&str> = folder.split('/').collect();
            let [topic, id, partition] = parts[..] else {
                panic!("{folder}")
            };
            assert_eq!(LogId::of_folder(topic, id, partition), Some(log.clone()));
            assert_eq!(LogId::of_place(&log.place_topic(), 3), Some(log));
        }
        assert_eq!(segment_of_name("0000000007.json"), Some(7));
        assert_eq!(segment_of_name("0000000007.zst"), None);
    }
}
