//! Signs the statement of a day as its command does, and reads what is signed as anybody can who has the file and the public key. What a
//! statement should say must not live here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tests::command::run;
use tests::tollgate;

/// Who signs the days of a store.
pub(crate) struct Notary {
    config: PathBuf,
    folder: PathBuf,
    key: PathBuf,
    public: String,
    issued: u32,
}

impl Notary {
    /// One with a key of its own, for the store of a configuration.
    pub(crate) fn new(config: &Path, folder: &Path) -> Self {
        let key = folder.join("statement.key");
        let made = statement(&["keygen", "--name", "example.com/t", "--out", text(&key)]);
        assert!(made.status.success(), "{made:?}");
        let public = String::from_utf8(made.stdout).expect("text");
        Self {
            config: config.to_owned(),
            folder: folder.to_owned(),
            key,
            public: public.trim().to_owned(),
            issued: 0,
        }
    }

    /// What is signed of a day. The command ends with `code`; the check needs neither the store nor the configuration.
    pub(crate) async fn state(&mut self, day: &str, code: i32) -> Value {
        self.issued += 1;
        let out = self.folder.join(format!("{}.statement", self.issued));
        let issue = [
            "statement",
            "--day",
            day,
            "--key",
            text(&self.key),
            "--out",
            text(&out),
        ];
        let issued = run(&issue, &self.config).await;
        let verify = ["verify", text(&out), "--public-key", &self.public];
        let checked = statement(&[&verify[..], &["--format", "json"]].concat());
        assert!(checked.status.success(), "{issued:?}: {checked:?}");
        let document: Value = serde_json::from_slice(&checked.stdout).expect("what is signed");
        assert_eq!(issued.code, Some(code), "{issued:?}: {document:#}");
        document
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn statement(arguments: &[&str]) -> Output {
    let mut command = Command::new(tollgate());
    command.arg("statement").args(arguments);
    command.output().expect("the program under test starts")
}
