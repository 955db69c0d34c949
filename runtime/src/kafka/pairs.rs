//! Names and values of librdkafka's configuration that follow from a connection. Reads the secrets that it names.

use std::path::Path;

use super::connection::{BadConnection, Connection, Sasl, Tls, bad};
use super::token::TokenFile;

/// Names and values for the client. Values may be secrets: `Debug` shows names only.
#[derive(Clone)]
pub struct Pairs {
    pairs: Vec<(&'static str, String)>,
    token_file: Option<TokenFile>,
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.pairs.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Pairs {
    /// What any client needs to reach the brokers.
    pub fn of(connection: &Connection, client_id: &str) -> Result<Self, BadConnection> {
        connection.check()?;
        let mut pairs = Self {
            pairs: Vec::new(),
            token_file: None,
        };
        pairs.set("bootstrap.servers", &connection.bootstrap);
        pairs.set("client.id", client_id);
        // A broker that is gone, frozen or restarted is found out, and found again, within seconds.
        pairs.set("socket.timeout.ms", "15000");
        pairs.set("socket.keepalive.enable", "true");
        pairs.set("reconnect.backoff.ms", "50");
        pairs.set("reconnect.backoff.max.ms", "1000");
        pairs.set("topic.metadata.refresh.interval.ms", "30000");
        // A client stays with the brokers that it found. Whoever goes to others looks first which cluster they are.
        pairs.set("metadata.recovery.strategy", "none");
        pairs.set("api.version.request.timeout.ms", "5000");
        let protocol = match (&connection.tls, &connection.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        pairs.set("security.protocol", protocol);
        if let Some(tls) = &connection.tls {
            pairs.add_tls(tls)?;
        }
        if let Some(sasl) = &connection.sasl {
            pairs.add_sasl(sasl, connection.is_by_token())?;
        }
        Ok(pairs)
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = self.pairs.iter();
        pairs.map(|(name, value)| (*name, value.as_str()))
    }

    /// Where the current token is, if one is to be shown.
    #[must_use]
    pub fn token_file(&self) -> Option<&TokenFile> {
        self.token_file.as_ref()
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.pairs.push((name, value.to_owned()));
    }

    fn set_path(&mut self, name: &'static str, path: &Path) -> Result<(), BadConnection> {
        let unreadable = || {
            let message = format!("{} cannot be read; correct its path", path.display());
            bad("tls", message)
        };
        std::fs::File::open(path).map_err(|_| unreadable())?;
        self.set(name, path.to_str().ok_or_else(unreadable)?);
        Ok(())
    }

    fn add_tls(&mut self, tls: &Tls) -> Result<(), BadConnection> {
        match &tls.ca_file {
            Some(path) => self.set_path("ssl.ca.location", path)?,
            None => self.set("ssl.ca.location", "probe"),
        }
        self.set("ssl.endpoint.identification.algorithm", "https");
        if let Some(path) = &tls.cert_file {
            self.set_path("ssl.certificate.location", path)?;
        }
        if let Some(path) = &tls.key_file {
            self.set_path("ssl.key.location", path)?;
        }
        if let Some(variable) = &tls.key_password_env {
            let password = from_environment("tls", variable)?;
            self.set("ssl.key.password", &password);
        }
        Ok(())
    }

    fn add_sasl(&mut self, sasl: &Sasl, is_by_token: bool) -> Result<(), BadConnection> {
        self.set("sasl.mechanism", sasl.mechanism.name());
        if is_by_token {
            self.token_file = sasl.token_file.clone().map(TokenFile::new);
            return Ok(());
        }
        let user = sasl.username.as_deref().unwrap_or_default();
        self.set("sasl.username", user);
        let password = match (&sasl.password_env, &sasl.password_file) {
            (Some(variable), _) => from_environment("sasl", variable)?,
            (None, Some(path)) => from_file(path)?,
            (None, None) => String::new(),
        };
        self.set("sasl.password", &password);
        Ok(())
    }
}

fn from_environment(setting: &'static str, variable: &str) -> Result<String, BadConnection> {
    std::env::var(variable).map_err(|_| {
        let message =
            format!("environment variable {variable} is not set; it must hold the password");
        bad(setting, message)
    })
}

fn from_file(path: &Path) -> Result<String, BadConnection> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        bad(
            "sasl",
            format!("the password file {path} cannot be read: {error}"),
        )
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(sasl: &str) -> Connection {
        Connection {
            bootstrap: "a:9092".into(),
            tls: Some(Tls::default()),
            sasl: Some(toml::from_str(sasl).unwrap()),
        }
    }

    #[test]
    fn a_password_goes_to_the_client_and_is_shown_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "canary\n").unwrap();
        let sasl = format!(
            "mechanism = 'SCRAM-SHA-512'\nusername = 'u'\npassword_file = '{}'",
            file.display()
        );
        let pairs = Pairs::of(&connection(&sasl), "test").unwrap();
        let has = |wanted| pairs.iter().any(|pair| pair == wanted);
        assert!(has(("sasl.password", "canary")) && has(("security.protocol", "sasl_ssl")));
        assert!(!format!("{pairs:?}").contains("canary"));
        std::fs::remove_file(&file).unwrap();
        let error = Pairs::of(&connection(&sasl), "test").unwrap_err();
        assert!(error.message.contains("password"), "{error}");
    }

    #[test]
    fn a_token_is_no_setting_but_a_file_to_be_read() {
        let sasl = "mechanism = 'OAUTHBEARER'\ntoken_file = '/t'";
        let pairs = Pairs::of(&connection(sasl), "test").unwrap();
        assert!(pairs.token_file().is_some());
        assert!(pairs.iter().all(|(name, _)| name != "sasl.password"));
    }
}
