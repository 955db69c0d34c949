//! A small disk that can be filled and freed while it is used: a tmpfs in a mount namespace of its own, which ends with its
//! holder. It needs the right to make namespaces and nothing else.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A disk with room for everything.
const ROOMY: &str = "2g";
const HOLD: &str =
    r#"mkdir -p "$0" && mount -t tmpfs -o size="$1" none "$0" && echo mounted && read -r _"#;

/// The disk. It goes with this handle.
#[derive(Debug)]
pub struct Disk {
    holder: Child,
    dir: PathBuf,
}

/// How a command sees the disk.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    holder: u32,
}

impl Entry {
    /// A command whose file system has the disk.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--mount", "--target"]);
        command.arg(self.holder.to_string()).arg("--").arg(program);
        command
    }
}

impl Disk {
    /// A disk at `dir`; `None` where no namespace may be made.
    pub fn mount(dir: &Path) -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD])
            .arg(dir)
            .arg(ROOMY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let output = holder.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut said).ok()?;
        let disk = Self {
            holder,
            dir: dir.to_owned(),
        };
        (said.trim() == "mounted").then_some(disk)
    }

    /// The way in.
    pub fn entry(&self) -> Entry {
        Entry {
            holder: self.holder.id(),
        }
    }

    /// Leaves no room; gives what is on it, in KiB.
    pub fn fill(&self) -> Option<u64> {
        // What is written meanwhile makes it refuse to be that small.
        (0..20).find_map(|_| {
            let used = self.used_kib()?;
            self.resize(&format!("{used}k")).then_some(used)
        })
    }

    /// Makes room again.
    pub fn free(&self) -> bool {
        self.resize(ROOMY)
    }

    fn used_kib(&self) -> Option<u64> {
        let mut command = self.entry().command(Path::new("df"));
        let output = command
            .args(["--block-size=1K", "--output=used"])
            .arg(&self.dir)
            .output();
        let output = String::from_utf8(output.ok()?.stdout).ok()?;
        output.lines().nth(1)?.trim().parse().ok()
    }

    fn resize(&self, size: &str) -> bool {
        let mut command = self.entry().command(Path::new("mount"));
        let options = format!("remount,size={size}");
        let resized = command
            .args(["-o", &options])
            .arg(&self.dir)
            .stderr(Stdio::null())
            .status();
        resized.is_ok_and(|status| status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop((self.holder.kill(), self.holder.wait()));
    }
}
