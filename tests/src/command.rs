//! Running the program under test to its end: a command that should end and does not is a fault, not a wait.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::binary::tollgate;
use crate::wait::within;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` for a signal.
    pub code: Option<i32>,
    /// What it printed for programs.
    pub out: String,
    /// What it said to people.
    pub err: String,
}

/// The program with arguments and a configuration file, not yet started. It ends with its handle.
pub fn command(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(tollgate());
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env_remove(runtime::failpoint::VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end.
///
/// # Panics
/// If it does not start, or does not end.
pub async fn run(arguments: &[&str], config: &Path) -> Ended {
    let running = command(arguments, config).output();
    let ended = within(&format!("`tollgate {}` ends", arguments.join(" ")), running).await;
    ended.expect("the program under test starts").into()
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

impl Ended {
    /// Why it is not what was wanted: this exit code, and a message with all of these words, on one line and without
    /// a panic's noise.
    pub fn unlike(&self, code: i32, words: &[&str]) -> Option<String> {
        let said = self
            .err
            .lines()
            .filter(|line| line.starts_with("tollgate: ") || line.starts_with("error: "));
        let message = said.collect::<Vec<_>>().join("\n");
        let has_all = words.iter().all(|word| self.err.contains(word));
        let fine = self.code == Some(code)
            && has_all
            && !message.is_empty()
            && !self.err.contains("panicked");
        (!fine).then(|| {
            format!(
                "exit code {:?}, wanted {code} and {words:?}: {}{}",
                self.code, self.err, self.out
            )
        })
    }
}
