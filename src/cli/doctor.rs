//! `tollgate doctor`: looks for what is wrong with an installation; each finding with its remedy. Changes nothing.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use gateway::Snapshot;
use schemas::fs_names;
use store::engine::{FenceStatus, landlock_status, library_path};
use store::{DataDir, Endpoint};

use super::ConfigArg;
use super::report::parse;
use crate::config::Config;

const UPSTREAM_PATIENCE: Duration = Duration::from_secs(3);
/// Below this a journal may soon refuse work.
const LITTLE_DISK_BYTES: u64 = 2 << 30;

/// File system numbers of Linux, `linux/magic.h`.
const TMPFS: i64 = 0x0102_1994;
const OVERLAY: i64 = 0x794c_7630;

/// Look for what is wrong.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigArg,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    /// Whether it is fine.
    ok: bool,
    /// What was seen.
    seen: String,
    /// The way out; empty where all is well.
    remedy: String,
}

impl Finding {
    fn fine(check: &'static str, seen: impl Into<String>) -> Self {
        Self {
            check,
            ok: true,
            seen: seen.into(),
            remedy: String::new(),
        }
    }

    fn bad(check: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            ok: false,
            seen: seen.into(),
            remedy: remedy.into(),
        }
    }
}

impl Doctor {
    /// Looks and prints; the exit code says whether anything was found.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let format = parse(&self.format)?;
        let findings = examine(&self.config.config);
        print(&findings, format)?;
        Ok(ExitCode::from(u8::from(
            findings.iter().any(|finding| !finding.ok),
        )))
    }
}

fn examine(path: &Path) -> Vec<Finding> {
    let loaded = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(error) => {
            return vec![Finding::bad(
                "configuration",
                error.to_string(),
                "correct the file",
            )];
        }
    };
    let config = &loaded.value;
    let mut findings = Vec::new();
    findings.push(
        match Snapshot::compile(&config.for_gateway(), &loaded.text) {
            Ok(_) => Finding::fine("configuration", path.display().to_string()),
            Err(bad) => {
                let error = crate::up::at_line(bad, path, &loaded.text);
                Finding::bad("configuration", error.to_string(), "correct the file")
            }
        },
    );
    findings.push(prices(config));
    findings.push(library(config));
    findings.push(fence());
    let running = Endpoint::of_running(&DataDir::new(&config.data_dir));
    findings.push(port(
        "gateway.listen",
        config.gateway.listen,
        running.is_some(),
    ));
    findings.push(port(
        "gateway.ops_listen",
        config.gateway.ops_listen,
        running.is_some(),
    ));
    findings.extend(billing_doors(config, running.is_some()));
    findings.push(open_files(config));
    findings.push(disk(&config.data_dir));
    findings.extend(modes(&config.data_dir));
    findings.extend(config.deployments.iter().map(upstream));
    findings.extend(durability(config));
    findings
}

fn prices(config: &Config) -> Finding {
    match &config.prices {
        None => Finding::bad(
            "prices",
            "no price book",
            "set `prices` to a price file; until then everything is unpriced",
        ),
        Some(path) => match billing::prices::load(path) {
            Ok(book) => Finding::fine(
                "prices",
                format!("{} version {}", path.display(), book.version()),
            ),
            Err(error) => Finding::bad("prices", error.to_string(), "correct the price file"),
        },
    }
}

fn library(config: &Config) -> Finding {
    let path = config.engine.library.clone().or_else(library_path);
    match path {
        Some(path) if path.is_file() => Finding::fine("engine", path.display().to_string()),
        Some(path) => Finding::bad(
            "engine",
            format!("there is no {}", path.display()),
            "run `make setup` or scripts/engine.sh",
        ),
        None => Finding::bad(
            "engine",
            "nothing says where it is",
            "set HOME or TOLLGATE_ENGINE_LIBRARY",
        ),
    }
}

fn fence() -> Finding {
    match landlock_status() {
        FenceStatus::Full => Finding::fine(
            "engine fence",
            "the kernel fences the engine's process in (Landlock)",
        ),
        other => Finding::bad(
            "engine fence",
            format!("{other:?}"),
            "use a kernel with Landlock (ABI 4 or newer); until then whoever may query the engine may read this user's files",
        ),
    }
}

fn port(check: &'static str, address: SocketAddr, running: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::fine(check, format!("{address} is free")),
        Err(_) if running => Finding::fine(
            check,
            format!("{address} is in use, and tollgate runs on this data directory"),
        ),
        Err(error) => Finding::bad(
            check,
            format!("{address}: {error}"),
            "stop what uses the port, or change it",
        ),
    }
}

