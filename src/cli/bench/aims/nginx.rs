//! nginx as the neighbour in time: a plain reverse proxy in front of the same provider, on the gateway's core. What is
//! measured with it must not live here.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::geteuid;

use super::super::processes::{Cores, Process, bind_to, cpu_ns, freeze, sum_ns, terminate, thaw};
use super::super::stand::{Scratch, free_port};
use crate::cli::Usage;

/// How long it may take to serve, or to end.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    /// The master and its worker.
    pids: Vec<u32>,
    /// Where it answers.
    pub url: String,
    /// What it calls itself.
    pub version: String,
    scratch: Scratch,
}

/// The program: the one that was named, or the one on the search path. Debian has it in a directory that only root searches.
pub fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let searched = folders.map(|folder| folder.join("nginx"));
    let mut candidates: Vec<PathBuf> =
        named.map_or_else(|| searched.collect(), |named| vec![named.into()]);
    candidates.retain(|program| program.is_file());
    let found = candidates.into_iter().next();
    let message = "the aims are measured beside nginx, and there is none: install it (Debian: apt-get install nginx-light), or name its program by --nginx PATH";
    Ok(found.ok_or_else(|| Usage(message.to_owned()))?)
}

impl Nginx {
    /// Starts it in front of a provider.
    pub async fn start(
        program: &Path,
        provider: SocketAddr,
        cores: Option<Cores>,
    ) -> anyhow::Result<Self> {
        let scratch = Scratch::make()?;
        let listen = free_port()?;
        let configured = scratch.path().join("nginx.conf");
        fs::write(&configured, configuration(listen, provider))?;
        let mut command = Command::new(program);
        command.arg("-p").arg(scratch.path());
        command.arg("-c").arg(&configured).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(scratch.path().join("log"))?);
        if let Some(cores) = cores {
            bind_to(cores.gateway)?;
        }
        let started = Process::start("nginx", &mut command);
        if let Some(cores) = cores {
            bind_to(cores.load)?;
        }
        let mut nginx = Self {
            process: started?,
            pids: Vec::new(),
            url: format!("http://{listen}/v1/chat/completions"),
            version: version(program),
            scratch,
        };
        nginx.ready(listen).await?;
        Ok(nginx)
    }

    async fn ready(&mut self, listen: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Err(error) = self.process.check_running() {
                let log = fs::read_to_string(self.scratch.path().join("log"));
                return Err(error.context(log.unwrap_or_default()));
            }
            let workers = children(self.process.pid());
            if !workers.is_empty() && tokio::net::TcpStream::connect(listen).await.is_ok() {
                self.pids = workers;
                self.pids.push(self.process.pid());
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("nginx did not serve within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// CPU time of all its processes so far, in nanoseconds.
    pub fn cpu_ns(&self) -> anyhow::Result<u64> {
        let each = self.pids.iter().map(|pid| Ok(sum_ns(&cpu_ns(*pid)?, "")));
        each.sum()
    }

    /// It stands still.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let mut pids = self.pids.iter();
        pids.try_for_each(|pid| freeze(*pid).context("nginx"))
    }

    /// It goes on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        let mut pids = self.pids.iter();
        pids.try_for_each(|pid| thaw(*pid).context("nginx"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its worker, which a kill of the master alone would not.
        drop(self.thaw());
        drop(terminate(self.process.pid()));
        self.process.wait_at_most(PATIENCE);
    }
}

/// Processes that a process has started.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn version(program: &Path) -> String {
    let said = Command::new(program).arg("-v").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stderr).into_owned());
    let said = said.unwrap_or_default();
    let name = said.trim().rsplit_once(": ").map(|(_, name)| name);
    name.unwrap_or("nginx").replace('/', " ")
}

fn configuration(listen: SocketAddr, provider: SocketAddr) -> String {
    // Files of one user's; a master that is root's would give them to another otherwise.
    let user = if geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    };
    format!(
        "{user}daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    upstream provider {{
        server {provider};
        keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s;
    }}
    server {{
        listen {listen} backlog=4096;
        keepalive_requests 1000000000; keepalive_timeout 3600s;
        client_max_body_size 64m; client_body_buffer_size 1m;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_remedy() {
        let error = find(Some(Path::new("/nowhere/nginx"))).unwrap_err();
        assert!(error.is::<Usage>());
        assert!(error.to_string().contains("apt-get install nginx-light"));
    }

    #[test]
    fn children_are_found() {
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let child = loop {
            if let Some(child) = children(shell.id()).first() {
                break *child;
            }
            assert!(Instant::now() < deadline, "the shell starts a child");
            std::thread::yield_now();
        };
        assert!(children(child).is_empty());
        terminate(child).unwrap();
        shell.wait().unwrap();
    }
}
