//! `tollgate ready`: asks a running process whether it is ready, for health checks of images that hold no other client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{ConfigArg, Usage};
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(3);

/// Ask whether a process of this configuration is ready.
#[derive(Debug, clap::Args)]
pub struct Ready {
    #[command(flatten)]
    config: ConfigArg,
    /// Which process
    #[arg(long, value_enum, default_value_t = Of::Gateway)]
    of: Of,
    /// Ask at this address instead, where there is no configuration: `tollgate simulate`
    #[arg(long, value_name = "ADDRESS", conflicts_with = "of")]
    at: Option<SocketAddr>,
}

/// A process with a door for operators.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Of {
    /// `tollgate gateway` or `tollgate up`
    Gateway,
    /// `tollgate consumer`
    Consumer,
    /// `tollgate billing`
    Billing,
}

impl Of {
    /// The door, and which setting names it.
    fn door(self, config: &Config) -> (Option<SocketAddr>, &'static str) {
        match self {
            Self::Gateway => (Some(config.gateway.ops_listen), "gateway.ops_listen"),
            Self::Consumer => (config.consumer.ops, "consumer.ops"),
            Self::Billing => (config.billing.ops, "billing.ops"),
        }
    }
}

impl Ready {
    /// Prints what it says; exit code 0 if it is ready.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (door, setting) = match self.at {
            Some(address) => (address, "--at"),
            None => self.configured()?,
        };
        let address = reachable(door);
        super::block_on(async move {
            let client = reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()?;
            let answer = client.get(format!("http://{address}/readyz")).send().await;
            let answer = answer.with_context(|| {
                format!("nobody answers on {address} (`{setting}`); does it run?")
            })?;
            let is_ready = answer.status().is_success();
            print!("{}", answer.text().await?);
            Ok(ExitCode::from(u8::from(!is_ready)))
        })
    }

    /// The door that the configuration names, and by which setting.
    fn configured(&self) -> anyhow::Result<(SocketAddr, &'static str)> {
        let loaded = Config::load(&self.config.config)?;
        let (door, setting) = self.of.door(&loaded.value);
        let door =
            door.ok_or_else(|| Usage(format!("`{setting}` is not set: it says where to ask")))?;
        Ok((door, setting))
    }
}

/// Who listens everywhere is asked at home.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_is_open_everywhere_is_asked_at_home() {
        let ask = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(ask("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(ask("[::]:8081"), "[::1]:8081");
        assert_eq!(ask("10.0.0.7:9"), "10.0.0.7:9");
    }
}
