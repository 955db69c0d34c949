//! Where the brokers are, encryption, the credential. Secrets are named here, never held.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How brokers are reached.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `host:port` of one or more brokers, with commas between.
    pub bootstrap: String,
    /// Encryption; none if absent.
    pub tls: Option<Tls>,
    /// How to be let in; no credential if absent.
    pub sasl: Option<Sasl>,
}

/// `[log.kafka.tls]`: an empty table means TLS with the system's roots.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate, where the brokers ask for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// Environment variable that holds the password of the key.
    pub key_password_env: Option<String>,
}

/// `[log.kafka.sasl]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How the credential is shown.
    pub mechanism: SaslMechanism,
    /// The user's name; not for `OAUTHBEARER`.
    pub username: Option<String>,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// File that holds the current token, for `OAUTHBEARER`; read again before the token ends.
    pub token_file: Option<PathBuf>,
}

/// How a credential is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// In the clear: only under TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A bearer token from a file.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl SaslMechanism {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// What is wrong with a connection's settings, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadConnection {
    /// A setting near which the fault stands.
    pub setting: &'static str,
    /// What is wrong, and the way out.
    pub message: String,
}

pub(super) fn bad(setting: &'static str, message: impl Into<String>) -> BadConnection {
    BadConnection {
        setting,
        message: message.into(),
    }
}

impl Connection {
    /// Whether a token is shown.
    #[must_use]
    pub fn is_by_token(&self) -> bool {
        let sasl = self.sasl.as_ref();
        sasl.is_some_and(|sasl| sasl.mechanism == SaslMechanism::OauthBearer)
    }

    /// Whether it holds together. Reads nothing.
    pub fn check(&self) -> Result<(), BadConnection> {
        if self.bootstrap.trim().is_empty() {
            return Err(bad(
                "bootstrap",
                "`bootstrap` must name a broker as host:port",
            ));
        }
        let is_encrypted = self.tls.is_some();
        let sasl = self.sasl.as_ref();
        sasl.map_or(Ok(()), |sasl| sasl.check(is_encrypted))
    }
}

impl Tls {
    /// Paths become relative to `base`.
    pub fn resolve(&mut self, base: &Path) {
        let files = [&mut self.ca_file, &mut self.cert_file, &mut self.key_file];
        for path in files.into_iter().flatten() {
            *path = base.join(&*path);
        }
    }
}

impl Sasl {
    /// Paths become relative to `base`.
    pub fn resolve(&mut self, base: &Path) {
        let files = [&mut self.password_file, &mut self.token_file];
        for path in files.into_iter().flatten() {
            *path = base.join(&*path);
        }
    }

    fn check(&self, is_encrypted: bool) -> Result<(), BadConnection> {
        if self.mechanism == SaslMechanism::OauthBearer {
            if self.token_file.is_none() {
                return Err(bad("sasl", "OAUTHBEARER needs `token_file`"));
            }
            if !is_encrypted {
                return Err(bad("sasl", "OAUTHBEARER needs TLS: add `tls = {}`"));
            }
            return Ok(());
        }
        if self.username.is_none() {
            return Err(bad("sasl", "`sasl` needs `username`"));
        }
        if self.password_env.is_some() == self.password_file.is_some() {
            return Err(bad(
                "sasl",
                "`sasl` needs one of `password_env` and `password_file`",
            ));
        }
        if self.mechanism == SaslMechanism::Plain && !is_encrypted {
            return Err(bad(
                "sasl",
                "PLAIN sends the password in the clear: add `tls = {}`, or use SCRAM-SHA-512",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(sasl: &str, tls: Option<Tls>) -> Connection {
        Connection {
            bootstrap: "a:9092".into(),
            tls,
            sasl: Some(toml::from_str(sasl).unwrap()),
        }
    }

    #[test]
    fn what_can_not_work_is_refused_with_the_way_out() {
        let plain = "mechanism = 'PLAIN'\nusername = 'u'\npassword_env = 'P'";
        let nameless = "mechanism = 'PLAIN'\npassword_env = 'P'";
        let scram = "mechanism = 'SCRAM-SHA-512'\nusername = 'u'";
        let both = format!("{plain}\npassword_file = 'f'");
        let tokenless = "mechanism = 'OAUTHBEARER'";
        let token = "mechanism = 'OAUTHBEARER'\ntoken_file = 't'";
        for (sasl, tls, word) in [
            (plain, None, "in the clear"),
            (nameless, Some(Tls::default()), "username"),
            (scram, None, "password_env"),
            (&both, Some(Tls::default()), "one of"),
            (tokenless, Some(Tls::default()), "token_file"),
            (token, None, "TLS"),
        ] {
            let error = connection(sasl, tls).check().unwrap_err();
            assert!(error.message.contains(word), "{sasl}: {error}");
        }
        assert_eq!(connection(plain, Some(Tls::default())).check(), Ok(()));
        assert!(connection(token, Some(Tls::default())).is_by_token());
    }

    #[test]
    fn paths_stand_beside_the_configuration() {
        let mut sasl: Sasl = toml::from_str("mechanism = 'OAUTHBEARER'\ntoken_file = 't'").unwrap();
        sasl.resolve(Path::new("/etc/tollgate"));
        assert_eq!(sasl.token_file, Some("/etc/tollgate/t".into()));
        let mut tls: Tls = toml::from_str("ca_file = '/ca.pem'").unwrap();
        tls.resolve(Path::new("/etc/tollgate"));
        assert_eq!(tls.ca_file, Some("/ca.pem".into()));
    }
}
