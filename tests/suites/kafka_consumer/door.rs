//! A `tollgate gateway` before the same broker, with a journal of small segments.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use futures_util::{StreamExt as _, stream};
use schemas::fs_names;
use tests::{App, Ask, Setup, eventually, free_address, tollgate};

use super::stand::{GROUP, PARTITIONS, PREFIX, Stand};

/// Calls at once.
const AT_ONCE: usize = 16;

pub(crate) struct Door {
    /// Ends with this.
    _simulator: simulator::Simulator,
    folder: PathBuf,
    app: SocketAddr,
    ops: SocketAddr,
    serving: Child,
}

impl Door {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(stand: &Stand) -> Self {
        let simulator = simulator::Simulator::start(simulator::Config::default());
        let simulator = simulator.expect("the simulator starts");
        let (app, ops) = (free_address(), free_address());
        let folder = stand.folder().join("gateway");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let toml = Setup::default().toml(app, ops, &simulator.base_url());
        let small = "segment_mib = 1\nkeep_mib = 1\ncapacity_mib = 64\n";
        let mut toml = toml.replace("segment_mib = 16\ncapacity_mib = 4096\n", small);
        toml = toml.replace("refusals_mib = 256", "refusals_mib = 8");
        let servers = stand.cluster.servers();
        write!(
            toml,
            "\n[log.kafka]\nbootstrap = \"{servers}\"\ntopic_prefix = \"{PREFIX}\"\npartitions = {PARTITIONS}\n\
             replication = 1\nmin_in_sync = 1\nretention_hours = 1\ngroup = \"{GROUP}\"\n"
        )
        .expect("a text grows");
        std::fs::write(folder.join("tollgate.toml"), toml).expect("a file can be written");
        let mut door = Self {
            _simulator: simulator,
            serving: serve(&folder),
            folder,
            app,
            ops,
        };
        door.is_ready().await;
        door
    }

    /// kill -9, and its replacement.
    pub(crate) async fn replace(&mut self) {
        self.kill();
        self.serving = serve(&self.folder);
        self.is_ready().await;
    }

    fn kill(&mut self) {
        self.serving.kill().expect("it runs");
        self.serving.wait().expect("it ends");
    }

    async fn is_ready(&mut self) {
        let url = format!("http://{}/readyz", self.ops);
        eventually("the gateway is ready", async || {
            if let Some(status) = self.serving.try_wait().expect("it can be waited for") {
                panic!("the gateway ended: {status}\n{}", self.log());
            }
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// So many calls, each answered.
    pub(crate) async fn call(&self, numbers: std::ops::Range<u16>) {
        let app = App::of(format!("http://{}/v1/chat/completions", self.app));
        let calls = stream::iter(numbers).map(|number| {
            let app = &app;
            async move {
                let ask = Ask::new(format!("n-{number}"));
                app.call(&ask).await.expect("an answer").status
            }
        });
        let statuses: Vec<u16> = calls.buffer_unordered(AT_ONCE).collect().await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }

    /// A metric without labels, `tollgate_` left out.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let url = format!("http://{}/metrics", self.ops);
        let text = reqwest::get(url).await.ok()?.text().await.ok()?;
        let wanted = format!("tollgate_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&wanted))?;
        value.trim().parse().ok()
    }

    /// The journal's files, oldest first.
    pub(crate) fn segments(&self) -> Vec<String> {
        let dir = self.folder.join("data").join(fs_names::JOURNAL_DIR);
        let entries = std::fs::read_dir(dir).expect("a journal's folder");
        let names = entries.map(|entry| entry.expect("a file").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let is_segment = |name: &String| name.rsplit('.').next() == Some("seg");
        let mut names: Vec<String> = names.filter(is_segment).collect();
        names.sort();
        names
    }

    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("gateway.log"));
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }
}

fn serve(folder: &std::path::Path) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("gateway.log"));
    let log = log.expect("a log can be written");
    Command::new(tollgate())
        .args(["gateway", "--config"])
        .arg(folder.join("tollgate.toml"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file has a second handle"))
        .stderr(log)
        .spawn()
        .expect("the program under test starts")
}

impl Drop for Door {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(25).collect();
            eprintln!("the end of the gateway's log:");
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        drop((self.serving.kill(), self.serving.wait()));
    }
}
