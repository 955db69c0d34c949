//! A small disk that can be filled and freed while it is used: a tmpfs in a mount namespace of its own, which ends with its
//! holder. It needs the right to make namespaces and nothing else. Where nobody may make one, the kernel is told that the
//! process may write to no file any more: its writes fail all the same, by another number (EFBIG for ENOSPC).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// A disk with room for everything.
const ROOMY: &str = "2g";
const HOLD: &str =
    r#"mkdir -p "$0" && mount -t tmpfs -o size="$1" none "$0" && echo mounted && read -r _"#;

/// Whoever writes beyond its limit is told by an error and not killed.
const LIMITED: &str = r#"trap '' XFSZ; exec "$0" "$@""#;
/// Set to anything, no disk is mounted: the limit is tried where a disk could be.
const BY_LIMIT: &str = "TOLLGATE_CHAOS_DISK_BY_LIMIT";

/// The disk. It goes with this handle.
#[derive(Debug)]
pub enum Disk {
    /// One of its own.
    Mounted(Mounted),
    /// Anybody's, of which the process may use nothing more.
    Limited,
}

/// A mounted one.
#[derive(Debug)]
pub struct Mounted {
    holder: Child,
    dir: PathBuf,
}

/// How a command sees the disk.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// Through the namespace of this process.
    Namespace(u32),
    /// As everybody does.
    Usual,
}

impl Entry {
    /// A command whose file system has the disk.
    pub fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Namespace(holder) => {
                let mut command = Command::new("nsenter");
                command.args(["--preserve-credentials", "--user", "--mount", "--target"]);
                command.arg(holder.to_string()).arg("--");
                command
            }
            Self::Usual => {
                let mut command = Command::new("sh");
                command.args(["-c", LIMITED]);
                command
            }
        };
        command.arg(program);
        command
    }
}

impl Disk {
    /// A disk at `dir`, or what comes nearest.
    pub fn at(dir: &Path) -> Self {
        let is_wanted = std::env::var_os(BY_LIMIT).is_none();
        let mounted = is_wanted.then(|| Mounted::mount(dir)).flatten();
        if mounted.is_none() {
            println!("chaos: no disk is mounted here: a full one is a limit of the process");
        }
        mounted.map_or(Self::Limited, Self::Mounted)
    }

    /// The way in.
    pub fn entry(&self) -> Entry {
        match self {
            Self::Mounted(disk) => Entry::Namespace(disk.holder.id()),
            Self::Limited => Entry::Usual,
        }
    }

    /// Leaves the process that uses it no room; says how.
    pub fn fill(&self, process: u32) -> Option<String> {
        match self {
            Self::Mounted(disk) => disk
                .fill()
                .map(|used| format!("{used} KiB of {used} in use")),
            Self::Limited => {
                limit(process, Some(0)).then(|| "a limit of 0 bytes a file".to_owned())
            }
        }
    }

    /// Makes room again.
    pub fn free(&self, process: u32) -> bool {
        match self {
            Self::Mounted(disk) => disk.resize(ROOMY),
            Self::Limited => limit(process, None),
        }
    }
}

/// Bounds how long a file may get that a process writes.
fn limit(process: u32, bytes: Option<u64>) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    // It was handed down from here, and may not be raised.
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    process.is_some_and(|process| prlimit(Some(process), Resource::Fsize, limit).is_ok())
}

impl Mounted {
    /// A disk at `dir`; `None` where no namespace may be made.
    fn mount(dir: &Path) -> Option<Self> {
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

    /// Leaves no room; gives what is on it, in KiB.
    fn fill(&self) -> Option<u64> {
        // What is written meanwhile makes it refuse to be that small.
        (0..20).find_map(|_| {
            let used = self.used_kib()?;
            self.resize(&format!("{used}k")).then_some(used)
        })
    }

    fn command(&self, program: &str) -> Command {
        Entry::Namespace(self.holder.id()).command(Path::new(program))
    }

    fn used_kib(&self) -> Option<u64> {
        let mut command = self.command("df");
        let output = command
            .args(["--block-size=1K", "--output=used"])
            .arg(&self.dir)
            .output();
        let output = String::from_utf8(output.ok()?.stdout).ok()?;
        output.lines().nth(1)?.trim().parse().ok()
    }

    fn resize(&self, size: &str) -> bool {
        let mut command = self.command("mount");
        let options = format!("remount,size={size}");
        let resized = command
            .args(["-o", &options])
            .arg(&self.dir)
            .stderr(Stdio::null())
            .status();
        resized.is_ok_and(|status| status.success())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop((self.holder.kill(), self.holder.wait()));
    }
}
