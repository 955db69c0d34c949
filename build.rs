//! How the program is linked: where the C library of this machine reads them, the places that a start must fill in are written
//! as bits, not as 24 bytes each. Those are 2 MB, all of which would stay resident.

use std::env::var;
use std::process::Command;

/// The first version of glibc that reads them: its release notes, "`DT_RELR` relative relocations".
const READ_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_of = |variable: &str, value: &str| var(variable).is_ok_and(|found| found == value);
    let is_for_here = var("HOST").is_ok_and(|host| is_of("TARGET", &host));
    if is_for_here
        && is_of("CARGO_CFG_TARGET_OS", "linux")
        && is_of("CARGO_CFG_TARGET_ENV", "gnu")
        && glibc().is_some_and(|version| version >= READ_SINCE)
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library here.
fn glibc() -> Option<(u32, u32)> {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let answer = String::from_utf8(asked.ok()?.stdout).ok()?;
    let (major, minor) = answer.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
