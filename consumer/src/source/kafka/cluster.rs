//! Which cluster the log is read in. Another one may have topics of the same names, which are other logs: nothing of them comes into
//! the store before a person has decided.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::{Client, ClientContext};
use runtime::dirs;

use super::options::KafkaOptions;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// Only its owner may look into it.
const MODE: u32 = 0o700;

/// Members of one process keep it in one file.
static KEEPING: Mutex<()> = Mutex::new(());

/// Whether the brokers are of the cluster that was read before; the first is remembered. Gives which one, where they say so.
pub(super) fn hold_to<C: ClientContext>(
    client: &Client<C>,
    options: &KafkaOptions,
) -> Result<Option<String>, String> {
    let found = client.fetch_cluster_id(ASK);
    hold(found.as_deref(), &options.cluster_file)?;
    Ok(found)
}

/// Whether the brokers are of this cluster still, as far as this client has heard of them.
pub(super) fn is_still<C: ClientContext>(client: &Client<C>, held: Option<&str>) -> bool {
    held.is_none_or(|held| {
        let now = client.fetch_cluster_id(Duration::ZERO);
        now.is_none_or(|now| now == held)
    })
}

fn hold(found: Option<&str>, file: &Path) -> Result<(), String> {
    let _alone = KEEPING.lock();
    let was = match std::fs::read_to_string(file) {
        Ok(was) => was,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(format!(
                "{} can not be read: {error}; give it to this user, or change `data_dir`",
                file.display()
            ));
        }
    };
    match (was.trim_end(), found) {
        (was, Some(found)) if was == found => Ok(()),
        ("", None) => {
            tracing::info!("the brokers do not say which cluster they are");
            Ok(())
        }
        ("", Some(found)) => {
            if let Err(error) = keep(found, file) {
                tracing::warn!(
                    %error,
                    file = %file.display(),
                    "which cluster is read is not remembered: make `data_dir` writable"
                );
            }
            Ok(())
        }
        (was, found) => Err(format!(
            "the log in cluster {was} was read before, and log.kafka.bootstrap leads to {}: correct it, or remove {} to read the topics \
             there as logs of their own",
            found.unwrap_or("one that does not say which it is"),
            file.display()
        )),
    }
}

fn keep(found: &str, file: &Path) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        dirs::make(dir, MODE)?;
    }
    dirs::replace(file, format!("{found}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cluster_is_remembered_and_another_is_refused_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data/log.cluster");
        assert_eq!(hold(Some("one"), &file), Ok(()));
        assert_eq!(hold(Some("one"), &file), Ok(()));
        let refused = hold(Some("two"), &file).unwrap_err();
        assert!(refused.contains("cluster one was read before"), "{refused}");
        assert!(refused.contains("leads to two"), "{refused}");
        assert!(refused.contains(&file.display().to_string()), "{refused}");
        assert!(hold(None, &file).is_err(), "nor is one that does not say");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(hold(None, &file), Ok(()));
        // What a crash left of it is nothing.
        std::fs::write(&file, "").unwrap();
        assert_eq!(hold(Some("two"), &file), Ok(()));
        assert!(hold(Some("one"), &file).is_err());
    }

    #[test]
    fn what_is_remembered_and_can_not_be_read_is_no_leave_to_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let refused = hold(Some("one"), dir.path()).unwrap_err();
        assert!(
            refused.contains(&dir.path().display().to_string()),
            "{refused}"
        );
    }
}
