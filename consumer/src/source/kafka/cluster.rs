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

/// Whether the brokers are of the cluster that was read before; the first is remembered. Who does not say which cluster it is can not
/// be told from another.
pub(super) fn hold_to<C: ClientContext>(
    client: &Client<C>,
    options: &KafkaOptions,
) -> Result<(), String> {
    let Some(found) = client.fetch_cluster_id(ASK) else {
        tracing::info!("the brokers do not say which cluster they are");
        return Ok(());
    };
    hold(&found, &options.cluster_file)
}

fn hold(found: &str, file: &Path) -> Result<(), String> {
    let _alone = KEEPING.lock();
    match std::fs::read_to_string(file) {
        Ok(was) if was.trim_end() == found => Ok(()),
        Ok(was) => Err(format!(
            "the log in cluster {} was read before, and log.kafka.bootstrap leads to {found}: correct it, or remove {} to read the \
             topics there as logs of their own",
            was.trim_end(),
            file.display()
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Err(error) = keep(found, file) {
                tracing::warn!(
                    %error,
                    file = %file.display(),
                    "which cluster is read is not remembered: make `data_dir` writable"
                );
            }
            Ok(())
        }
        Err(error) => Err(format!("{}: {error}", file.display())),
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
        assert_eq!(hold("one", &file), Ok(()));
        assert_eq!(hold("one", &file), Ok(()));
        let refused = hold("two", &file).unwrap_err();
        assert!(refused.contains("cluster one was read before"), "{refused}");
        assert!(refused.contains("leads to two"), "{refused}");
        assert!(refused.contains(&file.display().to_string()), "{refused}");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(hold("two", &file), Ok(()));
        assert!(hold("one", &file).is_err());
    }

    #[test]
    fn what_is_remembered_and_can_not_be_read_is_no_leave_to_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let refused = hold("one", dir.path()).unwrap_err();
        assert!(
            refused.contains(&dir.path().display().to_string()),
            "{refused}"
        );
    }
}
