//! The fence around the engine's process: what it may read and write, and that it reaches no network.
//! `readonly` in the engine is not enough: it leaves the scalar `file()` and `INTO OUTFILE` open. No SQL here.

use super::ServeError;
use crate::DataDir;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};
use rustix::process::DumpableBehavior;
use std::path::{Path, PathBuf};

/// The newest kernel interface whose rules are asked for; older kernels enforce the part they know.
const ABI_ASKED: ABI = ABI::V7;
/// The first kernel interface that refuses TCP as well as files.
const ABI_WITH_TCP: i32 = 4;

/// What the kernel can do for the fence, for `doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceStatus {
    /// Files and TCP are fenced.
    Full,
    /// Files are fenced, TCP is not: the kernel is older than 6.7.
    FilesOnly,
    /// No Landlock: only the engine's own read-only mode and the listener's rules stand.
    Missing,
}

/// Asks the kernel, fencing only a thread that ends at once.
pub fn landlock_status() -> FenceStatus {
    std::thread::spawn(|| {
        Ruleset::default()
            .handle_access(AccessFs::MakeSock)
            .and_then(Ruleset::create)
            .and_then(RulesetCreated::restrict_self)
            .map_or(FenceStatus::Missing, |status| as_status(&status.landlock))
    })
    .join()
    .unwrap_or(FenceStatus::Missing)
}

fn as_status(status: &LandlockStatus) -> FenceStatus {
    match status {
        LandlockStatus::Available { effective_abi, .. }
            if *effective_abi as i32 >= ABI_WITH_TCP =>
        {
            FenceStatus::Full
        }
        LandlockStatus::Available { .. } => FenceStatus::FilesOnly,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => FenceStatus::Missing,
    }
}

/// Fences this thread and every thread it starts from now on. Sockets that are already bound stay usable.
pub(super) fn enter(data_dir: &DataDir, library: &Path) -> Result<FenceStatus, ServeError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|errno| {
        ServeError::Fence(format!("the process cannot be made undumpable: {errno}"))
    })?;
    let status =
        restrict(data_dir, library).map_err(|error| ServeError::Fence(error.to_string()))?;
    Ok(as_status(&status))
}

fn restrict(data_dir: &DataDir, library: &Path) -> Result<LandlockStatus, landlock::RulesetError> {
    let all = AccessFs::from_all(ABI_ASKED);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(ABI_ASKED))?
        .scope(Scope::from_all(ABI_ASKED))?
        .create()?;
    for path in [data_dir.engine(), data_dir.run()] {
        ruleset = allow(ruleset, &path, all & !AccessFs::Execute)?;
    }
    for path in readable(library) {
        ruleset = allow(ruleset, &path, read)?;
    }
    ruleset = allow(
        ruleset,
        Path::new("/dev/null"),
        AccessFs::ReadFile | AccessFs::WriteFile,
    )?;
    Ok(ruleset.restrict_self()?.landlock)
}

/// What the engine must read: its library and what that links to, the kernel's figures, and our own executable: without
/// it the first exception spins for ever in the symboliser.
fn readable(library: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = [
        "/usr",
        "/lib",
        "/lib64",
        "/proc",
        "/sys",
        "/dev/urandom",
        "/dev/random",
    ]
    .into_iter()
    .map(PathBuf::from)
    .collect();
    paths.push(library.to_owned());
    paths.extend(std::env::current_exe());
    paths
}

fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    // A path that does not exist on this system needs no permission.
    let Ok(descriptor) = PathFd::new(path) else {
        return Ok(ruleset);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(ABI_ASKED)
    };
    ruleset.add_rule(PathBeneath::new(descriptor, access))
}
