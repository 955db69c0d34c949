//! Reaching the store that a configuration names: a ClickHouse server, or the engine that runs on its data directory.

use anyhow::Context;
use store::{Client, DataDir, Password, User};

use crate::cli::Usage;
use crate::config::{Config, StoreSettings};

/// Who only reads: the user of `[store]`, or the reader of the engine that runs on `data_dir`, wherever it runs by then.
pub fn reader(config: &Config) -> anyhow::Result<Client> {
    if let Some(settings) = &config.store {
        return server(settings);
    }
    let data_dir = DataDir::new(&config.data_dir);
    let client = store::client_of_running(&data_dir, User::Reader, store::DATABASE);
    client.with_context(|| {
        let secrets = data_dir.secrets();
        format!("the passwords in {} cannot be used", secrets.display())
    })
}

/// The server of `[store]`.
pub fn server(settings: &StoreSettings) -> anyhow::Result<Client> {
    let password = password(settings)?;
    let (url, user) = (settings.url.clone(), &settings.user);
    Ok(Client::connect(url, user, password, &settings.database))
}

fn password(settings: &StoreSettings) -> anyhow::Result<Password> {
    let text = match (&settings.password_env, &settings.password_file) {
        (Some(_), Some(_)) => {
            return Err(Usage(
                "`[store]` has both `password_env` and `password_file`: keep one".to_owned(),
            )
            .into());
        }
        (Some(variable), None) => std::env::var(variable).map_err(|_| {
            Usage(format!(
                "environment variable {variable} is not set; it must hold the store's password"
            ))
        })?,
        (None, Some(file)) => std::fs::read_to_string(file)
            .with_context(|| format!("the password file {} cannot be read", file.display()))?,
        (None, None) => String::new(),
    };
    Ok(Password::new(text.trim_end_matches(['\r', '\n'])))
}