/// The API's ports, and whether what it tells can be read on the way.
fn billing_doors(config: &Config, running: bool) -> Vec<Finding> {
    let settings = &config.billing;
    let Some(listen) = settings.listen else {
        return Vec::new();
    };
    let mut findings = vec![port("billing.listen", listen, running)];
    findings.extend(settings.ops.map(|ops| port("billing.ops", ops, running)));
    if !listen.ip().is_loopback() {
        let seen = format!("{listen} is reached from outside: put a proxy with TLS before it");
        findings.push(Finding::fine("billing.listen", seen));
    }
    findings.push(match billing::api::Readers::of(settings) {
        Ok(readers) if readers.count() > 0 => {
            Finding::fine("billing.readers", format!("{} readers", readers.count()))
        }
        Ok(_) => Finding::bad(
            "billing.readers",
            "nobody may ask anything",
            "add `[[billing.readers]]`; `tollgate key new NAME` makes a secret",
        ),
        Err(bad) => Finding::bad("billing.readers", bad.to_string(), "correct the file"),
    });
    findings
}

/// Whether the system grants as many files and connections as the configuration may need. A start takes all of them.
fn open_files(config: &Config) -> Finding {
    let (granted, needed) = (runtime::descriptors::most(), config.open_files());
    let granted_text = match granted {
        u64::MAX => "any number of".to_owned(),
        number => number.to_string(),
    };
    let seen = format!("{granted_text} open files are granted, {needed} may be needed");
    if granted < needed {
        let remedy = "raise the hard limit (LimitNOFILE, ulimit -Hn), or lower `max_connections` of `[gateway]` and `[billing]`";
        Finding::bad("open files", seen, remedy)
    } else {
        Finding::fine("open files", seen)
    }
}

fn disk(data_dir: &Path) -> Finding {
    let existing = data_dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize;
            let seen = format!("{} MiB free for {}", free >> 20, data_dir.display());
            if free < LITTLE_DISK_BYTES {
                Finding::bad(
                    "disk",
                    seen,
                    "free space: a full journal refuses new requests",
                )
            } else {
                Finding::fine("disk", seen)
            }
        }
        Err(error) => Finding::bad(
            "disk",
            format!("{}: {error}", data_dir.display()),
            "change `data_dir`",
        ),
    }
}

/// Files that others can read though they hold secrets.
fn modes(data_dir: &Path) -> Vec<Finding> {
    let secrets = data_dir.join(fs_names::SECRETS_DIR);
    let mut open = Vec::new();
    collect_open(&secrets, &mut open);
    if open.is_empty() {
        return vec![Finding::fine(
            "file modes",
            "no secret can be read by others",
        )];
    }
    open.into_iter()
        .map(|path| {
            Finding::bad(
                "file modes",
                format!("{} can be read by others", path.display()),
                format!("chmod go= {}", path.display()),
            )
        })
        .collect()
}

fn collect_open(path: &Path, open: &mut Vec<PathBuf>) {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return;
    };
    if meta.permissions().mode() & 0o077 != 0 {
        open.push(path.to_owned());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.for_each(|entry| collect_open(&entry.path(), open));
}

/// Whether a provider's port answers. Nothing is sent.
fn upstream(deployment: &gateway::config::Deployment) -> Finding {
    let remedy = format!(
        "check `base_url` of deployment `{}`, the network, and that the provider runs",
        deployment.id
    );
    let Some(address) = address_of(&deployment.base_url) else {
        return Finding::bad(
            "upstream",
            format!("{}: its host has no address", deployment.id),
            remedy,
        );
    };
    match TcpStream::connect_timeout(&address, UPSTREAM_PATIENCE) {
        Ok(_) => Finding::fine("upstream", format!("{} answers", deployment.id)),
        Err(error) => Finding::bad("upstream", format!("{}: {error}", deployment.id), remedy),
    }
}

fn address_of(url: &str) -> Option<SocketAddr> {
    let url: reqwest::Url = url.parse().ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    (host, url.port_or_known_default()?)
        .to_socket_addrs()
        .ok()?
        .next()
}

/// A record that is only written does not survive where the disk itself does not.
fn durability(config: &Config) -> Option<Finding> {
    let existing = config.data_dir.ancestors().find(|path| path.exists())?;
    let kind = rustix::fs::statfs(existing).ok()?.f_type;
    let name = match kind {
        TMPFS => "memory (tmpfs)",
        OVERLAY => "a container's own layer (overlayfs)",
        _ => return None,
    };
    Some(Finding::bad(
        "durability",
        format!(
            "{} lies in {name}: its records end with the machine",
            config.data_dir.display()
        ),
        "put `data_dir` on a disk that stays",
    ))
}

fn print(findings: &[Finding], format: billing::render::Format) -> anyhow::Result<()> {
    match format {
        billing::render::Format::Json => println!("{}", serde_json::to_string_pretty(findings)?),
        billing::render::Format::Csv => {
            let mut csv = csv::Writer::from_writer(std::io::stdout());
            for finding in findings {
                csv.serialize(finding)?;
            }
            csv.flush()?;
        }
        billing::render::Format::Table => {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
            table.set_header(["", "check", "seen", "remedy"]);
            for finding in findings {
                let mark = if finding.ok { "ok" } else { "!!" };
                table.add_row([mark, finding.check, &finding.seen, &finding.remedy]);
            }
            println!("{table}");
        }
    }
    Ok(())
}
