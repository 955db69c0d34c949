//! What a simulator is started with. Behaviour that can change while it runs lives in `settings`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// How a simulator starts: where it listens, whom it lets in, where the truth goes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Allows an address that is not loopback. `/control` has no password, so the default is `false`.
    pub allow_remote: bool,
    /// Keys that are let in; any caller is let in when the list is empty.
    pub api_keys: Vec<String>,
    /// File that every line of the truth is appended to, one write a line.
    pub truth_file: Option<PathBuf>,
    /// How long `shutdown` waits for running answers before it cuts them.
    pub shutdown_grace_ms: u64,
    /// Behaviour at the start; `/control` changes it later.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            api_keys: Vec::new(),
            truth_file: None,
            shutdown_grace_ms: 2_000,
            settings: Settings::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("allow_remote", &self.allow_remote)
            .field("api_keys", &format_args!("{} keys", self.api_keys.len()))
            .field("truth_file", &self.truth_file)
            .field("shutdown_grace_ms", &self.shutdown_grace_ms)
            .field("settings", &self.settings)
            .finish()
    }
}
