//! `tollgate key`: secrets for apps. The configuration holds only their digests.

use anyhow::Context;
use clap::Subcommand;
use sha2::{Digest, Sha256};

/// API keys for apps.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key: prints the secret once, and the line for the configuration
    #[command(after_help = "Examples:\n  tollgate key new acme-search-2")]
    New {
        /// Its name
        id: String,
    },
    /// Print the digest of a secret given on standard input
    #[command(after_help = "Examples:\n  tollgate key digest < secret.txt")]
    Digest,
}

impl KeyCommand {
    /// Makes or digests.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New { id } => {
                let random: [u8; 24] = rand::random();
                let secret = format!("tg-{}", hex::encode(random));
                println!("secret, shown once: {secret}");
                println!(
                    "for the project's keys: {{ id = \"{id}\", sha256 = \"{}\" }}",
                    digest(&secret)
                );
            }
            Self::Digest => {
                let mut secret = String::new();
                std::io::stdin()
                    .read_line(&mut secret)
                    .context("reading the secret")?;
                println!("{}", digest(secret.trim()));
            }
        }
        Ok(())
    }
}

fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
